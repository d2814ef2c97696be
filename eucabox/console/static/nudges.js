// One socket a page: a word of what changed fetches its parts anew, and nothing is polled meanwhile.
"use strict";

{
  const FIRST = 500, LONGEST = 15000;  // milliseconds until the socket is opened again
  const RARELY = 60000;  // and between two looks at what nobody tells of
  const FRESH = 2000;  // milliseconds after which a page may have missed something
  const SIGNED_OUT = 4401;  // our own code of an end
  let wait = FIRST, begun = false;

  const open = () => {
    const socket = new WebSocket(`${location.origin.replace(/^http/, "ws")}/nudges`);
    let looks;
    socket.onopen = () => {
      eucabox.polls = false;
      document.documentElement.dataset.nudges = "open";
      if (performance.now() > FRESH) eucabox.nudgeAll();  // what changed before, nobody has told
      looks = setInterval(() => { if (!document.hidden) eucabox.nudgeAll(); }, RARELY);
      wait = FIRST;
    };
    socket.onmessage = (event) => JSON.parse(event.data).forEach(eucabox.nudge);
    socket.onclose = (event) => {
      clearInterval(looks);
      eucabox.polls = true;
      document.documentElement.dataset.nudges = "lost";
      if (event.code === SIGNED_OUT) return;
      setTimeout(open, wait * (0.7 + 0.6 * Math.random()));
      wait = Math.min(2 * wait, LONGEST);
    };
  };

  // A page that was never seen needs no socket yet, nor does one without parts that are renewed.
  const begin = () => {
    if (begun || document.hidden || !eucabox.topics().length) return;
    begun = true;
    open();
  };
  document.addEventListener("visibilitychange", begin);
  document.addEventListener("DOMContentLoaded", begin);
}
