// The screen of a guest, by noVNC, which is loaded once the button is pressed.
const place = document.getElementById("screen");
const status = document.getElementById("status");
const connect = document.getElementById("connect");
const keys = document.getElementById("keys");
const after = document.getElementById("after");
const SIGNED_OUT = 4401, REFUSED = 4403;  // our own codes of an end
let rfb = null;

const say = (text, kind = "") => {
  status.textContent = text;
  status.className = `note ${kind}`;
  status.hidden = !text;
};

const SIGN_IN = "You are signed out: load the page anew.";

const explain = async ({ code, reason }, wasOpen) => {
  if (code === SIGNED_OUT) return SIGN_IN;
  if (code === REFUSED) return "You may not have this screen any more.";
  if (reason || wasOpen) return reason || "The screen is gone: the guest has ended, or eucabox is restarted.";
  // A handshake that fails does not say why; the page does, without being shown.
  const answer = await fetch(location.href, { method: "HEAD", redirect: "manual" }).catch(() => null);
  if (answer?.type === "opaqueredirect") return SIGN_IN;
  return answer ? "The screen can't be opened now." : "eucabox can't be reached.";
};

const show = async () => {
  connect.disabled = true;
  say("Connecting …");
  const noVNC = await loadModule(place.dataset.rfb).catch(() => null);
  if (!noVNC) {
    connect.disabled = false;
    say("The program that shows the screen can't be loaded. Try again, or load the page anew.", "warn");
    return;
  }
  const socket = new WebSocket(location.origin.replace(/^http/, "ws") + place.dataset.socket);
  socket.binaryType = "arraybuffer";
  let ended = {}, wasOpen = false;
  socket.addEventListener("close", (event) => { ended = event; });
  rfb = new noVNC.default(place, socket, { shared: true });
  rfb.scaleViewport = true;
  rfb.background = "#0b0f14";
  rfb.addEventListener("connect", () => {
    wasOpen = true;
    place.dataset.status = "open";
    keys.hidden = false;
    connect.hidden = true;
    say("");
    rfb.focus();
  });
  rfb.addEventListener("disconnect", async () => {
    rfb = null;
    delete place.dataset.status;
    keys.hidden = true;
    connect.hidden = connect.disabled = false;
    say(await explain(ended, wasOpen), "warn");
  });
};

// Before noVNC sees the key: it would send it to the guest.
place.addEventListener("keydown", (event) => {
  if (event.ctrlKey && !event.altKey && !event.shiftKey && (event.key === "]" || event.code === "BracketRight")) {
    event.preventDefault();
    event.stopPropagation();
    rfb?.blur();
    after.focus();
  }
}, true);
connect.addEventListener("click", show);
keys.addEventListener("click", () => { rfb?.sendCtrlAltDel(); rfb?.focus(); });
after.addEventListener("click", () => (rfb ? rfb.focus() : connect.focus()));
