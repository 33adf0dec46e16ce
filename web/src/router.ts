// Which view is shown: the path and query of the address, changed without loading the page again.
import { computed, signal } from "@preact/signals";

const here = signal({ path: location.pathname, search: location.search });

/** The path of the address. */
export const path = computed(() => here.value.path);
/** The query of the address. */
export const query = computed(() => new URLSearchParams(here.value.search));

function read(): void {
  here.value = { path: location.pathname, search: location.search };
}

/** Go to an address of ours; `replace` leaves no step in the history. */
export function go(to: string, { replace = false } = {}): void {
  history[replace ? "replaceState" : "pushState"](null, "", to);
  read();
}

/** Show an address of ours for what lies over the view, which stays as it is; back leads to the view's own. */
export function cover(to: string, { replace = false } = {}): void {
  history[replace ? "replaceState" : "pushState"](null, "", to);
}

/** Follow the history, and links of ours without loading the page. */
export function startRouter(): void {
  addEventListener("popstate", read);
  document.addEventListener("click", (event) => {
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const link = (event.target as Element).closest("a");
    if (!link || link.origin !== location.origin || link.target || link.hasAttribute("download")) return;
    if (!isView(link.pathname) || link.hash) return; // to a part of this page the browser goes by itself
    event.preventDefault();
    if (link.href !== location.href) go(link.pathname + link.search);
  });
}

const OUTSIDE = /^\/(api|static|login|pair|ca|live|healthz|metrics|image|thumbnail|list)(\/|$)/;

/** Whether the page itself shows this path. */
export const isView = (pathname: string): boolean => !OUTSIDE.test(pathname);
