// A list of photos of any length: only what is in sight is in the document.
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { useSignal } from "@preact/signals";

import { rowsBetween } from "./layout";
import { GridModel } from "./model";
import { Pace } from "./pace";
import { keepPlace, keptPlace } from "./place";
import { ScrollMap } from "./scroll";
import { UnitView } from "./UnitView";

const HEADING = 48;
const SETTLED_MS = 90;
/** So often at most photos are asked for during a slow scroll. */
const FETCH_MS = 250;
/** Safari allows a hundred changes of the history in 30 seconds. */
const KEPT_MS = 400;
/** Into so many steps a screen is divided: what is drawn changes when another one is reached. */
const STEPS = 6;
/** So long after a jump only what is in sight is fetched and drawn, and then what is near it. */
const NEAR_MS = 250;
/** So long may a photo take to come that the focus is to go to. */
const ARRIVAL_MS = 5_000;

interface Props {
  model: GridModel;
  /** Accessible name of the list. */
  label: string;
  onOpen: (index: number) => void;
  /** Told the unit at the top of what is seen. */
  onAt?: (unit: number) => void;
  /** Set by the grid: goes to a unit. */
  control?: { goTo?: (unit: number) => void; reveal?: (index: number) => void };
}

/** How large rows are and how far apart, by the width there is. */
export function measuresFor(width: number): { width: number; rowHeight: number; gap: number } {
  const rowHeight = width < 500 ? 118 : width < 1000 ? 170 : 210;
  return { width, rowHeight, gap: width < 500 ? 2 : 4 };
}
export { HEADING };

export function PhotoGrid({ model, label, onOpen, onAt, control }: Props) {
  const scroller = useRef<HTMLDivElement>(null);
  const view = useRef({ height: innerHeight, top: 0 });
  const near = useRef<{ isWanted: boolean; timer?: ReturnType<typeof setTimeout> }>({ isWanted: false });
  const [map, setMap] = useState(() => new ScrollMap(model.geometry.height, () => view.current.height));
  const seen = useSignal({ from: 0, to: innerHeight });
  const shift = useSignal(0);
  /** While it is on, what comes into sight is drawn as places only. */
  const isFast = useSignal(false);
  const drawn = useRef(new Set<number>());
  const focused = useSignal(0);

  function look(): void {
    const { top, height } = view.current;
    const margin = near.current.isWanted ? height * 0.75 : 0;
    // In steps, so that most frames of a scroll have nothing to draw.
    const step = Math.max(height / STEPS, 1);
    const from = Math.floor((top - margin) / step) * step;
    const to = Math.ceil((top + height + margin) / step) * step;
    if (from !== seen.value.from || to !== seen.value.to) seen.value = { from, to };
    shift.value = map.shift;
    onAt?.(model.geometry.at(top + 1));
  }

  function fetchSeen(): void {
    const { top, height } = view.current;
    const margin = near.current.isWanted ? height : 0;
    if (model.total > 0) model.show(model.geometry.at(top - margin), model.geometry.at(top + height + margin));
  }

  /** What is in sight first: what is near it waits. */
  function arrive(): void {
    clearTimeout(near.current.timer);
    near.current = {
      isWanted: false,
      timer: setTimeout(() => {
        near.current.isWanted = true;
        latest.current();
      }, NEAR_MS),
    };
  }

  function seek(top: number): void {
    const element = scroller.current;
    if (!element) return;
    if (Math.abs(top - view.current.top) > 2 * view.current.height) arrive();
    view.current.top = Math.max(0, top);
    element.scrollTop = map.seek(top);
    look();
    fetchSeen();
  }

  const latest = useRef(() => undefined as void);
  latest.current = () => {
    look();
    fetchSeen();
  };

  useLayoutEffect(() => {
    arrive();
    view.current.height = scroller.current?.clientHeight ?? innerHeight;
    const kept = keptPlace();
    const place = kept && model.find(kept);
    if (place === null || !scroller.current) return;
    view.current.top = place;
    scroller.current.scrollTop = map.seek(place);
  }, []);

  // A new list takes the place of the former one, at the place where the reader was; at its very top, what is new is seen.
  const before = useRef(model);
  useLayoutEffect(() => {
    if (before.current === model) return;
    const anchor = view.current.top > 0 ? before.current.anchorAt(view.current.top) : null;
    before.current = model;
    const fresh = new ScrollMap(model.geometry.height, () => view.current.height);
    setMap(fresh);
    const place = anchor ? model.find(anchor) : null;
    view.current.top = place ?? Math.min(view.current.top, model.geometry.height);
    const element = scroller.current;
    if (element) element.scrollTop = fresh.seek(view.current.top);
  }, [model]);

  useEffect(() => {
    model.onGrown = (unit, change) => {
      map.resize(model.geometry.height);
      const isAbove = (model.geometry.tops[unit + 1] ?? 0) - change <= view.current.top;
      if (isAbove) seek(view.current.top + change);
      else look();
    };
    look();
    fetchSeen();
    return () => model.stop();
  }, [model, map]);

  useEffect(() => () => clearTimeout(near.current.timer), []);

  useEffect(() => {
    const element = scroller.current;
    if (!element) return undefined;
    const pace = new Pace();
    let fetched = 0;
    let resting = 0;
    let settled: ReturnType<typeof setTimeout> | undefined;
    let kept: ReturnType<typeof setTimeout> | undefined;
    const paced = (): void => {
      if (isFast.value && !pace.isFast) arrive();
      isFast.value = pace.isFast;
      look();
    };
    const rest = (): void => {
      pace.rest();
      paced();
      fetchSeen();
    };
    const onScroll = (event: Event): void => {
      const top = map.scrolled(element.scrollTop);
      pace.moved(top - view.current.top, event.timeStamp, view.current.height);
      view.current.top = top;
      paced();
      if (!pace.isFast && event.timeStamp - fetched > FETCH_MS) {
        fetched = event.timeStamp;
        fetchSeen();
      }
      clearTimeout(settled);
      cancelAnimationFrame(resting);
      // The frame tells a rest from a long frame: had the list moved, its event would come first.
      settled = setTimeout(() => (resting = requestAnimationFrame(rest)), SETTLED_MS);
      clearTimeout(kept);
      kept = setTimeout(() => keepPlace(model.anchorAt(view.current.top)), KEPT_MS);
    };
    const watcher = new ResizeObserver(() => {
      const anchor = model.anchorAt(view.current.top);
      view.current.height = element.clientHeight;
      const measures = measuresFor(element.firstElementChild?.clientWidth ?? element.clientWidth);
      if (measures.width !== model.geometry.measures.width) {
        model.measure(measures);
        map.resize(model.geometry.height);
        seek((anchor && model.find({ ...anchor, into: 0 })) ?? 0);
      } else {
        look();
        fetchSeen();
      }
    });
    element.addEventListener("scroll", onScroll, { passive: true });
    watcher.observe(element);
    return () => {
      clearTimeout(settled);
      clearTimeout(kept);
      cancelAnimationFrame(resting);
      element.removeEventListener("scroll", onScroll);
      watcher.disconnect();
    };
  }, [model, map]);

  function reveal(index: number): void {
    const unit = model.unitOf(index);
    const rows = model.geometry.layout(unit).rows;
    const inside = index - (model.units[unit]?.start ?? 0);
    const row = rows.findLast((each) => each.first <= inside);
    const top = (model.geometry.tops[unit] ?? 0) + model.geometry.headingOf(unit) + (row?.top ?? 0);
    const height = row?.height ?? 0;
    if (top < view.current.top || top + height > view.current.top + view.current.height) {
      seek(top - (view.current.height - height) / 2);
    }
  }

  if (control) {
    control.goTo = (unit) => seek(model.geometry.tops[unit] ?? 0);
    control.reveal = (index) => {
      reveal(index);
      focusOn(index);
    };
  }

  function onKeyDown(event: KeyboardEvent): void {
    const target = neighbour(model, focused.value, event.key);
    if (target === null) return;
    event.preventDefault();
    reveal(target);
    focusOn(target);
  }

  function focusOn(index: number): void {
    focused.value = index;
    const until = performance.now() + ARRIVAL_MS;
    const take = (): void => {
      const tile = scroller.current?.querySelector<HTMLElement>(`[data-index="${index}"]`);
      if (tile) tile.focus({ preventScroll: true });
      else if (focused.value === index && performance.now() < until) requestAnimationFrame(take);
    };
    requestAnimationFrame(take);
  }

  model.version.value;
  const [first, last] = [model.geometry.at(seen.value.from), model.geometry.at(seen.value.to)];

  const formerly = drawn.current;
  drawn.current = new Set();
  const { width, height } = model.geometry.usualPlace;
  const { gap } = model.geometry.measures;
  const style = {
    height: `${map.outerHeight}px`,
    "--place-width": `${width}px`,
    "--place-height": `${height}px`,
    "--gap": `${gap}px`,
  };
  return (
    <div class="grid-scroller" ref={scroller} tabIndex={-1}>
      <div class="grid" role="group" aria-label={label} style={style} onKeyDown={onKeyDown}>
        {model.units.slice(first, last + 1).map((unit, offset) => {
          const index = first + offset;
          const top = model.geometry.tops[index] ?? 0;
          const heading = model.geometry.headingOf(index);
          const layout = model.geometry.layout(index);
          const photos = !isFast.value || formerly.has(index) ? model.of(index) : undefined;
          if (photos) drawn.current.add(index);
          const [from, to] = photos ? rowsBetween(layout, seen.value.from - top - heading, seen.value.to - top - heading) : [0, 0];
          const isHere = focused.value >= unit.start && focused.value < unit.start + unit.count;
          return (
            <UnitView
              key={`${unit.section.key} ${unit.page}`}
              unit={unit}
              photos={photos}
              layout={layout}
              heading={heading}
              top={top + shift.value}
              from={from}
              to={to}
              total={model.total}
              focused={isHere ? focused.value : -1}
              onOpen={onOpen}
            />
          );
        })}
      </div>
    </div>
  );
}

/** The photo that an arrow key leads to; null for another key. */
function neighbour(model: GridModel, from: number, key: string): number | null {
  const within = (index: number): number => Math.min(Math.max(index, 0), model.total - 1);
  if (key === "ArrowRight") return within(from + 1);
  if (key === "ArrowLeft") return within(from - 1);
  if (key === "Home") return 0;
  if (key === "End") return model.total - 1;
  if (key !== "ArrowDown" && key !== "ArrowUp") return null;
  const number = model.unitOf(from);
  const unit = model.units[number];
  if (!unit) return null;
  const rows = model.geometry.layout(number).rows;
  const row = rows.findIndex((_, at) => (rows[at + 1]?.first ?? Infinity) > from - unit.start);
  const column = from - unit.start - (rows[row]?.first ?? 0);
  if (key === "ArrowDown") {
    const next = rows[row + 1];
    return within(next ? unit.start + Math.min(next.first + column, unit.count - 1) : unit.start + unit.count);
  }
  const former = rows[row - 1];
  return within(former ? unit.start + former.first + Math.min(column, former.cells.length - 1) : unit.start - 1);
}
