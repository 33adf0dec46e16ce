// The drawn map: outlines that follow a camera, and what is laid over them.
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";

import { coloursOf, draw, resize } from "./draw";
import { follow } from "./gestures";
import { outlines, type Outlines } from "./outlines";
import { keep, type Camera, type Size } from "./projection";
import "../styles/map.css";

const FINE_FROM = 3;

interface Props {
  camera: Camera;
  onMove?: (camera: Camera) => void;
  onSize: (size: Size) => void;
  /** Accessible name. */
  label: string;
  children?: ComponentChildren;
}

export function MapCanvas({ camera, onMove, onSize, label, children }: Props) {
  const place = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const now = useRef(camera);
  const size = useRef<Size>({ width: 0, height: 0 });
  const [world, setWorld] = useState<Outlines | null>(null);
  const [round, setRound] = useState(0);
  now.current = camera;
  const isFine = camera.zoom >= FINE_FROM;

  useEffect(() => {
    let isWanted = true;
    outlines(isFine).then(
      (found) => isWanted && setWorld(found),
      () => undefined, // the sea and the photos stay
    );
    return () => {
      isWanted = false;
    };
  }, [isFine]);

  useEffect(() => {
    const frame = requestAnimationFrame(() => {
      if (canvas.current) draw(canvas.current, now.current, world, coloursOf(canvas.current));
    });
    return () => cancelAnimationFrame(frame);
  }, [camera, world, round]);

  useEffect(() => {
    const element = canvas.current;
    if (!element) return undefined;
    const look = (): void => {
      size.current = resize(element);
      onSize(size.current);
      onMove?.(keep(now.current, size.current));
      setRound((before) => before + 1);
    };
    const watcher = new ResizeObserver(look);
    watcher.observe(element);
    const scheme = matchMedia("(prefers-color-scheme: dark)");
    scheme.addEventListener("change", look);
    return () => {
      watcher.disconnect();
      scheme.removeEventListener("change", look);
    };
  }, []);

  useEffect(() => {
    if (!place.current || !onMove) return undefined;
    const hands = { camera: () => now.current, size: () => size.current };
    const move = (next: Camera): void => {
      now.current = next;
      onMove(next);
    };
    return follow(place.current, { ...hands, move });
  }, [onMove]);

  return (
    <div class="map" ref={place} role="group" aria-label={label} tabIndex={onMove ? 0 : undefined}>
      <canvas ref={canvas} aria-hidden="true" />
      {children}
    </div>
  );
}
