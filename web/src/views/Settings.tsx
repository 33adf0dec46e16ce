// The settings in force with their meaning; they are changed on the host.
import { get } from "../api/client";
import { numberText, texts } from "../i18n";
import { words } from "../i18n/manage";
import { Failure } from "../ui/Message";
import { useTitle } from "../ui/title";
import { useOnce } from "../ui/once";
import "../styles/manage.css";

interface Setting {
  key: string;
  value: unknown;
  default: unknown;
}

export default function Settings() {
  const say = words.value.settings;
  const found = useOnce(() => get<{ settings: Setting[] }>("/api/v1/host/settings"));
  useTitle(say.title);
  if (found.error) return <Failure error={found.error} onRetry={found.again} />;
  if (!found.value) return <p class="loading">{texts.value.loading}</p>;
  const { settings } = found.value;
  const told = Object.keys(say.meanings).flatMap((key) => settings.filter((setting) => setting.key === key));
  const rest = settings.filter(({ key }) => !(key in say.meanings));
  return (
    <div class="page manage settings">
      <h1>{say.title}</h1>
      <p class="hint">{say.hint}</p>
      <dl>
        {told.map((setting) => (
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
          {rest.map((setting) => (
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
  const isStandard = JSON.stringify(setting.value) === JSON.stringify(setting.default);
  return (
    <>
      <code>{setting.key}</code>: <b dir="auto">{shown(setting.value)}</b> {isStandard && <span class="soft">({say.standard})</span>}
    </>
  );
}

function shown(value: unknown): string {
  const say = words.value.settings;
  if (typeof value === "boolean") return value ? say.on : say.off;
  if (typeof value === "number") return Number.isInteger(value) ? String(value) : numberText(value);
  if (Array.isArray(value)) return value.length > 0 ? value.join(", ") : say.empty;
  return String(value) || say.empty;
}
