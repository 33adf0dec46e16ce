// A list of photos with its viewer: what the timeline, albums and answers to searches show.
import { useCallback, useEffect, useMemo, useRef } from "preact/hooks";

import { onHappening } from "../api/live";
import type { Photo } from "../api/types";
import { path } from "../router";
import { notice } from "../ui/notices";
import { sentence } from "../ui/Message";
import { GridModel, type Source } from "./model";
import { HEADING, measuresFor, PhotoGrid } from "./PhotoGrid";

interface Props {
  source: Source;
  label: string;
  /** Whether sections have headings. */
  hasHeadings?: boolean;
  control?: { goTo?: (unit: number) => void; reveal?: (index: number) => void };
  /** Told the key of the section at the top. */
  onSection?: (key: string) => void;
}

export function PhotoList({ source, label, hasHeadings = true, control: given, onSection }: Props) {
  const own = useRef({});
  const control: NonNullable<Props["control"]> = given ?? own.current;
  const former = useRef<GridModel | undefined>(undefined);
  const stale = useRef(new Set<string>());
  const model = useMemo(() => {
    const measures = former.current?.geometry.measures ?? measuresFor(innerWidth);
    const isStale = (photo: Photo): boolean => stale.current.has(photo.id);
    const made = new GridModel(source, measures, hasHeadings ? HEADING : 0, former.current, isStale);
    made.onFailed = (error) => notice(sentence(error));
    stale.current.clear();
    former.current = made;
    return made;
  }, [source]);
  useEffect(
    () =>
      onHappening(({ type, data }) => {
        if (/^photo\.(changed|removed)$/.test(type) && typeof data["id"] === "string") stale.current.add(data["id"]);
      }),
    [],
  );

  const open = useCallback(
    (index: number): void =>
      void import("../viewer/viewer").then(({ openViewer }) => openViewer(model, index, (shown) => control.reveal?.(shown))),
    [model],
  );

  // A link to one photo: it is shown by itself, with the list behind it.
  useEffect(() => {
    const id = /^\/photo\/([^/]+)$/.exec(path.value)?.[1];
    if (id && !document.querySelector(".pswp")) void import("../viewer/viewer").then(({ openSingle }) => openSingle(id));
  }, [path.value]);

  return (
    <PhotoGrid
      model={model}
      label={label}
      control={control}
      onOpen={open}
      onAt={(unit) => onSection?.(model.units[unit]?.section.key ?? "")}
    />
  );
}
