// A text that grows at its end stays at its end, unless somebody has scrolled up to read.
"use strict";

const places = new Map(); // how far from its end each was, before its part was fetched anew
const findText = (part) => part?.id && part.querySelector("[data-follow]");

function toEnd(text) { text.scrollTop = text.scrollHeight; }

document.addEventListener("htmx:beforeSwap", ({detail}) => {
  const text = findText(detail.target);
  if (!text) return;
  const isAtEnd = text.scrollHeight - text.scrollTop - text.clientHeight < 30;
  places.set(detail.target.id, isAtEnd ? null : text.scrollTop);
});
document.addEventListener("htmx:afterSwap", () => {
  for (const [id, place] of places) {
    const text = findText(document.getElementById(id));
    if (text && place === null) toEnd(text);
    else if (text) text.scrollTop = place;
  }
  places.clear();
});
document.querySelectorAll("[data-follow]").forEach(toEnd);
