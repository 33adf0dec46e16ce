// The start page: whether this browser is signed in, and the way out.
import { ask, element, sentence, showHost } from "/static/common.js";

async function look() {
  const { ok } = await ask("/api/v1/devices");
  element("inside").hidden = !ok;
  element("outside").hidden = ok;
}

element("leave").addEventListener("click", async () => {
  const result = await ask("/api/v1/auth/logout", {});
  element("problem").textContent = result.ok ? "" : sentence(result);
  await look();
});

showHost();
look();
