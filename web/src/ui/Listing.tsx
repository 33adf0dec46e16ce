// A page that lists what the host has found, with more of it at a button.
import type { ComponentChildren } from "preact";

import { count, type Plural, texts } from "../i18n";
import { Failure, Message } from "./Message";
import type { More } from "./more";
import { useTitle } from "./title";
import "../styles/manage.css";

interface Words {
  title: string;
  none: string;
  noneHint: string;
  hint: string;
  more: string;
}

interface Props<Item> {
  found: More<Item>;
  say: Words;
  counted: Plural;
  children: (items: Item[]) => ComponentChildren;
}

export function Listing<Item>({ found, say, counted, children }: Props<Item>) {
  useTitle(say.title);
  if (found.error) return <Failure error={found.error} onRetry={found.again} />;
  if (!found.items) return <p class="loading">{texts.value.loading}</p>;
  if (found.items.length === 0) return <Message title={say.none} hint={say.noneHint} />;
  return (
    <div class="page manage">
      <h1>{say.title}</h1>
      <p class="soft">
        {count(found.total, counted)}. {say.hint}
      </p>
      {children(found.items)}
      {found.hasMore && (
        <button type="button" onClick={found.more}>
          {say.more}
        </button>
      )}
    </div>
  );
}
