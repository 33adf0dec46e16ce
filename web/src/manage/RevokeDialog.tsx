// Taking a device out: what will stop working is said before it happens.
import { useState } from "preact/hooks";

import { post } from "../api/client";
import { words } from "../i18n/manage";
import { Dialog } from "../ui/Dialog";
import { sentence } from "../ui/Message";
import { notice } from "../ui/notices";
import type { Device } from "./types";

interface Props {
  device: Device;
  onClose: () => void;
  onDone: () => void;
}

export function RevokeDialog({ device, onClose, onDone }: Props) {
  const say = words.value.devices;
  const [problem, setProblem] = useState("");
  const revoke = (): void => {
    post("/api/v1/auth/revoke", { device_id: device.device_id }).then(
      () => {
        notice(say.removed(device.device_name));
        onClose();
        onDone();
      },
      (error: unknown) => setProblem(sentence(error)),
    );
  };
  return (
    <Dialog title={say.removeTitle(device.device_name)} onClose={onClose}>
      <ul>
        {consequences(device).map((text) => (
          <li key={text}>{text}</li>
        ))}
      </ul>
      {problem && (
        <p class="bad" role="alert">
          {problem}
        </p>
      )}
      <p class="actions">
        <button type="button" autofocus onClick={onClose}>
          {words.value.dialog.cancel}
        </button>
        <button type="button" class="danger" onClick={revoke}>
          {say.remove}
        </button>
      </p>
    </Dialog>
  );
}

/** What stops working for this device. */
function consequences(device: Device): string[] {
  const say = words.value.devices.consequences;
  return [
    ...(device.is_current ? [say.self] : []),
    say.photos,
    say.running,
    ...(device.tunnel?.state === "allowed" ? [say.tunnel] : []),
    ...(device.last_sync ? [say.sync] : []),
    say.back,
  ];
}
