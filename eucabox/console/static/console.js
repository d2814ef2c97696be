// Small comforts; every page works without them. Nothing is bound to an element that a part of a
// page could lose when it is fetched anew: the document listens for all.
"use strict";
document.documentElement.classList.add("scripted");

// --- parts that are fetched anew: nudged by what happened, else asked for every few seconds ------

const SECONDS = 5, SLOW = 60;
const SELDOM = ["storage", "health"]; // topics that no socket nudges, and that cost the server more
const seen = new Map(); // what each part was last answered with

const eucabox = window.eucabox = {
  polls: true, // a socket that is open takes it away, and gives it back when it closes
  // The topics of this page's parts.
  topics() {
    const found = new Set();
    for (const part of document.querySelectorAll("[hx-trigger*='nudge-']")) {
      for (const [, topic] of part.getAttribute("hx-trigger").matchAll(/nudge-([a-z-]+)/g)) found.add(topic);
    }
    return [...found];
  },
  // Fetch the parts of a topic anew.
  nudge(topic) { document.body.dispatchEvent(new CustomEvent("nudge-" + topic)); },
  nudgeAll() { eucabox.topics().forEach(eucabox.nudge); },
};
function poll(isSeldom) {
  if (document.hidden || !(isSeldom || eucabox.polls)) return;
  eucabox.topics().filter((each) => SELDOM.includes(each) === isSeldom).forEach(eucabox.nudge);
}
setInterval(poll, SECONDS * 1000, false);
setInterval(poll, SLOW * 1000, true);
document.addEventListener("visibilitychange", () => { if (!document.hidden) eucabox.nudgeAll(); });

// A request that nobody made by hand says so: it is no sign that a person is there.
document.addEventListener("htmx:configRequest", ({detail}) => {
  if (detail.triggeringEvent?.type.startsWith("nudge-")) detail.headers["X-Renewal"] = "yes";
});

let kept = null; // of the part that is being replaced: what had the focus, what was ticked

document.addEventListener("htmx:beforeSwap", ({detail}) => {
  const part = detail.target, answer = detail.xhr.responseText;
  if (!part.id || !detail.shouldSwap) return;
  const active = part.contains(document.activeElement) ? document.activeElement : null;
  const isInUse = part.querySelector("details[open], dialog[open]") || active?.matches("select, textarea, input:not([type=checkbox])");
  if (isInUse || seen.get(part.id) === answer) {
    detail.shouldSwap = false;
    return;
  }
  seen.set(part.id, answer);
  kept = {
    id: part.id, focus: active && describe(part, active),
    ticked: [...part.querySelectorAll("input[name=chosen]:checked")].map((each) => each.value),
    left: part.querySelector(".scroll")?.scrollLeft,
  };
});

document.addEventListener("htmx:afterSwap", () => {
  const part = kept && document.getElementById(kept.id);
  if (part) {
    for (const each of part.querySelectorAll("input[name=chosen]")) each.checked = kept.ticked.includes(each.value);
    if (kept.left) part.querySelector(".scroll").scrollLeft = kept.left;
    if (kept.focus) find(part, kept.focus)?.focus({preventScroll: true});
  }
  kept = null;
  countChosen();
});

// How to find an element again in a new copy of its part: by what it does, not by where it stands.
function describe(part, element) {
  const word = sign(element);
  const alike = [...part.querySelectorAll(element.tagName)].filter((each) => sign(each) === word);
  return {tag: element.tagName, word, number: alike.indexOf(element)};
}
function find(part, {tag, word, number}) {
  return [...part.querySelectorAll(tag)].filter((each) => sign(each) === word)[number];
}
function sign(element) {
  const form = element.closest("form");
  return [
    element.id, element.name, element.value, element.getAttribute("href"), element.getAttribute("aria-label"),
    form && [...form.querySelectorAll("input[type=hidden]:not([name=csrf])")].map((each) => each.value).join(),
    element.tagName === "BUTTON" || element.tagName === "SUMMARY" ? element.textContent : "",
  ].join("\n");
}

function tell(isStale) {
  const note = document.getElementById("stale");
  if (note) note.hidden = !isStale;
}
for (const name of ["htmx:sendError", "htmx:timeout"]) document.addEventListener(name, () => tell(true));
document.addEventListener("htmx:afterOnLoad", () => tell(false));

// --- questions before what can't be undone -------------------------------------------------------

function ask(question, answer, act) {
  const dialog = document.getElementById("sure");
  document.getElementById("sure-question").textContent = question;
  const yes = dialog.querySelector("[data-sure=yes]");
  yes.textContent = answer;
  dialog.onclick = (event) => {
    const word = event.target.dataset.sure;
    if (word || event.target === dialog) dialog.close();
    if (word === "yes") act();
  };
  dialog.showModal();
}

document.addEventListener("submit", (event) => {
  const form = event.target, button = event.submitter;
  if (button?.dataset.ask && !button.dataset.sent) {
    event.preventDefault();
    const question = button.dataset.ask.replace("{count}", listChosen(form.id).length || "");
    ask(question, button.dataset.answer || button.textContent, () => {
      button.dataset.sent = "yes";
      form.requestSubmit(button);
      delete button.dataset.sent;
    });
  } else if (form.method === "post") {
    // The second click of a double one does nothing.
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "yes";
    setTimeout(() => { delete form.dataset.sent; }, 3000);
  }
});

// --- rows that are ticked ------------------------------------------------------------------------

function listChosen(form) {
  return form ? [...document.querySelectorAll(`input[name=chosen][form="${CSS.escape(form)}"]:checked`)] : [];
}

function countChosen() {
  for (const form of document.querySelectorAll("form.bulk")) {
    const count = listChosen(form.id).length;
    form.classList.toggle("ready", count > 0);
    for (const button of form.querySelectorAll("button")) button.disabled = !count;
    const text = form.querySelector("[data-chosen-count]");
    text.dataset.before ??= text.textContent;
    text.textContent = count ? `${count} chosen` : text.dataset.before;
  }
}

document.addEventListener("change", ({target}) => {
  if (target.dataset.pickAll) {
    const boxes = document.querySelectorAll(`input[name=chosen][form="${CSS.escape(target.dataset.pickAll)}"]`);
    for (const each of boxes) each.checked = target.checked;
  }
  if (target.name === "chosen" || target.dataset.pickAll) countChosen();
});
countChosen();

// --- buttons -------------------------------------------------------------------------------------

document.addEventListener("click", async (event) => {
  const button = event.target.closest("button, summary");
  if (!button) return;
  const {copy, copyText, fill, reveal} = button.dataset;
  if (button.matches(".sure > summary")) {
    const form = button.nextElementSibling;
    event.preventDefault();
    ask(form.querySelector("p").textContent, form.querySelector("button").textContent, () => form.requestSubmit());
  } else if (copy || copyText) {
    await navigator.clipboard?.writeText(copyText ?? document.getElementById(copy).textContent);
    button.classList.add("done");
    setTimeout(() => button.classList.remove("done"), 1500);
  } else if (fill) {
    document.getElementById(fill).value = button.value;
  } else if (reveal) {
    const field = document.getElementById(reveal), shown = field.type === "text";
    field.type = shown ? "password" : "text";
    button.setAttribute("aria-pressed", String(!shown));
    button.textContent = shown ? "Show" : "Hide";
  }
});

// --- keys ----------------------------------------------------------------------------------------

document.addEventListener("keydown", (event) => {
  const isTyping = event.target.closest("input, textarea, select, [contenteditable], .terminal");
  if (event.key === "Escape" && !event.target.closest(".terminal")) {
    for (const each of document.querySelectorAll("details[open]")) {
      each.open = false;
      if (each.contains(document.activeElement)) each.querySelector("summary").focus();
    }
  } else if (event.key === "/" && !isTyping && !event.ctrlKey && !event.metaKey && !event.altKey) {
    const field = document.querySelector("[data-search]");
    if (field) {
      event.preventDefault();
      field.focus();
    }
  }
});

// What folds open over the page closes when something else is clicked.
document.addEventListener("click", (event) => {
  for (const each of document.querySelectorAll("details.drop[open]")) {
    if (!each.contains(event.target)) each.open = false;
  }
});
