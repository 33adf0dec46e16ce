// What else there is: the way to other pages, to HTTPS, and out.
import { useEffect, useState } from "preact/hooks";

import { texts } from "../i18n";
import { signOut } from "../session";

export default function More() {
  const words = texts.value.more;
  useEffect(() => {
    document.title = `${texts.value.nav.more} · ${texts.value.appName}`;
  }, [texts.value]);
  return (
    <div class="page">
      <h1>{texts.value.nav.more}</h1>
      <ul class="links">
        <li>
          <a href="/live">{words.live}</a>
        </li>
        <li>
          <a href="/api/docs">{words.developers}</a>
        </li>
      </ul>
      <EncryptionOffer />
      <p>
        <button type="button" onClick={() => void signOut()}>
          {texts.value.session.signOut}
        </button>
      </p>
    </div>
  );
}

/** The way to HTTPS where this is not it, and where the host has an authority of its own to trust. */
function EncryptionOffer() {
  const [isOffered, setOffered] = useState(false);
  useEffect(() => {
    if (location.protocol === "https:") return;
    void fetch("/ca", { method: "HEAD" }).then(
      (answer) => setOffered(answer.ok),
      () => undefined,
    );
  }, []);
  if (!isOffered) return null;
  return (
    <p class="soft">
      {texts.value.more.plain} <a href="/ca">{texts.value.more.encrypt}</a>
    </p>
  );
}
