// Letting a device in: a pairing window with its QR code, and who came through it.
import { useEffect, useState } from "preact/hooks";

import { get, post } from "../api/client";
import { onHappening } from "../api/live";
import { durationText, texts } from "../i18n";
import { words } from "../i18n/manage";
import { Dialog } from "../ui/Dialog";
import { sentence } from "../ui/Message";
import type { Users } from "./types";

interface Offer {
  url: string;
  code: string;
  qr_png: string;
  expires_in: number;
}

export function PairDialog({ onClose }: { onClose: () => void }) {
  const say = words.value.devices;
  const [owner, setOwner] = useState("");
  const [names, setNames] = useState<string[]>([]);
  const [offer, setOffer] = useState<(Offer & { endsAt: number }) | null>(null);
  const [joined, setJoined] = useState("");
  const [problem, setProblem] = useState("");
  const open = (): void => {
    setJoined("");
    setProblem("");
    setOffer(null);
    post<Offer>("/api/v1/auth/pairing-windows", owner ? { username: owner } : {}).then(
      (made) => setOffer({ ...made, endsAt: Date.now() + made.expires_in * 1000 }),
      (error: unknown) => setProblem(sentence(error)),
    );
  };
  useEffect(open, [owner]);
  useEffect(() => {
    get<Users>("/api/v1/users").then(
      ({ users }) => setNames(users.filter(({ role }) => role === "member").map(({ username }) => username)),
      () => setNames([]),
    );
  }, []);
  useEffect(
    () =>
      onHappening(({ type, data }) => {
        if (type === "device.paired") setJoined(String(data["name"]));
      }),
    [],
  );
  return (
    <Dialog title={say.letIn} onClose={onClose}>
      {joined ? (
        <p class="good" role="status" dir="auto">
          {say.joined(joined)}
        </p>
      ) : (
        <>
          {names.length > 0 && (
            <label class="field">
              {say.whose}
              <select value={owner} onChange={(event) => setOwner(event.currentTarget.value)}>
                <option value="">{say.wholeHousehold}</option>
                {names.map((name) => (
                  <option key={name}>{name}</option>
                ))}
              </select>
            </label>
          )}
          {problem && (
            <p class="bad" role="alert">
              {problem}
            </p>
          )}
          {offer ? <OfferPart offer={offer} onAgain={open} /> : !problem && <p class="loading">{texts.value.loading}</p>}
        </>
      )}
      <p class="actions">
        {joined && (
          <button type="button" onClick={open}>
            {say.anotherCode}
          </button>
        )}
        <button type="button" onClick={onClose}>
          {words.value.dialog.close}
        </button>
      </p>
    </Dialog>
  );
}

function OfferPart({ offer, onAgain }: { offer: Offer & { endsAt: number }; onAgain: () => void }) {
  const say = words.value.devices;
  const [left, setLeft] = useState(offer.expires_in);
  useEffect(() => {
    const tick = (): void => setLeft(Math.max(0, (offer.endsAt - Date.now()) / 1000));
    tick();
    const timer = setInterval(tick, 1_000);
    return () => clearInterval(timer);
  }, [offer]);
  if (left === 0) {
    return (
      <p>
        {say.over}{" "}
        <button type="button" onClick={onAgain}>
          {say.anotherCode}
        </button>
      </p>
    );
  }
  return (
    <>
      <p>{say.letInHint}</p>
      <img class="qr" src={`data:image/png;base64,${offer.qr_png}`} alt={say.qr} />
      <p>
        {say.typed}
        <br />
        {offer.url.split("#")[0]}
        <br />
        <span class="code">{offer.code}</span>
      </p>
      <p class="soft">{say.left(durationText(left))}</p>
    </>
  );
}
