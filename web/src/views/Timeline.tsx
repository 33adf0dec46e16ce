// The whole library by local day, newest first.
import { useEffect, useMemo, useRef, useState } from "preact/hooks";

import { get } from "../api/client";
import { NEWEST, take } from "../api/early";
import type { Photo, PhotosPage, Timeline } from "../api/types";
import { PhotoList } from "../grid/PhotoList";
import { Scrubber, type Month } from "../grid/Scrubber";
import type { Source } from "../grid/model";
import { UNIT_SIZE, type Section } from "../grid/units";
import { dayText, texts } from "../i18n";
import { UploadButton } from "../upload/Anywhere";
import { useFresh } from "../ui/fresh";
import { Failure, Message } from "../ui/Message";

/** A day; its title is made when it is drawn, for making thousands takes longer than all else. */
class Day implements Section {
  private text: string | undefined;

  constructor(
    readonly key: string,
    readonly count: number,
  ) {}

  get title(): string {
    return (this.text ??= dayText(this.key));
  }
}

const sectionsOf = (timeline: Timeline): Section[] => timeline.days.toReversed().map(({ date, count }) => new Day(date, count));

async function loadDay(section: Section, page: number, signal: AbortSignal): Promise<Photo[]> {
  const query = { date_from: section.key, date_to: section.key, sort: "date", limit: UNIT_SIZE, page };
  return (await get<PhotosPage>("/api/v1/photos", query, signal)).photos;
}

/** Loads days; those at the top are in the newest photos, as far as these hold them whole. */
function loader(newest: Promise<PhotosPage> | undefined): Source["load"] {
  if (!newest) return loadDay;
  const early = newest.then(
    ({ photos }) => photos,
    () => [],
  );
  return async (section, page, signal) => {
    const wanted = Math.min(section.count, UNIT_SIZE);
    const found = page > 1 ? [] : (await early).filter((photo) => photo.taken_at_local?.startsWith(section.key));
    return found.length === wanted ? found : loadDay(section, page, signal);
  };
}

export function TimelineView() {
  const fresh = useFresh<Timeline>("/api/v1/timeline");
  const [at, setAt] = useState("");
  const control = useRef<{ goTo?: (unit: number) => void }>({});
  const source = useMemo<Source | null>(
    () => (fresh.value ? { sections: sectionsOf(fresh.value), load: loader(take(NEWEST)) } : null),
    [fresh.value, texts.value],
  );
  useEffect(() => {
    document.title = `${texts.value.timeline.title} · ${texts.value.appName}`;
  }, [texts.value]);
  if (fresh.error) return <Failure error={fresh.error} onRetry={fresh.again} />;
  if (!source || !fresh.value) return <p class="loading">{texts.value.loading}</p>;
  if (source.sections.length === 0) {
    return (
      <>
        <Message title={texts.value.timeline.empty} hint={texts.value.timeline.emptyHint} />
        <UploadButton />
      </>
    );
  }
  const months: Month[] = fresh.value.months.toReversed();
  return (
    <>
      <h1 class="only-read">{texts.value.timeline.title}</h1>
      <PhotoList source={source} label={texts.value.timeline.title} control={control.current} onSection={(day) => setAt(day.slice(0, 7))} />
      <UploadButton />
      <Scrubber
        months={months}
        at={at}
        onMonth={(month) => control.current.goTo?.(firstUnit(source.sections, month))}
      />
    </>
  );
}

/** The first unit of a month. */
function firstUnit(sections: readonly Section[], month: string): number {
  let unit = 0;
  for (const section of sections) {
    if (section.key.startsWith(month)) return unit;
    unit += Math.ceil(section.count / UNIT_SIZE);
  }
  return 0;
}
