// Small comforts; every page works without them. Nothing is bound to an element that a part of a
// page could lose when it is fetched anew: the document listens for all.
"use strict";
function showCurrent() { document.querySelector(".links [aria-current]")?.scrollIntoView({block: "nearest"}); }
requestAnimationFrame(showCurrent);
document.getElementById("menu")?.addEventListener("toggle", showCurrent);

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
document.addEventListener("renewed", countChosen);

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
