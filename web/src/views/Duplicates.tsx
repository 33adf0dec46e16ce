// What is in the library more than once, byte for byte, with where each copy is.
import type { Pagination, Photo } from "../api/types";
import { describe, thumbnail } from "../grid/Tile";
import { count, sizeText, texts } from "../i18n";
import { words } from "../i18n/manage";
import { Failure, Message } from "../ui/Message";
import { useMore } from "../ui/more";
import { useTitle } from "../ui/title";
import "../styles/manage.css";

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
  useTitle(say.title);
  if (found.error) return <Failure error={found.error} onRetry={found.again} />;
  if (!found.items) return <p class="loading">{texts.value.loading}</p>;
  if (found.items.length === 0) return <Message title={say.none} hint={say.noneHint} />;
  return (
    <div class="page manage">
      <h1>{say.title}</h1>
      <p class="soft">
        {count(found.total, say.groups)}. {say.hint}
      </p>
      {found.items.map((group) => (
        <GroupPart key={group.sha256} group={group} />
      ))}
      {found.hasMore && (
        <button type="button" onClick={found.more}>
          {say.more}
        </button>
      )}
    </div>
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
