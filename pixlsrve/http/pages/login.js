// The sign-in page: name and password, or a login provider that the host knows.
import { ask, element, sentence, showHost } from "/static/common.js";

/** Where to go after signing in: a page of this host that the address names, else the start page. */
function destination() {
  const wanted = new URLSearchParams(location.search).get("next") ?? "/";
  try {
    const url = new URL(wanted, location.origin);
    return url.origin === location.origin ? url.pathname + url.search : "/";
  } catch {
    return "/"; // no address at all
  }
}

async function showProviders() {
  const { ok, answer } = await ask("/api/v1/auth/social");
  for (const provider of ok ? answer.providers : []) {
    const link = document.createElement("a");
    link.className = "button second";
    link.href = provider.login_url;
    link.textContent = `Sign in with ${provider.name[0].toUpperCase()}${provider.name.slice(1)}`;
    element("providers").append(link);
  }
}

element("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  element("send").disabled = true;
  element("problem").textContent = "";
  const username = element("username").value;
  const password = element("password").value;
  const result = await ask("/api/v1/auth/login", { username, password });
  element("send").disabled = false;
  if (result.ok) {
    location.replace(destination());
    return;
  }
  element("problem").textContent = sentence(result);
  element("password").value = "";
  element("password").focus();
});

showHost();
showProviders();
