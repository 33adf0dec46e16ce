// What else there is: the way to other pages, to HTTPS, and out.
import { useEffect, useState } from "preact/hooks";

import { learnMe, me } from "../api/me";
import { texts } from "../i18n";
import { signOut } from "../session";
import { Icon, type IconName } from "../ui/Icon";

export default function More() {
  const words = texts.value.more;
  const nav = texts.value.nav;
  const isAdmin = me.value?.role === "admin";
  useEffect(() => void learnMe().catch(() => undefined), []);
  useEffect(() => {
    document.title = `${texts.value.nav.more} · ${texts.value.appName}`;
  }, [texts.value]);
  return (
    <div class="page">
      <h1>{texts.value.nav.more}</h1>
      <ul class="links">
        {isAdmin && (
          <>
            <Place to="/more/home" icon="home" text={nav.home} />
            <Place to="/more/people" icon="people" text={words.people} />
          </>
        )}
        <Place to="/more/upload" icon="upload" text={nav.upload} />
        <Place to="/more/devices" icon="devices" text={nav.devices} />
        <Place to="/more/away" icon="away" text={words.away} />
        <Place to="/more/duplicates" icon="copies" text={words.duplicates} />
        <Place to="/more/problems" icon="problem" text={words.problems} />
        {isAdmin && <Place to="/more/settings" icon="settings" text={words.settings} />}
      </ul>
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

function Place({ to, icon, text }: { to: string; icon: IconName; text: string }) {
  return (
    <li>
      <a class="place" href={to}>
        <Icon name={icon} /> {text}
      </a>
    </li>
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
