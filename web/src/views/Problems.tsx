// The files that are in the folders but can't be shown, with the reasons.
import type { Pagination } from "../api/types";
import { sizeText } from "../i18n";
import { words } from "../i18n/manage";
import { Listing } from "../ui/Listing";
import { useMore } from "../ui/more";

interface Problem {
  id: string;
  filename: string;
  path: string;
  size_bytes: number;
  reason: string;
  message: string;
}

const LIMIT = 100;

export default function Problems() {
  const say = words.value.problems;
  const found = useMore<Problem, { files: Problem[]; pagination: Pagination }>("/api/v1/host/quarantine", LIMIT, (page) => page.files);
  return (
    <Listing found={found} say={say} counted={say.files}>
      {(files) => (
        <ul class="rows">
          {files.map((file) => (
            <li key={file.id} class="row">
              <div>
                <p class="row-name" dir="auto">
                  {file.filename}
                </p>
                <p class="bad" lang="en">
                  {file.message}
                </p>
                <p class="soft">
                  <span dir="auto">{file.path}</span> · {sizeText(file.size_bytes)}
                </p>
              </div>
            </li>
          ))}
        </ul>
      )}
    </Listing>
  );
}
