// What fingers, wheel and keys do to a map.
import { keep, worldPx, zoomAt, type Camera, type Point, type Size } from "./projection";

export interface Hands {
  camera(): Camera;
  size(): Size;
  move(camera: Camera): void;
}

const STEP_PX = 80;
const CLICK_PX = 6;

/** Have a map's element follow its user; the answer ends that. */
export function follow(element: HTMLElement, hands: Hands): () => void {
  const stop = new AbortController();
  const options = { signal: stop.signal };
  const fingers = new Map<number, Point>();
  let travelled = 0;

  const place = (event: MouseEvent): Point => {
    const box = element.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };
  const pan = (dx: number, dy: number): void => {
    const camera = hands.camera();
    const world = worldPx(camera.zoom);
    hands.move(keep({ ...camera, x: camera.x - dx / world, y: camera.y - dy / world }, hands.size()));
  };
  const zoom = (at: Point, by: number): void => hands.move(zoomAt(hands.camera(), hands.size(), at, by));

  element.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    if (fingers.size === 0) travelled = 0;
    fingers.set(event.pointerId, place(event));
  }, options);
  element.addEventListener("pointermove", (event) => {
    const before = fingers.get(event.pointerId);
    if (!before) return;
    const now = place(event);
    travelled += Math.abs(now.x - before.x) + Math.abs(now.y - before.y);
    // Only a finger that moves is held, so that a click still reaches what lies on the map.
    if (travelled > CLICK_PX && !element.hasPointerCapture(event.pointerId)) element.setPointerCapture(event.pointerId);
    const other = [...fingers].find(([id]) => id !== event.pointerId)?.[1];
    fingers.set(event.pointerId, now);
    if (!other) return pan(now.x - before.x, now.y - before.y);
    const middle = { x: (now.x + other.x) / 2, y: (now.y + other.y) / 2 };
    pan((now.x - before.x) / 2, (now.y - before.y) / 2);
    return zoom(middle, Math.log2(Math.max(apart(now, other), 1) / Math.max(apart(before, other), 1)));
  }, options);
  for (const end of ["pointerup", "pointercancel"] as const) {
    element.addEventListener(end, (event) => void fingers.delete(event.pointerId), options);
  }
  element.addEventListener("click", (event) => {
    if (travelled > CLICK_PX) event.stopPropagation();
  }, { capture: true, ...options });
  element.addEventListener("wheel", (event) => {
    event.preventDefault();
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_PIXEL ? 1 : 30;
    zoom(place(event), Math.min(Math.max((-event.deltaY * lines) / 300, -1), 1));
  }, { passive: false, ...options });
  element.addEventListener("dblclick", (event) => {
    if (!(event.target as Element).closest("button")) zoom(place(event), event.shiftKey ? -1 : 1);
  }, options);
  element.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { width, height } = hands.size();
    const middle = { x: width / 2, y: height / 2 };
    const acts: Record<string, () => void> = {
      ArrowLeft: () => pan(STEP_PX, 0),
      ArrowRight: () => pan(-STEP_PX, 0),
      ArrowUp: () => pan(0, STEP_PX),
      ArrowDown: () => pan(0, -STEP_PX),
      "+": () => zoom(middle, 1),
      "=": () => zoom(middle, 1),
      "-": () => zoom(middle, -1),
    };
    const act = acts[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  }, options);
  return () => stop.abort();
}

const apart = (one: Point, other: Point): number => Math.hypot(one.x - other.x, one.y - other.y);
