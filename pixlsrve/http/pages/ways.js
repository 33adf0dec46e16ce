// The ways to the host that this browser has learnt, and going on by another one where this one stops answering.
//
// A page may not read answers of other origins (the host allows none), so that each way is asked for a picture which the
// host draws for whoever knows its id. Nothing secret is sent before the page at the other end has compared ids again.

const SHELF = "pixlsrve.ways";
const LIMIT_MS = 4000;
const AGAIN_MS = 5000;

let known = read();
let isLooking = false;

function read() {
  try {
    const { id, origins } = JSON.parse(localStorage.getItem(SHELF));
    return typeof id === "string" && Array.isArray(origins) ? { id, origins } : null;
  } catch {
    return null; // never been here, or storage is closed to us
  }
}

/** Keep what the host tells about itself: its id, and every way to it, best first. */
export function remember(host) {
  const urls = host.addresses.map((way) => (location.protocol === "https:" ? way.tls_url : way.url));
  known = { id: host.host_id, origins: urls.filter(Boolean).map((url) => new URL(url).origin) };
  try {
    localStorage.setItem(SHELF, JSON.stringify(known));
  } catch {
    // Then it is known until the page goes.
  }
}

/** The id of the host that another page of it has sent us to; the address is cleaned of it. */
export function takeExpected() {
  const facts = new URLSearchParams(location.hash.slice(1));
  if (facts.has("c") || !facts.has("h")) return null; // a pairing code has its own check
  history.replaceState(null, "", location.pathname + location.search);
  return facts.get("h");
}

/** This page, by another way. */
export const elsewhere = (origin) => `${origin}${location.pathname}${location.search}#h=${encodeURIComponent(known.id)}`;

/** The other ways, best first. */
export const others = () => (known ? known.origins.filter((origin) => origin !== location.origin) : []);

/** Whether the host, and no other, answers where this page came from. */
async function isHere() {
  try {
    const path = `/api/v1/discovery/info?host_id=${encodeURIComponent(known.id)}`;
    const answer = await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(LIMIT_MS) });
    return answer.status !== 404;
  } catch {
    return false;
  }
}

/** Whether the page's policy lets it ask there: policies can't name addresses of IPv6. */
const isAskable = (origin) => !origin.includes("[");

/** Whether the host, and no other, answers at an origin. */
function isAt(origin) {
  return new Promise((resolve) => {
    const mark = new Image();
    const end = (isThere) => {
      clearTimeout(timer);
      mark.onload = mark.onerror = null;
      mark.src = "";
      resolve(isThere);
    };
    const timer = setTimeout(() => end(false), LIMIT_MS);
    mark.onload = () => end(true);
    mark.onerror = () => end(false);
    mark.src = `${origin}/api/v1/discovery/mark?host_id=${encodeURIComponent(known.id)}&t=${Date.now()}`;
  });
}

/** Until the network changes, or a while has passed. */
function pause() {
  return new Promise((resolve) => {
    const go = () => {
      clearTimeout(timer);
      removeEventListener("online", go);
      resolve();
    };
    const timer = setTimeout(go, AGAIN_MS);
    addEventListener("online", go);
  });
}

/** Go on by the best way that answers; ask again until one does. `tell` is called with whether all are silent. */
export async function look(tell) {
  if (!known || isLooking) return;
  isLooking = true;
  try {
    while (!(await isHere())) {
      const tries = others().filter(isAskable).map((origin) => [origin, isAt(origin)]);
      for (const [origin, answer] of tries) {
        if (await answer) {
          location.replace(elsewhere(origin));
          return;
        }
      }
      tell(true);
      await pause();
    }
    tell(false);
  } finally {
    isLooking = false;
  }
}

/** Look whenever the network or the tab comes back. */
export function watch(tell) {
  addEventListener("online", () => look(tell));
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible") look(tell);
  });
}
