// A text that grows at its end stays at its end, unless a reader has scrolled up to read.
"use strict";

let place = null; // how far it is scrolled down, null for its end

function putInPlace() {
  const text = document.querySelector("[data-follow]");
  if (text) text.scrollTop = place ?? text.scrollHeight;
}

document.addEventListener("scroll", ({target}) => {
  if (target.dataset?.follow === undefined) return;
  const isAtEnd = target.scrollHeight - target.scrollTop - target.clientHeight < 30;
  place = isAtEnd ? null : target.scrollTop;
}, {capture: true, passive: true});
document.addEventListener("renewed", putInPlace);
putInPlace();
