// One unit of a list, as far as it is in sight: its heading, and its photos or the rows that they will stand in.
import type { Photo } from "../api/types";
import { texts } from "../i18n";
import { steady } from "../ui/steady";
import type { Layout, Row } from "./layout";
import { Tile } from "./Tile";
import type { Unit } from "./units";

interface Props {
  unit: Unit;
  photos: readonly Photo[] | undefined;
  layout: Layout;
  heading: number;
  top: number;
  /** The first row that is drawn, and the one after the last. */
  from: number;
  to: number;
  /** Photos in the whole list. */
  total: number;
  /** The photo that the keyboard is at; -1 when it is in another unit. */
  focused: number;
  onOpen: (index: number) => void;
}

export const UnitView = steady(({ unit, photos, layout, heading, top, from, to, ...rest }: Props) => {
  const title = unit.section.title || texts.value.timeline.undated;
  return (
    <div class="grid-unit" role="presentation" style={{ transform: `translateY(${top}px)` }}>
      {heading > 0 && <h2 class="grid-heading">{title}</h2>}
      {photos ? (
        <div key="photos" role="list" aria-label={unit.section.title || texts.value.timeline.title}>
          {layout.rows.slice(from, to).flatMap((row) => tiles(row, unit, photos, heading, rest))}
        </div>
      ) : (
        <div key="places" role="presentation">
          {places(layout, heading)}
        </div>
      )}
    </div>
  );
});

type Rest = Pick<Props, "total" | "focused" | "onOpen">;

function tiles(row: Row, unit: Unit, photos: readonly Photo[], heading: number, { total, focused, onOpen }: Rest) {
  return row.cells.map((cell, at) => {
    const photo = photos[row.first + at];
    const index = unit.start + row.first + at;
    return (
      photo && (
        <Tile
          key={photo.id}
          photo={photo}
          index={index}
          total={total}
          left={cell.left}
          top={heading + row.top}
          width={cell.width}
          height={row.height}
          isFocus={index === focused}
          onOpen={onOpen}
        />
      )
    );
  });
}

/** The places of all photos, as two elements with a pattern: of each photo an own one is too much for a fast scroll. */
function places({ rows }: Layout, heading: number) {
  const last = rows.at(-1);
  const end = last?.cells.at(-1);
  if (!last || !end) return null;
  const above = { top: `${heading}px`, width: "100%", height: `${last.top}px` };
  const below = {
    top: `${heading + last.top}px`,
    width: `${end.left + end.width}px`,
    height: `${last.height}px`,
    // the last row is not stretched to the full width, or by another measure
    "--place-width": `${end.width}px`,
    "--place-height": `${last.height}px`,
  };
  return [above, below].map((style, at) => <div key={at} class="tile tile-empty" style={style} role="presentation" />);
}
