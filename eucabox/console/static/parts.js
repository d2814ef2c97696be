// Parts of a page that are fetched anew, and the socket that tells when. A part has an id, says in
// data-from where it comes from, and when: data-topics has the words of what it shows, data-often is
// for what nobody tells of, data-at-once for what the page did not wait for.
"use strict";

{
  const OFTEN = 3000, POLL = 5000, RARELY = 60000; // milliseconds between two looks
  const LONGEST = 20000, PATIENT = 70000; // of one request; of what takes a while
  const SELDOM = ["storage", "health"]; // topics that no socket nudges, and that cost the server more
  const FIRST_WAIT = 500, MOST_WAIT = 15000; // until the socket is opened again
  const FRESH = 2000; // after which a page may have missed something
  const SIGNED_OUT = 4401; // our own code of an end
  const underWay = new Map(); // parts that are being fetched, by id: is what they show older than a nudge?
  const answers = new Map(); // what each part was last answered with

  const eucabox = window.eucabox = {
    polls: true, // a socket that is open takes it away, and gives it back when it closes
    // The topics of this page's parts.
    topics() {
      return [...new Set([...document.querySelectorAll("[data-topics]")].flatMap((each) => each.dataset.topics.split(" ")))];
    },
    // Fetch the parts of a topic anew.
    nudge(topic) {
      for (const part of document.querySelectorAll(`[data-topics~="${topic}"]`)) renew(part.id);
    },
    nudgeAll() { for (const topic of eucabox.topics()) eucabox.nudge(topic); },
  };

  // A request that nobody made by hand says so: it is no sign that a person is there.
  async function renew(id, more = {"X-Renewal": "yes"}, longest = LONGEST) {
    const part = document.getElementById(id);
    if (underWay.has(id)) underWay.set(id, true);
    if (!part || underWay.has(id)) return;
    underWay.set(id, false);
    try {
      const answer = await fetch(part.dataset.from, {headers: {"X-Part": "yes", ...more}, signal: AbortSignal.timeout(longest)});
      if (answer.status === 401 || answer.redirected) location.reload(); // to the page that is shown now
      else if (answer.status === 200) replace(document.getElementById(id), await answer.text());
      tell(false);
    } catch {
      tell(true);
    }
    const isOld = underWay.get(id);
    underWay.delete(id);
    if (isOld) renew(id);
  }

  function tell(isStale) {
    const note = document.getElementById("stale");
    if (note) note.hidden = !isStale;
  }

  // --- a new part in the place of the old one: it has the focus, what is ticked, how far it is scrolled

  function replace(part, text) {
    if (!part || answers.get(part.id) === text) return;
    const active = part.contains(document.activeElement) ? document.activeElement : null;
    if (part.querySelector("details[open], dialog[open]") || active?.matches("select, textarea, input:not([type=checkbox])")) return;
    answers.set(part.id, text);
    const focus = active && describe(part, active), left = part.querySelector(".scroll")?.scrollLeft;
    const ticked = [...part.querySelectorAll("input[name=chosen]:checked")].map((each) => each.value);
    const template = document.createElement("template");
    template.innerHTML = text;
    const next = template.content.firstElementChild;
    part.replaceWith(template.content);
    if (next) {
      for (const each of next.querySelectorAll("input[name=chosen]")) each.checked = ticked.includes(each.value);
      if (left) next.querySelector(".scroll")?.scrollTo(left, 0);
      if (focus) find(next, focus)?.focus({preventScroll: true});
    }
    document.dispatchEvent(new Event("renewed"));
  }

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

  // --- when: nudged by what happened, else every few seconds -------------------------------------------

  function every(pause, act) {
    setInterval(() => { if (!document.hidden) act(); }, pause);
  }
  function poll(isSeldom) {
    for (const topic of eucabox.topics()) if (SELDOM.includes(topic) === isSeldom) eucabox.nudge(topic);
  }
  every(OFTEN, () => { for (const part of document.querySelectorAll("[data-often]")) renew(part.id); });
  every(POLL, () => { if (eucabox.polls) poll(false); });
  every(RARELY, () => poll(true));

  // One socket a page: a word of what changed fetches its parts anew, and nothing is polled meanwhile.
  let wait = FIRST_WAIT, isBegun = false;

  function open() {
    const socket = new WebSocket(`${location.origin.replace(/^http/, "ws")}/nudges`);
    let looks;
    socket.onopen = () => {
      eucabox.polls = false;
      document.documentElement.dataset.nudges = "open";
      if (performance.now() > FRESH) eucabox.nudgeAll(); // what changed before, nobody has told
      looks = setInterval(() => { if (!document.hidden) eucabox.nudgeAll(); }, RARELY);
      wait = FIRST_WAIT;
    };
    socket.onmessage = (event) => JSON.parse(event.data).forEach((each) => eucabox.nudge(each));
    socket.onclose = (event) => {
      clearInterval(looks);
      eucabox.polls = true;
      document.documentElement.dataset.nudges = "lost";
      if (event.code === SIGNED_OUT) return;
      setTimeout(open, wait * (0.7 + 0.6 * Math.random()));
      wait = Math.min(2 * wait, MOST_WAIT);
    };
  }

  // A page that was never seen needs no socket yet, nor does one without parts that are renewed.
  function begin() {
    if (isBegun || document.hidden || !eucabox.topics().length) return;
    isBegun = true;
    open();
  }
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) eucabox.nudgeAll();
    begin();
  });
  document.addEventListener("DOMContentLoaded", () => {
    for (const part of document.querySelectorAll("[data-at-once]")) renew(part.id, {}, PATIENT);
    begin();
  });
}
