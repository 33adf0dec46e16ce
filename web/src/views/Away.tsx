// Use away from home: this device's tunnel as a QR code, a file and steps in words.
import { useEffect, useState } from "preact/hooks";

import { get } from "../api/client";
import { texts } from "../i18n";
import { words } from "../i18n/manage";
import type { Device, Devices } from "../manage/types";
import { Failure } from "../ui/Message";
import { usePolled } from "../ui/polled";
import { useTitle } from "../ui/title";
import "../styles/manage.css";

const CONFIG = "/api/v1/vpn/config";
const EVERY_MS = 60_000;

export default function Away() {
  const say = words.value.devices;
  const list = usePolled<Devices>("/api/v1/devices", /^(device\.|tunnel\.)/, EVERY_MS);
  useTitle(say.away);
  if (list.error) return <Failure error={list.error} onRetry={list.again} />;
  if (!list.value) return <p class="loading">{texts.value.loading}</p>;
  const device = list.value.devices.find(({ is_current }) => is_current);
  return (
    <div class="page manage">
      <h1>{say.away}</h1>
      <Body device={device} />
      <p>
        <a href="/away">{say.awayMore}</a>
      </p>
    </div>
  );
}

function Body({ device }: { device: Device | undefined }) {
  const say = words.value.devices;
  if (!device?.tunnel) {
    return (
      <p>
        {say.awayNone} <a href="/pair">{texts.value.session.pair}</a>
      </p>
    );
  }
  if (device.tunnel.state === "revoked") return <p>{say.awayRevoked}</p>;
  return (
    <>
      <p>{say.awayIntro}</p>
      {device.tunnel.is_outdated && <p class="hint bad">{say.outdated}</p>}
      {device.tunnel.is_connected && <p class="good">{say.tunnel.connected}</p>}
      <ol class="steps">
        {say.awaySteps.map((step) => (
          <li key={step}>{step}</li>
        ))}
      </ol>
      <Configuration address={device.tunnel.address} />
      <p class="hint">{say.awayOnly}</p>
    </>
  );
}

function Configuration({ address }: { address: string }) {
  const say = words.value.devices;
  const [isShown, setShown] = useState(false);
  const [hasKey, setHasKey] = useState<boolean | null>(null);
  const [isFailed, setFailed] = useState(false);
  const [host, setHost] = useState("");
  useEffect(() => {
    get<{ private_key: string | null }>(CONFIG).then(
      (config) => setHasKey(config.private_key !== null),
      () => setFailed(true),
    );
    get<{ addresses: { kind: string; url: string }[] }>("/api/v1/discovery/info").then(
      (info) => setHost(info.addresses.find(({ kind }) => kind === "tunnel")?.url ?? ""),
      () => undefined,
    );
  }, [address]);
  if (isFailed) return <p class="bad">{say.awayFailed}</p>;
  if (hasKey === null) return <p class="loading">{texts.value.loading}</p>;
  if (!hasKey) return <p>{say.awayKey}</p>;
  return (
    <>
      <p class="row-acts">
        {!isShown && (
          <button type="button" class="main" onClick={() => setShown(true)}>
            {say.awayShow}
          </button>
        )}
        <a class="button" href={`${CONFIG}?format=conf`} download="pixlsrve.conf">
          {say.awayFile}
        </a>
        <a class="button" href={`${CONFIG}?format=mobileconfig&platform=ios`} download="pixlsrve.mobileconfig">
          {say.awayApple}
        </a>
        <a class="button" href={`${CONFIG}?format=mobileconfig&platform=macos`} download="pixlsrve.mobileconfig">
          {say.awayMac}
        </a>
      </p>
      {isShown && <img class="qr" src={`${CONFIG}?format=qr`} alt={say.awayQr} />}
      {host && (
        <p>
          <a href={host}>{host}</a>
        </p>
      )}
    </>
  );
}
