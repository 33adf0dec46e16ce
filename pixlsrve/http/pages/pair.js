// The pairing page: takes the code from the address that the QR code carries, else asks for the one to type.
import { ask, element, sentence, showHost } from "/static/common.js";

const DEVICES = [
  [/iPhone/, "iPhone"], [/iPad/, "iPad"], [/Android.*Mobile/, "Android phone"], [/Android/, "Android tablet"],
  [/CrOS/, "Chromebook"], [/Macintosh/, "Mac"], [/Windows/, "Windows computer"], [/Linux/, "Linux computer"],
];

/** What to call this device until somebody finds a better name. */
function guessName() {
  const found = DEVICES.find(([pattern]) => pattern.test(navigator.userAgent));
  return `Browser on ${found ? found[1] : "a device"}`;
}

/** The facts of the address, which is cleaned of them: a code must not stay in the history. */
function takeFacts() {
  const facts = new URLSearchParams(location.hash.slice(1));
  if (facts.has("c")) history.replaceState(null, "", location.pathname);
  return facts;
}

/** Wait until somebody sees the page: a browser that only looks ahead must not use up the code. */
function visible() {
  if (document.visibilityState === "visible" && !document.prerendering) return Promise.resolve();
  return new Promise((resolve) => {
    const look = () => {
      if (document.visibilityState !== "visible" || document.prerendering) return;
      document.removeEventListener("visibilitychange", look);
      document.removeEventListener("prerenderingchange", look);
      resolve();
    };
    document.addEventListener("visibilitychange", look);
    document.addEventListener("prerenderingchange", look);
  });
}

/** Ask to be let in; without a code somebody at the host's terminal is asked. */
async function join(code) {
  const name = element("name").value.trim() || guessName();
  element("send").disabled = true;
  element("problem").textContent = "";
  element("state").textContent = code ? "One moment …" : "Waiting for a yes at the host's terminal …";
  const body = { device_name: name, device_type: "browser" };
  if (code) body.pairing_code = code;
  const result = await ask("/api/v1/auth/pair", body);
  element("send").disabled = false;
  element("state").textContent = "";
  if (!result.ok) {
    element("problem").textContent = sentence(result);
    element("code").focus();
    return;
  }
  element("joined").textContent = name;
  element("ask").hidden = true;
  element("done").hidden = false;
}

async function begin() {
  element("ask").hidden = false;
  element("done").hidden = true;
  element("problem").textContent = "";
  element("name").value ||= guessName();
  const facts = takeFacts();
  const host = await showHost();
  const code = facts.get("c");
  if (!code) {
    element("code").focus();
    return;
  }
  if (host && facts.has("h") && facts.get("h") !== host.host_id) {
    element("problem").textContent = "This code belongs to another host. Run pixlsrve pair again and scan the new code.";
    return;
  }
  await visible();
  await join(code);
}

element("form").addEventListener("submit", (event) => {
  event.preventDefault();
  join(element("code").value.trim());
});

addEventListener("hashchange", begin); // another code scanned into the same tab
begin();
