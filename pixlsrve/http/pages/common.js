// What the pages' scripts share: asking the API, and the words for what goes wrong.
import { elsewhere, look, others, remember, takeExpected, watch } from "/static/ways.js";

/** A host that takes longer may be slow or gone: an open connection to an address that is gone says nothing. */
const PATIENCE_MS = 4000;

/** The element with this id. */
export const element = (id) => document.getElementById(id);

/** Whether the answer was good, its status, and its JSON (null where there is none). `body` makes it a POST. */
export async function ask(path, body) {
  const options = { credentials: "same-origin", cache: "no-store", headers: { Accept: "application/json" } };
  if (body !== undefined) {
    options.method = "POST";
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  const patience = setTimeout(() => look(tellLost), PATIENCE_MS);
  try {
    const response = await fetch(path, options);
    const answer = await response.json().catch(() => null);
    return { ok: response.ok, status: response.status, answer };
  } catch {
    look(tellLost);
    return { ok: false, status: 0, answer: null };
  } finally {
    clearTimeout(patience);
  }
}

/** One sentence about an answer that was not good. */
export function sentence(result) {
  if (result.status === 0) return "The host does not answer. Are you in its network?";
  return result.answer?.error?.message ?? "Something went wrong; try again.";
}

/** Write the host's name where the page shows it; the host's facts, or null where it doesn't tell them here.
 *
 * Where another page has sent us here, the host must be the one that it meant, or there is nothing to do on this page.
 */
export async function showHost() {
  const expected = takeExpected();
  const { ok, answer } = await ask("/api/v1/discovery/info");
  if (expected !== null && answer?.host_id !== expected) {
    close("This is not the host that you came from. Nothing was sent to it.");
    return null;
  }
  if (!ok || !answer) return null;
  remember(answer);
  for (const place of document.querySelectorAll("[data-host]")) place.textContent = answer.host_name;
  return answer;
}

/** Leave nothing on the page but a sentence. */
function close(text) {
  for (const part of document.querySelectorAll("main > :not(#problem, .icon)")) part.remove();
  element("problem").textContent = text;
}

/** Say that no way leads to the host just now, with the ways to try by hand; or say nothing any more. */
function tellLost(isLost) {
  const place = element("problem");
  place.replaceChildren();
  if (!isLost) return;
  place.append("The host does not answer. Are you in its network, or is the tunnel on? This page keeps trying.");
  for (const origin of others()) {
    const link = document.createElement("a");
    link.href = elsewhere(origin);
    link.textContent = new URL(origin).host;
    place.append(document.createElement("br"), link);
  }
}

watch(tellLost);
