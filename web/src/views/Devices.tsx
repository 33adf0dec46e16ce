// The devices of this person, or of the household for an admin: how each is, letting one in, and taking one out.
import { useEffect, useState } from "preact/hooks";

import { post } from "../api/client";
import { learnMe, me } from "../api/me";
import { texts } from "../i18n";
import { words } from "../i18n/manage";
import { agoText, clockText } from "../i18n/times";
import { PairDialog } from "../manage/PairDialog";
import { RevokeDialog } from "../manage/RevokeDialog";
import type { Device, Devices } from "../manage/types";
import { Failure, sentence } from "../ui/Message";
import { notice } from "../ui/notices";
import { usePolled } from "../ui/polled";
import { useTitle } from "../ui/title";
import "../styles/manage.css";

const TELLING = /^(device\.|tunnel\.)/;
const EVERY_MS = 30_000;

export default function DevicesView() {
  const say = words.value.devices;
  const list = usePolled<Devices>("/api/v1/devices", TELLING, EVERY_MS);
  const [leaving, setLeaving] = useState<Device | null>(null);
  const [isPairing, setPairing] = useState(false);
  useTitle(say.title);
  useEffect(() => void learnMe().catch(() => undefined), []);
  if (list.error) return <Failure error={list.error} onRetry={list.again} />;
  if (!list.value) return <p class="loading">{texts.value.loading}</p>;
  const isAdmin = me.value?.role === "admin";
  return (
    <div class="page manage">
      <h1>{say.title}</h1>
      <p class="row-acts">
        {isAdmin && (
          <button type="button" class="main" onClick={() => setPairing(true)}>
            {say.letIn}
          </button>
        )}
        <a class="button" href="/more/away">
          {say.away}
        </a>
      </p>
      {list.value.devices.length === 0 && (
        <p class="soft">
          {say.none}. {say.noneHint}
        </p>
      )}
      <ul class="rows">
        {list.value.devices.map((device) => (
          <li key={device.device_id} class="row">
            <Facts device={device} isAdmin={isAdmin} />
            <div class="row-acts">
              {isAdmin && device.tunnel && <TunnelSwitch device={device} onDone={list.again} />}
              {(isAdmin || device.is_current) && (
                <button type="button" class="danger" aria-label={`${say.remove}: ${device.device_name}`} onClick={() => setLeaving(device)}>
                  {say.remove}
                </button>
              )}
            </div>
          </li>
        ))}
      </ul>
      {leaving && <RevokeDialog device={leaving} onClose={() => setLeaving(null)} onDone={list.again} />}
      {isPairing && <PairDialog onClose={() => setPairing(false)} />}
    </div>
  );
}

function Facts({ device, isAdmin }: { device: Device; isAdmin: boolean }) {
  const say = words.value.devices;
  return (
    <div>
      <p class="row-name" dir="auto">
        {device.device_name}
        {device.is_current && <span class="badge">{say.current}</span>}
        {device.role === "admin" && <span class="badge">{say.admin}</span>}
        {isAdmin && <span class="badge">{device.username === null ? say.household : say.owner(device.username)}</span>}
      </p>
      <p class="soft">
        {say.seen(device.is_current ? say.now : device.last_seen_at ? agoText(device.last_seen_at) : say.never)} ·{" "}
        {say.paired(clockText(device.paired_at))}
      </p>
      <p class="soft">{tunnelText(device)}</p>
      {device.tunnel?.is_outdated && <p class="bad">{say.outdated}</p>}
      {device.last_sync && <SyncLine sync={device.last_sync} />}
    </div>
  );
}

function SyncLine({ sync }: { sync: NonNullable<Device["last_sync"]> }) {
  const say = words.value.devices;
  if (sync.message === null) return <p class="soft">{say.synced(agoText(sync.synced_at ?? sync.attempted_at))}</p>;
  return (
    <p class="bad">
      {say.syncFailed(agoText(sync.attempted_at), say.syncReasons[sync.message] ?? sync.message)}
      {sync.synced_at && ` ${say.synced(agoText(sync.synced_at))}`}
    </p>
  );
}

function tunnelText({ tunnel }: Device): string {
  const say = words.value.devices.tunnel;
  if (!tunnel) return say.none;
  if (tunnel.state === "revoked") return say.revoked;
  if (tunnel.is_connected) return say.connected;
  return tunnel.last_handshake ? say.idle(agoText(tunnel.last_handshake)) : say.unused;
}

function TunnelSwitch({ device, onDone }: { device: Device; onDone: () => void }) {
  const say = words.value.devices;
  const isAllowed = device.tunnel?.state === "allowed";
  const text = isAllowed ? say.stopTunnel : say.restoreTunnel;
  const change = (): void => {
    post(`/api/v1/vpn/${isAllowed ? "revoke" : "restore"}`, { device_id: device.device_id }).then(onDone, (error: unknown) =>
      notice(sentence(error)),
    );
  };
  return (
    <button type="button" onClick={change} aria-label={`${text}: ${device.device_name}`}>
      {text}
    </button>
  );
}
