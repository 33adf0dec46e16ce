// The page about being away: this device's tunnel, and every way to the host.
import { ask, element, showHost } from "/static/common.js";
import { elsewhere } from "/static/ways.js";

const AGAIN_MS = 5000;
const KINDS = { lan: "at home", tunnel: "in the tunnel", name: "by name" };

/** What to show first: the kind of device that this seems to be. */
function sort() {
  const wanted = /iPhone|iPad/.test(navigator.userAgent) ? "ios" : /Macintosh/.test(navigator.userAgent) ? "macos" : "file";
  const first = element(wanted);
  for (const button of element("ready").querySelectorAll("a.button")) button.classList.toggle("second", button !== first);
  element("ready").querySelector("p").after(first);
}

/** This device as the host lists it just now. */
async function showDevice() {
  const { ok, status, answer } = await ask("/api/v1/devices");
  if (status === 0) return;
  const tunnel = ok ? answer.devices.find((device) => device.is_current)?.tunnel : null;
  if (!tunnel) {
    element("outside").hidden = false;
    element("state").textContent = ok
      ? "You are signed in with a name and a password; a device that is let in with a code has a tunnel."
      : "Only a device that was let in has a tunnel.";
    return;
  }
  if (tunnel.state !== "allowed") {
    element("state").textContent = "An administrator has ended this device's tunnel.";
    return;
  }
  sort();
  element("ready").hidden = false;
  let state = "";
  if (tunnel.is_outdated) state = "The way home has changed: give the app its configuration anew.";
  else if (tunnel.is_connected) state = "The tunnel of this device is connected.";
  element("state").textContent = state;
}

function showWays(host) {
  for (const way of host.addresses) {
    const entry = document.createElement("li");
    const url = location.protocol === "https:" ? way.tls_url : way.url;
    if (!url) continue;
    const origin = new URL(url).origin;
    const link = document.createElement("a");
    link.href = elsewhere(origin);
    link.textContent = new URL(origin).host;
    entry.append(link, ` ${KINDS[way.kind]}`);
    if (origin === location.origin) entry.append(" (you are here)");
    element("ways").append(entry);
  }
}

const host = await showHost();
if (host) {
  showWays(host);
  await showDevice();
  setInterval(() => document.hidden || showDevice(), AGAIN_MS);
}
