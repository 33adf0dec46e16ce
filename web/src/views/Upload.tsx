// Sending photos to the host: choosing them, how each one goes, and what an earlier visit has left.
import { useComputed } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";

import { count, numberText, sizeText, texts } from "../i18n";
import { words } from "../i18n/manage";
import { add, again, clear, drop, forgetUnfinished, unfinished } from "../upload/queue";
import { items, overall, type Item } from "../upload/state";
import { useTitle } from "../ui/title";
import "../styles/manage.css";
import "../styles/upload.css";

/** So many lines at most: whoever sends thousands looks at the sum. */
const SHOWN = 200;

export default function Upload() {
  const say = words.value.upload;
  useTitle(say.title);
  const shown = useComputed(() => [...items.value].toSorted((one, other) => rank(one) - rank(other)).slice(0, SHOWN));
  const rest = items.value.length - shown.value.length;
  return (
    <div class="page manage">
      <h1>{say.title}</h1>
      <Picker />
      <Unfinished />
      {items.value.length > 0 && <Sum />}
      <ul class="uploads">
        {shown.value.map((item) => (
          <Line key={item.id} item={item} />
        ))}
      </ul>
      {rest > 0 && <p class="soft">{count(rest, say.more)}</p>}
    </div>
  );
}

const RANKS = { sending: 0, paused: 0, refused: 1, waiting: 2, known: 3, done: 3 };
const rank = (item: Item): number => RANKS[item.progress.value.state];

function Picker() {
  const say = words.value.upload;
  const field = useRef<HTMLInputElement>(null);
  return (
    <div class="picker">
      <input
        ref={field}
        hidden
        type="file"
        accept="image/*,video/*"
        multiple
        onChange={(event) => {
          add([...(event.currentTarget.files ?? [])]);
          event.currentTarget.value = ""; // so that the same may be chosen again
        }}
      />
      <button type="button" class="main" onClick={() => field.current?.click()}>
        {say.choose}
      </button>
      <p class="soft">{say.hint}</p>
    </div>
  );
}

/** What an earlier visit has begun; the browser lets no page open those files again by itself. */
function Unfinished() {
  const say = words.value.upload;
  const [left, setLeft] = useState(0);
  const total = items.value.length;
  useEffect(() => void unfinished().then((found) => setLeft(found.length)), [total]);
  if (left === 0) return null;
  return (
    <p class="hint" role="status">
      {count(left, say.unfinished)} {say.unfinishedHint}{" "}
      <button type="button" onClick={() => void forgetUnfinished().then(() => setLeft(0))}>
        {say.forget}
      </button>
    </p>
  );
}

function Sum() {
  const say = words.value.upload;
  const { files, over, refused, sentBytes, totalBytes } = overall.value;
  const isOver = over === files;
  return (
    <section class="sum">
      <p role="status">
        {isOver ? `${texts.value.upload.finished}. ${count(files - refused, say.arrived)}.` : say.overall(numberText(over), count(files, say.files))}
        {!isOver && <span class="soft"> {say.overall(sizeText(sentBytes), sizeText(totalBytes))}</span>}
      </p>
      <progress max={totalBytes || 1} value={isOver ? totalBytes || 1 : sentBytes} aria-label={say.progress} />
      {over > 0 && (
        <button type="button" onClick={clear}>
          {say.clear}
        </button>
      )}
    </section>
  );
}

function Line({ item }: { item: Item }) {
  const say = words.value.upload;
  const { state, sentBytes, reason, photoId } = item.progress.value;
  const isMoving = state === "sending" || state === "paused";
  return (
    <li class={`upload upload-${state}`} data-state={state}>
      <span class="upload-name" dir="auto">
        {item.file.name}
      </span>
      <span class="soft">
        {state === "refused" ? `${say.states.refused}: ${say.reasons[reason ?? ""] ?? say.reasons["other"]}` : say.states[state]}
        {isMoving && item.file.size > 0 && ` · ${say.overall(sizeText(sentBytes), sizeText(item.file.size))}`}
      </span>
      <span class="upload-act">
        {photoId && <a href={`/photo/${photoId}`}>{say.show}</a>}
        {state === "refused" && (
          <button type="button" onClick={() => again(item)} aria-label={`${say.again}: ${item.file.name}`}>
            {say.again}
          </button>
        )}
        {(isMoving || state === "waiting") && (
          <button type="button" onClick={() => drop(item)} aria-label={`${say.cancel}: ${item.file.name}`}>
            {say.cancel}
          </button>
        )}
      </span>
      {isMoving && <progress max={item.file.size || 1} value={sentBytes} aria-label={`${say.progress}: ${item.file.name}`} />}
    </li>
  );
}
