// All months of the library along the edge: drag, click, or use the arrow keys.
import type { ReadonlySignal } from "@preact/signals";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";

import { count, monthText, texts } from "../i18n";

export interface Month {
  month: string;
  count: number;
}

const SETTLED_MS = 300;

interface Props {
  months: readonly Month[];
  /** The month that is seen. */
  at: ReadonlySignal<string>;
  onMonth: (month: string) => void;
}

export function Scrubber({ months, at: month, onMonth }: Props) {
  const at = month.value;
  const track = useRef<HTMLDivElement>(null);
  const [held, setHeld] = useState<number | null>(null);
  const [chosen, setChosen] = useState<{ index: number; at: string } | null>(null);
  const seen = Math.max(
    months.findIndex(({ month }) => month <= at),
    0,
  );
  // The last months share the last screen: what was chosen there counts until the list is scrolled otherwise.
  const here = chosen?.index ?? seen;
  const shown = held ?? here;
  const latest = useRef(at);
  latest.current = at;
  useEffect(() => {
    if (chosen && chosen.at !== "" && chosen.at !== at) setChosen(null);
  }, [at, chosen]);
  useEffect(() => {
    if (chosen?.at !== "") return undefined;
    const timer = setTimeout(() => setChosen({ index: chosen.index, at: latest.current }), SETTLED_MS);
    return () => clearTimeout(timer);
  }, [chosen]);
  // The photos come first: the words for months and numbers take as long as all else of a first drawing.
  const [isLabelled, setLabelled] = useState(false);
  useEffect(() => setLabelled(true), []);
  const years = useMemo(() => (isLabelled ? yearMarks(months) : []), [months, isLabelled]);
  if (months.length < 2) return null;

  function go(index: number): void {
    setChosen({ index, at: "" });
    onMonth(months[index]?.month ?? "");
  }

  function choose(event: PointerEvent): void {
    const box = track.current?.getBoundingClientRect();
    if (!box) return;
    const part = (event.clientY - box.top) / box.height;
    const index = Math.min(Math.max(Math.round(part * (months.length - 1)), 0), months.length - 1);
    if (index !== held) {
      setHeld(index);
      go(index);
    }
  }

  function onKeyDown(event: KeyboardEvent): void {
    const steps: Record<string, number> = {
      ArrowDown: 1,
      ArrowRight: 1,
      ArrowUp: -1,
      ArrowLeft: -1,
      PageDown: 12,
      PageUp: -12,
      Home: -Infinity,
      End: Infinity,
    };
    const step = steps[event.key];
    if (step === undefined) return;
    event.preventDefault();
    go(Math.min(Math.max(here + step, 0), months.length - 1));
  }

  const where = (index: number): string => `${(index / (months.length - 1)) * 100}%`;
  const now = months[shown];
  return (
    <div
      ref={track}
      class="scrubber"
      role="slider"
      tabIndex={0}
      aria-orientation="vertical"
      aria-label={texts.value.timeline.scrubber}
      aria-valuemin={0}
      aria-valuemax={months.length - 1}
      aria-valuenow={shown}
      aria-valuetext={now && isLabelled ? `${monthText(now.month)}, ${count(now.count, texts.value.counts.photos)}` : ""}
      onKeyDown={onKeyDown}
      onPointerDown={(event) => {
        event.currentTarget.setPointerCapture(event.pointerId);
        choose(event);
      }}
      onPointerMove={(event) => event.buttons > 0 && choose(event)}
      onPointerUp={() => setHeld(null)}
      onPointerCancel={() => setHeld(null)}
    >
      {years.map(({ year, index }) => (
        <span key={year} class="scrubber-year" style={{ top: where(index) }} aria-hidden="true">
          {year}
        </span>
      ))}
      <span class="scrubber-thumb" style={{ top: where(shown) }} aria-hidden="true" />
      {held !== null && now && (
        <span class="scrubber-label" style={{ top: where(held) }} aria-hidden="true">
          {monthText(now.month)}
        </span>
      )}
    </div>
  );
}

const CLOSEST = 0.035;

/** The years that have room along the track. */
function yearMarks(months: readonly Month[]): { year: string; index: number }[] {
  const marks: { year: string; index: number }[] = [];
  months.forEach(({ month }, index) => {
    const last = marks.at(-1);
    const year = month.slice(0, 4);
    const isFar = !last || (index - last.index) / (months.length - 1) > CLOSEST;
    if (last?.year !== year && isFar) marks.push({ year, index });
  });
  return marks;
}
