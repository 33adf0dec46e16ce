// Dropping files anywhere on the page, and how sending them goes while another view is shown.
import { useEffect, useState } from "preact/hooks";

import { texts } from "../i18n";
import { go, path } from "../router";
import { Icon } from "../ui/Icon";
import { filesIn } from "./files";
import { isBusy, overall, sendFiles } from "./state";

const PAGE = "/more/upload";
const hasFiles = (event: DragEvent): boolean => event.dataTransfer?.types.includes("Files") ?? false;

/** Takes what is dropped on the page, and says that it would. */
export function DropAnywhere() {
  const [isOver, setOver] = useState(false);
  useEffect(() => {
    const over = (event: DragEvent): void => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      setOver(true);
    };
    const leave = (event: DragEvent): void => {
      if (event.relatedTarget === null) setOver(false);
    };
    const drop = (event: DragEvent): void => {
      if (!event.dataTransfer || !hasFiles(event)) return;
      event.preventDefault();
      setOver(false);
      void take(event.dataTransfer);
    };
    addEventListener("dragover", over);
    addEventListener("dragleave", leave);
    addEventListener("drop", drop);
    return () => {
      removeEventListener("dragover", over);
      removeEventListener("dragleave", leave);
      removeEventListener("drop", drop);
    };
  }, []);
  return isOver ? <div class="drop-here">{texts.value.upload.drop}</div> : null;
}

async function take(data: DataTransfer): Promise<void> {
  await sendFiles(await filesIn(data));
  go(PAGE);
}

/** How far sending is, on every view but its own. */
export function UploadChip() {
  if (!isBusy.value || path.value === PAGE) return null;
  const { files, over } = overall.value;
  return (
    <a class="upload-chip" href={PAGE}>
      <Icon name="upload" /> {texts.value.upload.sending(String(over), String(files))}
    </a>
  );
}

/** The way to sending, at the edge of the photos. */
export function UploadButton() {
  return (
    <a class="upload-button" href={PAGE} aria-label={texts.value.upload.add} title={texts.value.upload.add}>
      <Icon name="upload" />
    </a>
  );
}
