// The whole library by local day, newest first.
import { useSignal } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";

import { get } from "../api/client";
import { takeNewest } from "../api/early";
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

/** Photos by their local day, those without a date left out. */
function byDay(photos: readonly Photo[]): Map<string, Photo[]> {
  const days = new Map<string, Photo[]>();
  for (const photo of photos) {
    const day = photo.taken_at_local?.slice(0, 10);
    if (day) days.set(day, [...(days.get(day) ?? []), photo]);
  }
  return days;
}

export function TimelineView() {
  const fresh = useFresh<Timeline>("/api/v1/timeline");
  const at = useSignal("");
  const control = useRef<{ goTo?: (unit: number) => void }>({});
  const source = useMemo<Source | null>(
    () => (fresh.value ? { sections: sectionsOf(fresh.value), known: byDay(takeNewest()), load: loadDay } : null),
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
      <PhotoList source={source} label={texts.value.timeline.title} control={control.current} onSection={(day) => (at.value = day.slice(0, 7))} />
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
