// What is in the library more than once, byte for byte, with where each copy is.
import type { Pagination, Photo } from "../api/types";
import { describe, thumbnail } from "../grid/Tile";
import { count, sizeText } from "../i18n";
import { words } from "../i18n/manage";
import { Listing } from "../ui/Listing";
import { useMore } from "../ui/more";

interface Group {
  sha256: string;
  count: number;
  size_bytes: number;
  photos: Photo[];
}

const LIMIT = 50;

export default function Duplicates() {
  const say = words.value.duplicates;
  const found = useMore<Group, { duplicates: Group[]; pagination: Pagination }>("/api/v1/duplicates", LIMIT, (page) => page.duplicates);
  return (
    <Listing found={found} say={say} counted={say.groups}>
      {(groups) => groups.map((group) => <GroupPart key={group.sha256} group={group} />)}
    </Listing>
  );
}

function GroupPart({ group }: { group: Group }) {
  const say = words.value.duplicates;
  const wasted = (group.size_bytes / group.count) * (group.count - 1);
  return (
    <section class="group">
      <h2>
        {count(group.count, say.copies)} <span class="soft">· {say.wasted(sizeText(wasted))}</span>
      </h2>
      <ul class="copies">
        {group.photos.map((photo) => (
          <li key={photo.id}>
            <a href={`/photo/${photo.id}`}>
              {photo.kind === "audio" ? (
                <span class="no-picture" />
              ) : (
                <img src={thumbnail(photo, 200)} alt={describe(photo)} loading="lazy" />
              )}
              <span dir="auto">{photo.path}</span>
            </a>
          </li>
        ))}
      </ul>
    </section>
  );
}
