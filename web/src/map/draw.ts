// Draws the outlines that a camera sees onto a canvas, in the page's colours.
import type { Outlines } from "./outlines";
import { toScreen, worldPx, type Camera, type Size } from "./projection";

export interface Colours {
  sea: string;
  land: string;
  border: string;
  name: string;
}

/** The colours that the styles give this element. */
export function coloursOf(element: Element): Colours {
  const style = getComputedStyle(element);
  const of = (name: string): string => style.getPropertyValue(`--map-${name}`).trim();
  return { sea: of("sea"), land: of("land"), border: of("border"), name: of("name") };
}

/** Fit the canvas to its element; its size in CSS pixels. */
export function resize(canvas: HTMLCanvasElement): Size {
  const { clientWidth: width, clientHeight: height } = canvas;
  const ratio = Math.min(devicePixelRatio, 2);
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  return { width, height };
}

export function draw(canvas: HTMLCanvasElement, camera: Camera, outlines: Outlines | null, colours: Colours): void {
  const brush = canvas.getContext("2d");
  if (!brush) return;
  const size = { width: canvas.clientWidth, height: canvas.clientHeight };
  const ratio = Math.min(devicePixelRatio, 2);
  brush.setTransform(ratio, 0, 0, ratio, 0, 0);
  brush.fillStyle = colours.sea;
  brush.fillRect(0, 0, size.width, size.height);
  if (!outlines) return;
  const world = worldPx(camera.zoom);
  const [halfX, halfY] = [size.width / 2 / world, size.height / 2 / world];
  for (const turn of [-1, 0, 1]) {
    const [left, right] = [camera.x - halfX - turn, camera.x + halfX - turn];
    const across = size.width / 2 - (camera.x - turn) * world;
    const down = size.height / 2 - camera.y * world;
    brush.setTransform(ratio * world, 0, 0, ratio * world, ratio * across, ratio * down);
    brush.fillStyle = colours.land;
    for (const { path, bounds } of outlines.land) {
      const isSeen =
        bounds[2] >= left && bounds[0] <= right && bounds[3] >= camera.y - halfY && bounds[1] <= camera.y + halfY;
      if (isSeen) brush.fill(path);
    }
    brush.strokeStyle = colours.border;
    brush.lineWidth = 1 / world;
    brush.stroke(outlines.borders);
  }
  brush.setTransform(ratio, 0, 0, ratio, 0, 0);
  drawNames(brush, camera, size, outlines, colours);
}

/** The names of the countries that are wide enough to carry theirs, the widest first, none over another. */
function drawNames(
  brush: CanvasRenderingContext2D,
  camera: Camera,
  size: Size,
  { countries }: Outlines,
  colours: Colours,
): void {
  const world = worldPx(camera.zoom);
  const taken: [number, number, number, number][] = [];
  brush.font = "12px system-ui, sans-serif";
  brush.textAlign = "center";
  brush.textBaseline = "middle";
  brush.fillStyle = colours.name;
  for (const { name, middle, width } of countries) {
    if (width * world < 40) break;
    const { x, y } = toScreen(camera, size, middle);
    if (x < 0 || y < 0 || x > size.width || y > size.height) continue;
    const half = brush.measureText(name).width / 2;
    if (half * 2 > width * world) continue;
    const mine: (typeof taken)[number] = [x - half - 4, y - 9, x + half + 4, y + 9];
    if (taken.some((box) => box[0] < mine[2] && box[2] > mine[0] && box[1] < mine[3] && box[3] > mine[1])) continue;
    taken.push(mine);
    brush.fillText(name, x, y);
  }
}
