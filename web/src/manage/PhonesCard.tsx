// Have all devices been here lately, and does each know the way home.
import { count } from "../i18n";
import { words } from "../i18n/manage";
import { usePolled } from "../ui/polled";
import type { Device, Devices } from "./types";

const WEEK_MS = 7 * 86_400_000;
const EVERY_MS = 60_000;

export function PhonesCard() {
  const say = words.value.home.phones;
  const list = usePolled<Devices>("/api/v1/devices", /^(device\.|tunnel\.)/, EVERY_MS);
  if (!list.value) return null;
  const { devices } = list.value;
  const silent = devices.filter(
    ({ is_current, last_seen_at, paired_at }) => !is_current && Date.now() - Date.parse(last_seen_at ?? paired_at) > WEEK_MS,
  );
  const outdated = devices.filter(({ tunnel }) => tunnel?.is_outdated);
  return (
    <section class="card">
      <h2>{say.title}</h2>
      {devices.length === 0 && <p class="soft">{say.none}</p>}
      {devices.length > 0 && silent.length === 0 && <p class="good">{count(devices.length, say.well)}</p>}
      <Named text={say.silent} devices={silent} />
      <Named text={say.outdated} devices={outdated} />
      <p>
        <a href="/more/devices">{say.all}</a>
      </p>
    </section>
  );
}

function Named({ text, devices }: { text: Parameters<typeof count>[1]; devices: readonly Device[] }) {
  if (devices.length === 0) return null;
  return (
    <>
      <p class="bad">{count(devices.length, text)}</p>
      <ul>
        {devices.map((device) => (
          <li key={device.device_id} dir="auto">
            {device.device_name}
          </li>
        ))}
      </ul>
    </>
  );
}
