// The files that are in the folders but can't be shown, with the reasons.
import type { Pagination } from "../api/types";
import { count, sizeText, texts } from "../i18n";
import { words } from "../i18n/manage";
import { Failure, Message } from "../ui/Message";
import { useMore } from "../ui/more";
import { useTitle } from "../ui/title";
import "../styles/manage.css";

interface Problem {
  id: string;
  filename: string;
  path: string;
  size_bytes: number;
  reason: string;
  message: string;
}

const LIMIT = 100;

export default function Problems() {
  const say = words.value.problems;
  const found = useMore<Problem, { files: Problem[]; pagination: Pagination }>("/api/v1/host/quarantine", LIMIT, (page) => page.files);
  useTitle(say.title);
  if (found.error) return <Failure error={found.error} onRetry={found.again} />;
  if (!found.items) return <p class="loading">{texts.value.loading}</p>;
  if (found.items.length === 0) return <Message title={say.none} hint={say.noneHint} />;
  return (
    <div class="page manage">
      <h1>{say.title}</h1>
      <p class="soft">
        {count(found.total, say.files)}. {say.hint}
      </p>
      <ul class="rows">
        {found.items.map((file) => (
          <li key={file.id} class="row">
            <div>
              <p class="row-name" dir="auto">
                {file.filename}
              </p>
              <p class="bad" lang="en">
                {file.message}
              </p>
              <p class="soft">
                <span dir="auto">{file.path}</span> · {sizeText(file.size_bytes)}
              </p>
            </div>
          </li>
        ))}
      </ul>
      {found.hasMore && (
        <button type="button" onClick={found.more}>
          {say.more}
        </button>
      )}
    </div>
  );
}
