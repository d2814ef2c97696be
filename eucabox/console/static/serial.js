// The terminal of a serial console. The server has the guest's last words, and says them again to
// whoever connects: so a page that lost its socket begins anew, and nothing is lost.
const place = document.getElementById("terminal");
const status = document.getElementById("status");
const after = document.getElementById("after");
const FIRST = 500, LONGEST = 10000;  // milliseconds until the socket is opened again
const PIECE = 16 * 1024, FULL = 64 * 1024;  // bytes of a paste that are sent at once, that may wait
const SIGNED_OUT = 4401, REFUSED = 4403, ENDED = 4404;  // our own codes of an end
const LEAVE = "\x1d";  // Ctrl+], as in telnet and virsh
const WORDS = {
  open: "", opening: "Connecting to the guest …",
  gone: "The guest does not run. What it wrote stays here.",
  taken: "Another program, such as virsh console, has the guest's line. It is tried again.",
  away: "libvirt can't be reached. It is tried again.",
};

// Each style that a script adds needs the page's nonce, and the terminal gives it none.
const create = document.createElement.bind(document);
document.createElement = (name, ...more) => {
  const made = create(name, ...more);
  if (String(name).toLowerCase() === "style") made.nonce = place.dataset.nonce;
  return made;
};

const say = (text, kind = "") => {
  status.textContent = text;
  status.className = `note ${kind}`;
  status.hidden = !text;
};

const [{ Terminal }, { FitAddon }] = await Promise.all([
  loadModule(place.dataset.xterm), loadModule(place.dataset.fit),
]).catch((problem) => {
  say("The program of the terminal can't be loaded: load the page anew.", "warn");
  throw problem;
});
const terminal = new Terminal({
  cursorBlink: false, scrollback: 5000, fontSize: 14, minimumContrastRatio: 4.5,
  fontFamily: 'ui-monospace, "SF Mono", "Cascadia Mono", Menlo, Consolas, monospace',
  theme: { background: "#0b0f14", foreground: "#dfe7ef" },
});
const fit = new FitAddon();
terminal.loadAddon(fit);
terminal.open(place);

let socket, wait = FIRST, isReplay = true;
const coder = new TextEncoder();
const waiting = [];  // bytes that are typed or pasted, in pieces

const sendWaiting = () => {
  while (waiting.length && socket?.readyState === WebSocket.OPEN && socket.bufferedAmount < FULL) {
    socket.send(waiting.shift());
  }
  if (waiting.length) setTimeout(sendWaiting, 50);
};

const type = (text) => {
  if (socket?.readyState !== WebSocket.OPEN) return;
  const bytes = coder.encode(text);
  for (let at = 0; at < bytes.length; at += PIECE) waiting.push(bytes.slice(at, at + PIECE));
  sendWaiting();
};

terminal.onData((data) => {
  if (data === LEAVE) after.focus();
  else if (!isReplay) type(data);
});
terminal.onBinary((data) => {
  if (!isReplay && socket?.readyState === WebSocket.OPEN) {
    socket.send(Uint8Array.from(data, (each) => each.charCodeAt(0)));
  }
});
terminal.attachCustomKeyEventHandler((event) => {
  const leaves = event.ctrlKey && !event.altKey && !event.shiftKey && event.code === "BracketRight";
  if (leaves && event.type === "keydown") after.focus();
  return !leaves;
});

// What a guest asks its terminal is answered by the one who types, not by all who look on, and
// never for words of long ago.
const ignores = () => isReplay || !place.contains(document.activeElement);
for (const id of [{ final: "n" }, { final: "c" }, { prefix: "?", final: "n" }, { prefix: ">", final: "c" }]) {
  terminal.parser.registerCsiHandler(id, ignores);
}

const take = (message) => {
  if ("replay" in message) {
    isReplay = true;
    terminal.reset();
  } else if ("live" in message) {
    terminal.write("", () => { isReplay = false; });
  } else if ("status" in message) {
    say(WORDS[message.status] ?? message.status, message.status === "open" ? "" : "warn");
    place.dataset.status = message.status;
  }
};

const findOutWhy = async () => {
  // A handshake that fails does not say why; the page does, without being shown.
  const answer = await fetch(location.href, { method: "HEAD", redirect: "manual" }).catch(() => null);
  if (answer?.type === "opaqueredirect") return SIGNED_OUT;
  return answer?.status === 403 ? REFUSED : 0;
};

const end = (code) => {
  if (code === REFUSED) {
    say("You may not have this console any more. What it showed stays here.", "bad");
    return;
  }
  say("", "bad");
  status.hidden = false;
  const link = create("a");
  link.href = place.dataset.signIn;
  link.textContent = "Sign in again";
  status.append("You are signed out. ", link);
};

const open = () => {
  socket = new WebSocket(location.origin.replace(/^http/, "ws") + place.dataset.socket);
  socket.binaryType = "arraybuffer";
  let wasOpen = false;
  socket.onopen = () => { wasOpen = true; wait = FIRST; };
  socket.onmessage = (event) => {
    if (typeof event.data === "string") take(JSON.parse(event.data));
    else terminal.write(new Uint8Array(event.data));
  };
  socket.onclose = async (event) => {
    isReplay = true;
    waiting.length = 0;
    place.dataset.status = "lost";
    const code = event.code >= 4000 ? event.code : wasOpen ? 0 : await findOutWhy();
    if (code === SIGNED_OUT || code === REFUSED) { end(code); return; }
    say(event.reason || "The connection is lost. It is tried again, and nothing that the guest writes is lost.", "warn");
    if (code === ENDED) return;
    setTimeout(open, wait * (0.7 + 0.6 * Math.random()));
    wait = Math.min(2 * wait, LONGEST);
  };
};

document.getElementById("paste").addEventListener("click", async () => {
  const text = await navigator.clipboard?.readText().catch(() => null);
  if (text) terminal.paste(text);
  else say("The browser does not let this page read the clipboard: paste with Ctrl+Shift+V.", "warn");
  terminal.focus();
});
document.getElementById("leave-key").addEventListener("click", () => { type(LEAVE); terminal.focus(); });
document.getElementById("size").addEventListener("click", () => {
  type(`stty rows ${terminal.rows} cols ${terminal.cols}\r`);  // a serial line can't tell it
  terminal.focus();
});
after.addEventListener("click", () => terminal.focus());
new ResizeObserver(() => fit.fit()).observe(place);
fit.fit();
terminal.focus();
open();
