// What the pages' scripts share: asking the API, and the words for what goes wrong.

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
  try {
    const response = await fetch(path, options);
    const answer = await response.json().catch(() => null);
    return { ok: response.ok, status: response.status, answer };
  } catch {
    return { ok: false, status: 0, answer: null };
  }
}

/** One sentence about an answer that was not good. */
export function sentence(result) {
  if (result.status === 0) return "The host does not answer. Are you in its network?";
  return result.answer?.error?.message ?? "Something went wrong; try again.";
}

/** Write the host's name where the page shows it; the host's facts, or null where it doesn't tell them here. */
export async function showHost() {
  const { ok, answer } = await ask("/api/v1/discovery/info");
  if (!ok || !answer) return null;
  for (const place of document.querySelectorAll("[data-host]")) place.textContent = answer.host_name;
  return answer;
}
