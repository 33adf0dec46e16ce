// What is wrong with what to do about it, what went wrong lately, and whether devices get home from outside.
import { count } from "../i18n";
import { words } from "../i18n/manage";
import { agoText } from "../i18n/times";
import type { Health, Status } from "./types";

const SHOWN_FAILURES = 5;

export function HealthCard({ health }: { health: Health }) {
  const say = words.value.home.health;
  const reasons = words.value.devices.syncReasons;
  return (
    <section class="card">
      <h2>{say.title}</h2>
      {health.findings.length === 0 && <p class="good">{say.good}</p>}
      {health.findings.map((finding) => (
        <div key={finding.message} class="finding">
          <p class={finding.severity === "error" ? "bad" : undefined}>
            <b>{say[finding.severity]}:</b> {finding.message}
          </p>
          <p class="soft">
            {say.todo} {finding.remedy}
          </p>
        </div>
      ))}
      {health.failures.length > 0 && (
        <>
          <h3>{say.failures}</h3>
          <ul class="plain">
            {health.failures.slice(0, SHOWN_FAILURES).map((failure) => (
              <li key={failure.at + failure.device_name}>
                <span dir="auto">{failure.device_name}</span>: {reasons[failure.message] ?? failure.message},{" "}
                <span class="soft">{agoText(failure.at)}</span>
              </li>
            ))}
          </ul>
        </>
      )}
    </section>
  );
}

export function OutsideCard({ health, tunnel }: { health: Health; tunnel: Status["wireguard_status"] | undefined }) {
  const say = words.value.home.outside;
  const verdict = health.reachability;
  if (!verdict) return null;
  return (
    <section class="card">
      <h2>{say.title}</h2>
      <p class={verdict.answer === "yes" ? "good" : verdict.answer === "no" ? "bad" : undefined}>
        {say.answers[verdict.answer] ?? verdict.message}
      </p>
      <p class="soft" lang="en">
        {verdict.message} {verdict.remedy}
      </p>
      {tunnel?.enabled && <p>{count(tunnel.connected_peers, say.peers)}</p>}
    </section>
  );
}
