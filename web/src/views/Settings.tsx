// The settings with their meaning: those that are safe to change from a page are changed here, the others on the host.
import { useEffect, useRef, useState } from "preact/hooks";

import { ApiError } from "../api/client";
import { texts } from "../i18n";
import { words } from "../i18n/manage";
import { SettingField, shown } from "../manage/SettingField";
import { askSettings, changeSettings, isOpen, isSame, settled, type Changes, type Setting, type Settings } from "../manage/settings";
import { Failure, sentence } from "../ui/Message";
import { notice } from "../ui/notices";
import { useTitle } from "../ui/title";
import { useOnce } from "../ui/once";
import "../styles/manage.css";

type Problem = { key: string; text: string };
const NO_PROBLEM: Problem = { key: "", text: "" };

export default function SettingsPage() {
  const found = useOnce(askSettings);
  useTitle(words.value.settings.title);
  if (found.error) return <Failure error={found.error} onRetry={found.again} />;
  if (!found.value) return <p class="loading">{texts.value.loading}</p>;
  return <SettingsForm first={found.value} />;
}

function SettingsForm({ first }: { first: Settings }) {
  const say = words.value.settings;
  const [answer, setAnswer] = useState(first);
  const [draft, setDraft] = useState<Changes>({});
  const [problem, setProblem] = useState(NO_PROBLEM);
  const [isBusy, setBusy] = useState(false);
  const form = useRef<HTMLFormElement>(null);
  const byKey = new Map(answer.settings.map((setting) => [setting.key, setting]));
  const changes = Object.fromEntries(Object.entries(draft).filter(([key, value]) => !isSame(value, byKey.get(key)?.value)));
  const isChanged = Object.keys(changes).length > 0;
  const closed = answer.settings.filter((setting) => !isOpen(setting));

  useEffect(() => {
    const field = form.current?.querySelector<HTMLElement>(`[data-key="${problem.key}"] [aria-invalid]`);
    field?.focus();
    field?.scrollIntoView({ block: "center" });
  }, [problem]);

  const send = async (wanted: Changes): Promise<void> => {
    setBusy(true);
    setProblem(NO_PROBLEM);
    try {
      let now = await changeSettings(wanted);
      setAnswer(now);
      setDraft((before) => Object.fromEntries(Object.entries(before).filter(([key]) => !(key in wanted))));
      if (now.reloading) {
        notice(say.taking);
        now = await settled();
        setAnswer(now);
      }
      notice(now.needs_restart.length > 0 ? say.waiting : say.saved);
    } catch (error) {
      setProblem(toProblem(error, byKey));
    } finally {
      setBusy(false);
    }
  };

  const field = (setting: Setting) => (
    <SettingField
      key={setting.key}
      setting={setting}
      value={setting.key in draft ? draft[setting.key] : setting.value}
      problem={problem.key === setting.key ? problem.text : ""}
      isWaiting={answer.needs_restart.includes(setting.key)}
      onChange={(value) => setDraft((before) => ({ ...before, [setting.key]: value }))}
      onTakeBack={() => void send({ [setting.key]: null })}
    />
  );

  return (
    <div class="page manage settings">
      <h1>{say.title}</h1>
      <p class="hint">{say.hint}</p>
      {answer.trouble && <p class="bad" role="alert">{say.trouble(answer.trouble)}</p>}
      {answer.needs_restart.length > 0 && !isBusy && <p class="hint">{say.waitingFor(answer.needs_restart.join(", "))}</p>}
      <form
        ref={form}
        onSubmit={(event) => {
          event.preventDefault();
          if (isChanged && !isBusy) void send(changes);
        }}
      >
        {say.groups.map(([title, keys]) => {
          const members = keys.flatMap((key) => byKey.get(key) ?? []).filter(isOpen);
          return (
            members.length > 0 && (
              <section key={title}>
                <h2>{title}</h2>
                {members.map(field)}
              </section>
            )
          );
        })}
        <div class="save" data-changed={isChanged || isBusy}>
          <p class={problem.text && !problem.key ? "bad" : "soft"} role="status">
            {isBusy ? say.taking : problem.key ? say.refused : problem.text || (isChanged ? say.unsaved : "")}
          </p>
          <button type="submit" class="main" disabled={!isChanged || isBusy}>
            {say.save}
          </button>
        </div>
      </form>
      <h2>{say.onHost}</h2>
      <p class="soft">{say.onHostHint}</p>
      <dl>
        {closed
          .filter(({ key }) => key in say.meanings)
          .map((setting) => (
            <div key={setting.key}>
              <dt>{say.meanings[setting.key]}</dt>
              <dd>
                <Value setting={setting} />
              </dd>
            </div>
          ))}
      </dl>
      <details>
        <summary>{say.rest}</summary>
        <ul class="plain">
          {closed
            .filter(({ key }) => !(key in say.meanings))
            .map((setting) => (
              <li key={setting.key}>
                <Value setting={setting} />
              </li>
            ))}
        </ul>
      </details>
    </div>
  );
}

function Value({ setting }: { setting: Setting }) {
  const say = words.value.settings;
  return (
    <>
      <code>{setting.key}</code>: <b dir="auto">{shown(setting, setting.value)}</b> <span class="soft">({say.sources[setting.source]})</span>
    </>
  );
}

/** What the host's refusal says to a person, and at which field. */
function toProblem(error: unknown, settings: ReadonlyMap<string, Setting>): Problem {
  const say = words.value.settings;
  const details = error instanceof ApiError ? error.details : {};
  const setting = settings.get(String(details["key"]));
  if (details["reason"] === "would_lock_out") return { key: "", text: say.wouldLockOut };
  if (!setting?.control) return { key: "", text: sentence(error) };
  const takes = say.takes[setting.key] ?? say.kinds[setting.control.kind](setting.control.minimum ?? 0, setting.control.maximum ?? 0);
  return { key: setting.key, text: details["reason"] === "invalid_setting" ? takes : sentence(error) };
}
