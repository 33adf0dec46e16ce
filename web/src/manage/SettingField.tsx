// One setting that can be changed: its meaning, a control that fits its type, where it comes from, what is wrong with it.
import { useId } from "preact/hooks";

import { numberText } from "../i18n";
import { words } from "../i18n/manage";
import type { Setting } from "./settings";

const PERIODS = ["second", "minute", "hour", "day"] as const;

interface Props {
  setting: Setting;
  /** What stands in the control: the value, or what is to become it. */
  value: unknown;
  problem: string;
  isWaiting: boolean;
  onChange: (value: unknown) => void;
  onTakeBack: () => void;
}

interface ControlProps {
  setting: Setting;
  value: unknown;
  id: string;
  described: { "aria-describedby": string; "aria-invalid": boolean };
  onChange: (value: unknown) => void;
}

export function SettingField({ setting, value, problem, isWaiting, onChange, onTakeBack }: Props) {
  const say = words.value.settings;
  const id = useId();
  const described = { "aria-describedby": `${id}-problem ${id}-note`, "aria-invalid": problem !== "" };
  return (
    <div class={`setting setting-${setting.control?.kind}`} data-key={setting.key}>
      <label for={id}>{say.meanings[setting.key] ?? setting.key}</label>
      <ControlFor setting={setting} value={value} id={id} described={described} onChange={onChange} />
      <p class="bad" id={`${id}-problem`} role="alert">
        {problem}
      </p>
      <p class="soft setting-note" id={`${id}-note`}>
        <code>{setting.key}</code> · {say.sources[setting.source]}
        {setting.source !== "default" && ` · ${say.delivered(shown(setting, setting.default))}`}
        {isWaiting && <b> · {say.afterRestart}</b>}
      </p>
      {setting.source === "page" && (
        <button type="button" class="small" aria-label={say.takeBackOf(setting.key)} onClick={onTakeBack}>
          {say.takeBack}
        </button>
      )}
    </div>
  );
}

function ControlFor(props: ControlProps) {
  const { setting, value, id, described, onChange } = props;
  const say = words.value.settings;
  const text = String(value ?? "");
  switch (setting.control?.kind) {
    case "switch":
      return <input id={id} type="checkbox" role="switch" checked={value === true} {...described} onChange={(event) => onChange(event.currentTarget.checked)} />;
    case "number":
      return <NumberInput {...props} />;
    case "choice":
      return (
        <select id={id} value={text} {...described} onChange={(event) => onChange(event.currentTarget.value)}>
          {(setting.control.choices ?? []).map((choice) => (
            <option key={choice} value={choice}>
              {say.choices[setting.key]?.[choice] ?? choice}
            </option>
          ))}
        </select>
      );
    case "rate":
      return <RateInput {...props} />;
    case "list":
      return (
        <textarea id={id} rows={2} dir="auto" spellcheck={false} {...described} onInput={(event) => onChange(lines(event.currentTarget.value))}>
          {(value as string[]).join("\n")}
        </textarea>
      );
    default:
      return <input id={id} type="text" value={text} dir="auto" maxLength={1_000} autocomplete="off" spellcheck={false} {...described} onInput={(event) => onChange(event.currentTarget.value.trim())} />;
  }
}

function NumberInput({ setting, value, id, described, onChange }: ControlProps) {
  const { minimum, maximum } = setting.control ?? {};
  const read = (input: HTMLInputElement): void => onChange(input.value === "" ? "" : Number(input.value));
  return <input id={id} type="number" inputMode="numeric" required step={1} min={minimum} max={maximum} value={String(value)} {...described} onInput={(event) => read(event.currentTarget)} />;
}

/** "60/minute" as a number and a period, "off" as no limit. */
function RateInput({ setting, value, id, described, onChange }: ControlProps) {
  const say = words.value.settings;
  const [number, period] = parts(value) ?? parts(setting.value) ?? parts(setting.default) ?? ["1", "minute"];
  const isOff = value === "off";
  return (
    <div class="rate">
      {!isOff && (
        <input
          id={id}
          type="number"
          inputMode="numeric"
          required
          step={1}
          min={1}
          max={999_999_999}
          value={number}
          {...described}
          onInput={(event) => onChange(`${event.currentTarget.value}/${period}`)}
        />
      )}
      <select
        id={isOff ? id : undefined}
        aria-label={isOff ? undefined : say.period(say.meanings[setting.key] ?? setting.key)}
        value={isOff ? "off" : period}
        onChange={(event) => onChange(event.currentTarget.value === "off" ? "off" : `${number}/${event.currentTarget.value}`)}
      >
        {PERIODS.map((each) => (
          <option key={each} value={each}>
            {say.periods[each]}
          </option>
        ))}
        <option value="off">{say.noLimit}</option>
      </select>
    </div>
  );
}

/** A value in words. */
export function shown(setting: Setting, value: unknown): string {
  const say = words.value.settings;
  const rate = setting.control?.kind === "rate" ? parts(value) : null;
  if (rate) return `${rate[0]} ${say.periods[rate[1] as keyof typeof say.periods]}`;
  if (setting.control?.kind === "rate") return say.noLimit;
  if (typeof value === "boolean") return value ? say.on : say.off;
  if (typeof value === "number") return Number.isInteger(value) ? String(value) : numberText(value);
  if (Array.isArray(value)) return value.length > 0 ? value.join(", ") : say.empty;
  return say.choices[setting.key]?.[String(value)] ?? (String(value ?? "") || say.empty);
}

const parts = (rate: unknown): [string, string] | null => {
  const [number, period] = String(rate).split("/");
  return number !== undefined && period !== undefined ? [number, period] : null;
};

const lines = (text: string): string[] => text.split(/[\n,]/).map((line) => line.trim()).filter(Boolean);
