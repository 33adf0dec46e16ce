// The frame around every view: the way between them, how the connection is, and the view that the address names.
import { liveState } from "./api/live";
import { otherWays } from "./api/ways";
import { texts } from "./i18n";
import { path } from "./router";
import { sessionState } from "./session";
import { Icon } from "./ui/Icon";
import { Message } from "./ui/Message";
import { Notices } from "./ui/notices";
import { Nothing, patient } from "./ui/patient";
import { DropAnywhere, UploadChip } from "./upload/Anywhere";
import { TimelineView } from "./views/Timeline";
import { viewFor } from "./views";

const Out = patient(() => import("./views/SignedOut"), Nothing);

export function App() {
  if (sessionState.value !== "in") return <Out state={sessionState.value} />;
  return (
    <div class="shell">
      <a class="skip" href="#view">
        {texts.value.nav.skip}
      </a>
      <Navigation />
      <main id="view" tabIndex={-1}>
        <View />
      </main>
      {liveState.value === "lost" && (
        <div class="connection" role="status">
          {texts.value.live.lost}
          {otherWays.value.length > 0 && <OtherWays />}
        </div>
      )}
      <UploadChip />
      <DropAnywhere />
      <Notices />
    </div>
  );
}

function OtherWays() {
  return (
    <p>
      {texts.value.more.ways}{" "}
      {otherWays.value.map(({ url, host }) => (
        <a key={url} href={url}>
          {host}{" "}
        </a>
      ))}
    </p>
  );
}

function View() {
  const here = path.value;
  if (here === "/" || here.startsWith("/photo/")) return <TimelineView />;
  const Chosen = viewFor(here);
  if (!Chosen) return <Message title={texts.value.errors.notFound} hint={texts.value.errors.notFoundHint} />;
  return <Chosen />;
}

const PLACES = [
  { to: "/", name: "photos", icon: "photos" },
  { to: "/albums", name: "albums", icon: "albums" },
  { to: "/search", name: "search", icon: "search" },
  { to: "/map", name: "map", icon: "map" },
  { to: "/more", name: "more", icon: "more" },
] as const;

function Navigation() {
  return (
    <nav class="nav" aria-label={texts.value.nav.label}>
      {PLACES.map(({ to, name, icon }) => {
        const isHere = to === "/" ? path.value === "/" || path.value.startsWith("/photo/") : path.value.startsWith(to);
        return (
          <a key={to} href={to} aria-current={isHere ? "page" : undefined}>
            <Icon name={icon} />
            <span>{texts.value.nav[name]}</span>
          </a>
        );
      })}
    </nav>
  );
}
