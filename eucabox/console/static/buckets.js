// Sends files to a bucket's folder in parts, each a request of its own: what breaks is sent again,
// and what a closed page left is gone on with when the same file is chosen once more.
"use strict";
(() => {
  const panel = document.getElementById("upload");
  if (!panel) return;
  const AT_ONCE = 3; // requests; the browser keeps others for the page
  const SMALL = 8 << 20, MOST_DIGESTED = 64 << 20; // bytes
  const WAITS = [1, 2, 4, 8, 15, 30, 30, 30, 60, 60, 60, 60, 60, 60]; // seconds between tries
  const MOST_SHOWN = 50;
  const {address, prefix} = panel.dataset;
  const list = document.getElementById("transfers"), state = document.getElementById("upload-state");
  const bar = document.getElementById("upload-all");
  const totals = {files: 0, done: 0, failed: 0, bytes: 0, sent: 0};
  const queue = [], running = new Set();
  let free = AT_ONCE;
  const waiting = [];
  let token = document.querySelector("input[name=csrf]").value;

  class Refused extends Error {
    constructor(status, message) {
      super(message);
      this.status = status;
      this.passes = status === 0 || (status >= 500 && status !== 507) || status === 429 || status === 408;
    }
  }

  async function takeSlot() {
    if (free > 0) free -= 1;
    else await new Promise((done) => waiting.push(done));
  }
  function giveSlot() {
    const next = waiting.shift();
    if (next) next();
    else free += 1;
  }

  // One request; its answer is JSON. The network's faults and the server's are Refused.
  function send(transfer, what, query, body, headers = {}, told = () => {}) {
    return new Promise((done, fail) => {
      const request = new XMLHttpRequest();
      request.open("POST", `${address}${what}?${new URLSearchParams({key: transfer.key, ...query})}`);
      request.responseType = "json";
      request.setRequestHeader("X-CSRF-Token", token);
      for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
      request.upload.onprogress = (event) => told(event.loaded);
      request.onload = () => {
        transfer.requests.delete(request);
        if (request.status === 200 && request.response) done(request.response);
        else fail(new Refused(request.status, request.response?.message ?? explain(request.status)));
      };
      request.onerror = () => { transfer.requests.delete(request); fail(new Refused(0, "The network is away.")); };
      request.onabort = () => fail(new Refused(-1, "Cancelled."));
      transfer.requests.add(request);
      request.send(body);
    });
  }
  function explain(status) {
    return status === 403 ? "You are signed out here: sign in in another tab, then go on." : `The server answered ${status}.`;
  }
  const form = (fields) => new URLSearchParams(fields);

  // Until it goes well: again after a while where the network or the server was at fault.
  async function insist(transfer, act) {
    for (let number = 0; ; number += 1) {
      if (transfer.isOver) throw new Refused(-1, "Cancelled.");
      let rest = 0;
      await takeSlot();
      try {
        const answer = await act();
        transfer.explain("");
        return answer;
      } catch (problem) {
        const renewed = problem.status === 403 && number === 0 && await renewToken();
        if (!renewed && (!problem.passes || number >= WAITS.length || transfer.isOver)) throw problem;
        if (!renewed) transfer.explain(`${problem.message} Trying again…`);
        rest = renewed ? 0 : WAITS[number];
      } finally {
        giveSlot();
      }
      await pause(transfer, rest);
    }
  }
  // So many seconds, or until the network is back, or nobody wants the file any more.
  function pause(transfer, seconds) {
    return new Promise((done) => {
      const over = () => {
        clearTimeout(timer);
        removeEventListener("online", over);
        transfer.pauses.delete(over);
        done();
      };
      const timer = setTimeout(over, seconds * 1000);
      addEventListener("online", over);
      transfer.pauses.add(over);
    });
  }
  // The token of a session that began since, in this window or another.
  async function renewToken() {
    try {
      const answer = await fetch(location.href, {headers: {"X-Renewal": "yes"}});
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const found = page.querySelector("#upload") && page.querySelector("input[name=csrf]")?.value;
      const isNew = Boolean(found) && found !== token;
      if (isNew) token = found;
      return isNew;
    } catch {
      return false;
    }
  }

  async function digest(blob) {
    if (!globalThis.crypto?.subtle || blob.size > MOST_DIGESTED) return {};
    const sum = new Uint8Array(await crypto.subtle.digest("SHA-256", await blob.arrayBuffer()));
    return {"X-Content-SHA256": btoa(String.fromCharCode(...sum))};
  }

  class Transfer {
    constructor(file, key) {
      Object.assign(this, {file, key, sent: 0, isOver: false, requests: new Set(), pauses: new Set(), uploadId: "", problem: ""});
      this.memory = `upload ${address} ${key} ${file.size} ${file.lastModified}`;
    }

    // --- what is seen of it

    show() {
      if (this.row || list.childElementCount >= MOST_SHOWN) return;
      this.row = list.appendChild(document.createElement("li"));
      this.row.className = "transfer";
      const name = this.row.appendChild(document.createElement("bdi"));
      name.textContent = this.key.slice(prefix.length);
      this.bar = this.row.appendChild(document.createElement("progress"));
      this.bar.max = this.file.size || 1;
      this.bar.value = 0;
      this.bar.setAttribute("aria-label", name.textContent);
      this.text = this.row.appendChild(document.createElement("small"));
      this.button = this.row.appendChild(document.createElement("button"));
      this.button.className = "small";
      this.button.type = "button";
      this.button.textContent = "Cancel";
      this.button.onclick = () => this.cancel();
    }
    tell(text) {
      if (this.text) this.text.textContent = text;
    }
    // What is in the way just now stays beside the count.
    explain(problem) {
      this.problem = problem;
      this.count(this.sent);
    }
    count(sent) {
      const before = this.sent;
      this.sent = Math.min(sent, this.file.size);
      totals.sent += this.sent - before;
      if (this.bar) this.bar.value = this.sent;
      const part = this.file.size ? this.sent / this.file.size : 1;
      this.tell(`${Math.floor(part * 100)} % of ${size(this.file.size)}. ${this.problem}`);
      showAll();
    }

    // --- what is done with it

    async run() {
      this.show();
      this.isOver = false;
      try {
        await (this.file.size <= SMALL ? this.sendWhole() : this.sendParts());
        this.end("Done.");
        totals.done += 1;
        if (queue.length + running.size > 20) this.row?.remove();
      } catch (problem) {
        this.fail(problem);
      }
    }
    async sendWhole() {
      const headers = {"Content-Type": "application/octet-stream", ...await digest(this.file)};
      if (this.file.type) headers["X-File-Type"] = this.file.type;
      await insist(this, () => send(this, "file", {}, this.file, headers, (sent) => this.count(sent)));
      this.count(this.file.size);
    }
    async sendParts() {
      const plan = await this.begin(), parts = [];
      for (let at = 0; at < this.file.size; at += plan.part_size) {
        const number = parts.length + 1;
        const there = plan.parts.find((each) => each[0] === number);
        const length = Math.min(plan.part_size, this.file.size - at);
        parts.push({number, at, length, loaded: 0, etag: there && there[1] === length ? there[2] : ""});
      }
      const count = () => this.count(parts.reduce((sum, part) => sum + part.loaded, 0));
      for (const part of parts) if (part.etag) part.loaded = part.length;
      count();
      const left = parts.filter((part) => !part.etag);
      const work = async () => {
        for (let part = left.shift(); part; part = left.shift()) await this.sendPart(part, count);
      };
      await Promise.all(Array.from({length: AT_ONCE}, work));
      const etags = parts.map((part) => part.etag).join("");
      const body = () => form({upload_id: this.uploadId, size: this.file.size, etags});
      this.tell("Putting the parts together…");
      await insist(this, () => send(this, "complete", {}, body()));
      forget(this.memory);
    }
    async begin() {
      const fields = {size: this.file.size, content_type: this.file.type};
      this.uploadId ||= recall(this.memory);
      const ask = () => insist(this, () => send(this, "begin", {}, form({...fields, upload_id: this.uploadId})));
      let plan;
      try {
        plan = await ask();
      } catch (problem) {
        if (problem.status !== 404 || !this.uploadId) throw problem;
        this.uploadId = "";
        plan = await ask();
      }
      this.uploadId = plan.upload_id;
      keep(this.memory, this.uploadId);
      return plan;
    }
    async sendPart(part, count) {
      const blob = this.file.slice(part.at, part.at + part.length);
      const headers = {"Content-Type": "application/octet-stream", ...await digest(blob)};
      const query = {upload: this.uploadId, number: part.number};
      const told = (loaded) => { part.loaded = Math.min(loaded, part.length); count(); };
      try {
        const answer = await insist(this, () => send(this, "part", query, blob, headers, told));
        part.etag = answer.etag;
        told(part.length);
      } catch (problem) {
        this.stopRequests();
        throw problem;
      }
    }

    // --- its end

    stopRequests() {
      this.isOver = true;
      for (const request of this.requests) request.abort();
      this.requests.clear();
      for (const over of [...this.pauses]) over();
    }
    async cancel() {
      const id = this.uploadId;
      this.isCancelled = true;
      this.stopRequests();
      forget(this.memory);
      this.uploadId = "";
      // A request of its own: those of the file are all ended once more by the part that fails last.
      const last = {key: this.key, requests: new Set()};
      if (id) await send(last, "abort", {}, form({upload_id: id})).catch(() => {});
    }
    fail(problem) {
      totals.failed += 1;
      this.problem = "";
      this.count(0);
      if (this.isCancelled) {
        this.end("Cancelled.");
        return;
      }
      if (!this.row) this.show();
      this.end(problem.message);
      this.row?.classList.add("failed");
      if (!this.button) return;
      this.button.hidden = false;
      this.button.textContent = "Go on";
      this.button.onclick = () => {
        totals.failed -= 1;
        this.row.classList.remove("failed");
        this.button.textContent = "Cancel";
        this.button.onclick = () => this.cancel();
        queue.unshift(this);
        pump();
      };
    }
    end(text) {
      this.tell(text);
      if (this.button) this.button.hidden = true;
    }
  }

  function recall(name) {
    try { return localStorage.getItem(name) ?? ""; } catch { return ""; }
  }
  function keep(name, value) {
    try { localStorage.setItem(name, value); } catch { /* then it can't be gone on with later */ }
  }
  function forget(name) {
    try { localStorage.removeItem(name); } catch { /* there is none */ }
  }

  function size(bytes) {
    for (const unit of ["B", "KiB", "MiB", "GiB"]) {
      if (bytes < 1024 || unit === "GiB") return `${bytes < 10 && unit !== "B" ? bytes.toFixed(1) : Math.round(bytes)} ${unit}`;
      bytes /= 1024;
    }
    return "";
  }

  let began = 0, beganAt = 0;
  function showAll() {
    const isBusy = queue.length + running.size > 0;
    const seconds = (performance.now() - began) / 1000, rate = (totals.sent - beganAt) / Math.max(seconds, 1);
    const failed = totals.failed ? `, ${totals.failed} not` : "";
    const speed = isBusy && rate > 0 ? `, ${size(rate)}/s` : "";
    state.hidden = bar.hidden = false;
    state.textContent = `${totals.done} of ${totals.files} files are there${failed}; ${size(totals.sent)} of ${size(totals.bytes)}${speed}`;
    bar.value = totals.bytes ? totals.sent / totals.bytes : 1;
  }

  function pump() {
    while (running.size < AT_ONCE && queue.length) {
      const transfer = queue.shift();
      running.add(transfer);
      transfer.run().finally(() => {
        running.delete(transfer);
        showAll();
        if (!queue.length && !running.size) window.eucabox.nudge("buckets");
        pump();
      });
    }
  }

  function add(files) {
    if (!queue.length && !running.size) [began, beganAt] = [performance.now(), totals.sent];
    for (const [file, path] of files) {
      totals.files += 1;
      totals.bytes += file.size;
      queue.push(new Transfer(file, prefix + path));
    }
    showAll();
    pump();
  }

  for (const id of ["files", "folder-files"]) {
    document.getElementById(id).addEventListener("change", ({target}) => {
      add([...target.files].map((file) => [file, file.webkitRelativePath || file.name]));
      target.value = "";
    });
  }

  // --- files and folders that are dropped ---------------------------------------------------------

  async function walk(entry, found) {
    if (entry.isFile) {
      found.push([await new Promise((done, fail) => entry.file(done, fail)), entry.fullPath.slice(1)]);
      return;
    }
    const reader = entry.createReader();
    for (;;) {
      const entries = await new Promise((done, fail) => reader.readEntries(done, fail));
      if (!entries.length) return;
      for (const each of entries) await walk(each, found);
    }
  }
  panel.addEventListener("dragover", (event) => {
    event.preventDefault();
    panel.classList.add("over-it");
  });
  panel.addEventListener("dragleave", () => panel.classList.remove("over-it"));
  panel.addEventListener("drop", async (event) => {
    event.preventDefault();
    panel.classList.remove("over-it");
    const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
    const found = [];
    for (const entry of entries) await walk(entry, found);
    add(found);
  });

  addEventListener("beforeunload", (event) => {
    if (queue.length || running.size) event.preventDefault();
  });
})();
