// The live page: what the broadcast on its own port and the events of /api/v1/ws say, newest first.
import { ask, element, showHost } from "/static/common.js";

const SHOWN = 200;
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 30_000;
const WITHDRAWN = 1008;

function show(list, text) {
  const line = document.createElement("li");
  const time = document.createElement("time");
  const now = new Date();
  time.dateTime = now.toISOString();
  time.textContent = now.toLocaleTimeString();
  line.append(time, text);
  list.prepend(line);
  while (list.childElementCount > SHOWN) list.lastElementChild.remove();
}

/** Keep a websocket open. `address` gives where to, or a sentence in `problem` and whether to try again. */
function keepOpen({ state, list, address, render, opened = () => {}, closed = () => {}, absent }) {
  let pauseMs = FIRST_PAUSE_MS;
  const again = () => {
    setTimeout(connect, pauseMs);
    pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
  };
  async function connect() {
    const { url, problem, isFinal } = await address();
    if (!url) {
      state.textContent = problem;
      if (!isFinal) again();
      return;
    }
    const socket = new WebSocket(url);
    let wasOpen = false;
    socket.onopen = () => {
      wasOpen = true;
      pauseMs = FIRST_PAUSE_MS;
      state.textContent = "Connected.";
      opened(socket);
    };
    socket.onmessage = ({ data }) => show(list, render(data));
    socket.onclose = ({ code, reason }) => {
      closed();
      state.textContent = wasOpen ? `Closed (${code}${reason ? `, ${reason}` : ""}).` : absent;
      if (code !== WITHDRAWN) again();
    };
  }
  connect();
}

const port = document.querySelector("meta[name=broadcast-port]").content;
const isLoopback = ["localhost", "127.0.0.1", "[::1]"].includes(location.hostname);
let broadcast = null;

function enable(socket) {
  broadcast = socket;
  element("text").disabled = element("send").disabled = socket === null;
}

element("form").addEventListener("submit", (event) => {
  event.preventDefault();
  const field = element("text");
  if (broadcast && field.value) broadcast.send(field.value);
  field.value = "";
});

async function broadcastAddress() {
  if (!port) return { problem: "Switched off on this host.", isFinal: true };
  if (location.protocol === "https:" && !isLoopback) {
    return { problem: "An encrypted page can't reach it: open this page by http instead.", isFinal: true };
  }
  return { url: `ws://${location.hostname}:${port}/` };
}

keepOpen({
  state: element("broadcast-state"),
  list: element("broadcast-log"),
  address: broadcastAddress,
  render: (text) => text,
  opened: enable,
  closed: () => enable(null),
  absent: "No answer. It listens on the host itself only, unless the setting compat.websocket_host says otherwise.",
});

let last = null;

async function eventsAddress() {
  const { ok, status, answer } = await ask("/api/v1/ws/ticket", {});
  if (status === 401) return { problem: "Sign in to see them.", isFinal: true };
  if (!ok) return { problem: "The host does not answer just now." };
  const since = last === null ? "" : `&since=${last}`;
  return { url: `${location.origin.replace(/^http/, "ws")}/api/v1/ws?ticket=${answer.ticket}${since}` };
}

keepOpen({
  state: element("events-state"),
  list: element("events-log"),
  address: eventsAddress,
  render: (text) => {
    const { seq, type, data } = JSON.parse(text);
    last = seq;
    return `${type} ${JSON.stringify(data)}`;
  },
  absent: "The host does not answer just now.",
});

showHost();
