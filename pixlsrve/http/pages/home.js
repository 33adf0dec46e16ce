// The start page: whether this browser is signed in, the way out, and the way to HTTPS.
import { ask, element, sentence, showHost } from "/static/common.js";

async function look() {
  const { ok } = await ask("/api/v1/devices");
  element("inside").hidden = !ok;
  element("outside").hidden = ok;
}

/** Offer the way to HTTPS where this is not it, and where the host has an authority of its own to trust. */
async function offerEncryption() {
  if (location.protocol === "https:") return;
  const answer = await fetch("/ca", { method: "HEAD" }).catch(() => null);
  element("encrypt").hidden = !answer?.ok;
}

element("leave").addEventListener("click", async () => {
  const result = await ask("/api/v1/auth/logout", {});
  element("problem").textContent = result.ok ? "" : sentence(result);
  await look();
});

showHost();
look();
offerEncryption();
