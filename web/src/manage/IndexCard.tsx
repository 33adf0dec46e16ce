// Is everything indexed: live while it isn't, and the way to look for new photos now.
import { useEffect, useState } from "preact/hooks";

import { post } from "../api/client";
import { onHappening } from "../api/live";
import { count, numberText } from "../i18n";
import { words } from "../i18n/manage";
import { agoText, spanText } from "../i18n/times";
import { sentence } from "../ui/Message";
import { notice } from "../ui/notices";
import type { Status } from "./types";

type Indexing = Status["indexing_status"];

export function IndexCard({ status }: { status: Status }) {
  const say = words.value.home.index;
  const now = useLive(status.indexing_status);
  const scan = (): void => {
    post("/api/v1/host/scan").then(
      () => notice(say.scanning),
      (error: unknown) => notice(sentence(error)),
    );
  };
  return (
    <section class="card">
      <h2>{say.title}</h2>
      {now.in_progress ? <Working now={now} /> : <p class="good">{say.done}</p>}
      <p>{count(status.indexing_status.photos_indexed, say.count)}</p>
      <ul class="plain">
        {status.photo_roots.map((root) => (
          <li key={root.path} class={root.state === "offline" ? "bad" : "soft"}>
            <span dir="auto">{root.name}</span>: {numberText(root.total_photos)}
            {root.state === "offline" ? `, ${say.offline}` : root.last_scan && `, ${say.lastScan(agoText(root.last_scan))}`}
          </li>
        ))}
      </ul>
      {status.indexing_status.quarantined > 0 && (
        <p>
          <a href="/more/problems">{count(status.indexing_status.quarantined, say.problems)}</a>
        </p>
      )}
      <button type="button" onClick={scan}>
        {say.scan}
      </button>
    </section>
  );
}

function Working({ now }: { now: Indexing }) {
  const say = words.value.home.index;
  const isCounted = now.stage !== "listing" && now.total > 0;
  return (
    <div>
      <p>
        {say.stages[now.stage] ?? say.stages["idle"]}
        {now.total > 0 && `: ${isCounted ? say.of(numberText(now.done), numberText(now.total)) : numberText(now.total)}`}
        {now.eta_seconds ? `, ${say.left(spanText(now.eta_seconds))}` : ""}
      </p>
      {isCounted ? <progress max={now.total} value={now.done} aria-label={say.title} /> : <progress aria-label={say.title} />}
    </div>
  );
}

/** The state as it was asked for, moved on by what the host tells meanwhile. */
function useLive(asked: Indexing): Indexing {
  const [now, setNow] = useState(asked);
  useEffect(() => setNow(asked), [asked]);
  useEffect(
    () =>
      onHappening(({ type, data }) => {
        if (type === "scan.progress") setNow((before) => ({ ...before, in_progress: true, ...(data as Partial<Indexing>) }));
        if (type === "scan.finished") setNow((before) => ({ ...before, in_progress: false }));
      }),
    [],
  );
  return now;
}
