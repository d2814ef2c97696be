// Sends a file to a bucket, as pages/buckets/uploads.py takes it: a small one at once, another part by
// part. What breaks is sent again, and nothing else: after a change of the network by itself, after a
// reload where the same file is chosen once more. No large file is read as a whole.
"use strict";

{
  const AT_ONCE = 3; // requests of all uploads of a page; the browser keeps others for the page
  const SMALL = 8 << 20, MOST_DIGESTED = 64 << 20; // bytes
  const LEAST_WAIT = 400, MOST_WAIT = 15000; // ms between two attempts
  const PATIENCE = 10 * 60 * 1000; // ms without anything that goes well
  const MEMORY = "eucabox-upload ";
  const BYTES = {"Content-Type": "application/octet-stream"};
  const SIGNED_OUT = "You are signed out. Sign in again, and choose the same file: what arrived stays.";
  const running = new Set(), waiting = [];
  let free = AT_ONCE, token = document.querySelector("input[name=csrf]").value;

  class UploadProblem extends Error {
    constructor(message, {code = "", status = 0} = {}) {
      super(message);
      Object.assign(this, {code, status});
      // The same request may go well later, unless the disk is full.
      this.canWait = code === "Unreachable" || status === 408 || status === 429 || (status >= 500 && status !== 507);
    }
  }

  // One file on its way to a key: {bucket, key, file, onProgress(sent bytes, state, problem)}; states are
  // "sending", "waiting", for which there is a problem, and "finishing". `run` ends when the object is
  // there, or throws; after a problem it can be run again, and goes on.
  class Upload {
    constructor({bucket, key, file, onProgress}) {
      Object.assign(this, {bucket, key, file, onProgress, id: "", isCancelled: false});
    }

    async run() {
      Object.assign(this, {controller: new AbortController(), arrived: 0, under: new Map(), problem: "", wellAt: performance.now()});
      running.add(this);
      try {
        await (this.file.size <= SMALL ? this.sendWhole() : this.sendParts());
      } catch (problem) {
        this.controller.abort(); // the other parts
        throw this.isCancelled ? new UploadProblem("Cancelled.", {code: "Cancelled"}) : problem;
      } finally {
        running.delete(this);
      }
    }

    // End it; what arrived is deleted.
    async cancel() {
      const upload_id = this.id;
      this.isCancelled = true;
      this.controller.abort();
      this.forget();
      if (upload_id) await post(this.address("abort"), {upload_id}).catch(() => {});
    }

    async sendWhole() {
      const type = this.file.type ? {"X-File-Type": this.file.type} : {};
      await this.sendBytes(0, this.file, this.address("file"), type);
    }

    async sendParts() {
      const {upload_id, part_size, parts} = await this.begin();
      this.id = upload_id;
      this.remember();
      const etags = new Array(Math.ceil(this.file.size / part_size));
      const slice = (index) => this.file.slice(index * part_size, (index + 1) * part_size);
      for (const [number, size, etag] of parts) {
        if (number > etags.length || size !== slice(number - 1).size) continue;
        etags[number - 1] = etag;
        this.arrived += size;
      }
      this.tell();
      const left = [...etags.keys()].filter((index) => !etags[index]);
      const work = async () => {
        for (let index = left.shift(); index !== undefined; index = left.shift()) {
          const address = this.address("part", {upload: this.id, number: index + 1});
          etags[index] = (await this.sendBytes(index, slice(index), address)).etag;
        }
      };
      await Promise.all(Array.from({length: AT_ONCE}, work));
      this.tell("finishing");
      await this.insist(() => this.post("complete", {upload_id: this.id, size: this.file.size, etags: etags.join("")}));
      this.forget();
    }

    async begin() {
      const fields = {size: this.file.size, content_type: this.file.type};
      const upload_id = this.id || this.recall();
      if (upload_id) {
        try {
          return await this.insist(() => this.post("begin", {...fields, upload_id}));
        } catch (problem) {
          if (problem.code !== "NoSuchUpload") throw problem;
          this.forget();
        }
      }
      return this.insist(() => this.post("begin", fields));
    }

    async sendBytes(index, piece, address, more = {}) {
      const onSent = (sent) => {
        this.under.set(index, Math.min(sent, piece.size));
        this.tell();
      };
      const answer = await this.insist(async () => {
        const headers = {...BYTES, ...more, ...await digest(piece)};
        return send(address, piece, headers, {onSent, signal: this.controller.signal}).finally(() => this.under.delete(index));
      });
      this.arrived += piece.size;
      this.tell();
      return answer;
    }

    post(step, fields) {
      return post(this.address(step), fields, this.controller.signal);
    }

    address(step, query = {}) {
      return `/buckets/${encodeURIComponent(this.bucket)}/upload/${step}?${new URLSearchParams({key: this.key, ...query})}`;
    }

    // Try until it goes well, is refused for good, or nothing has gone well for long.
    async insist(attempt) {
      for (let wait = LEAST_WAIT; ;) {
        await takeTurn();
        const sent = token;
        try {
          const answer = await attempt();
          this.wellAt = performance.now();
          this.problem = "";
          return answer;
        } catch (problem) {
          if (this.controller.signal.aborted) throw problem;
          if (problem.status === 403 && await renewToken(sent)) continue;
          if (!problem.canWait || performance.now() - this.wellAt > PATIENCE) throw problem;
          this.problem = problem.message;
          this.tell();
        } finally {
          giveTurn();
        }
        await this.pause(wait);
        wait = Math.min(2 * wait, MOST_WAIT);
      }
    }

    // The time to the next attempt: short where the network comes back.
    pause(wait) {
      const done = new AbortController();
      return new Promise((resolve) => {
        const timer = setTimeout(resolve, wait);
        const early = () => { clearTimeout(timer); setTimeout(resolve, LEAST_WAIT); };
        addEventListener("online", early, {signal: done.signal});
        this.controller.signal.addEventListener("abort", early, {signal: done.signal});
      }).finally(() => done.abort());
    }

    tell(state = this.problem ? "waiting" : "sending") {
      const under = [...this.under.values()].reduce((sum, each) => sum + each, 0);
      this.onProgress(this.arrived + under, state, this.problem);
    }

    // The upload's id outlives the page, under what the file is.
    get memoryKey() {
      const {name, size, lastModified} = this.file;
      return MEMORY + JSON.stringify([this.bucket, this.key, name, size, lastModified]);
    }
    remember() { store((storage) => storage.setItem(this.memoryKey, this.id)); }
    recall() { return store((storage) => storage.getItem(this.memoryKey)) || ""; }
    forget() {
      this.id = "";
      store((storage) => storage.removeItem(this.memoryKey));
    }
  }

  // --- requests, a few at a time ------------------------------------------------------------------

  async function takeTurn() {
    if (free > 0) free -= 1;
    else await new Promise((done) => waiting.push(done));
  }
  function giveTurn() {
    const next = waiting.shift();
    if (next) next();
    else free += 1;
  }

  function post(address, fields, signal) {
    const body = new URLSearchParams(fields).toString();
    return send(address, body, {"Content-Type": "application/x-www-form-urlencoded"}, {signal});
  }

  // Its answer is JSON. XMLHttpRequest, as fetch does not tell how much of a body has left.
  function send(address, body, headers, {onSent = () => {}, signal} = {}) {
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest(), end = () => request.abort();
      const fail = (message, code) => reject(new UploadProblem(message, {code}));
      request.open("POST", address);
      for (const [name, value] of Object.entries({...headers, "X-CSRF-Token": token})) request.setRequestHeader(name, value);
      request.upload.onprogress = (event) => onSent(event.loaded);
      request.onload = () => {
        try {
          resolve(read(request));
        } catch (problem) {
          reject(problem);
        }
      };
      request.onerror = () => fail("The server can't be reached.", "Unreachable");
      request.onabort = () => fail("Cancelled.", "Cancelled");
      request.onloadend = () => signal?.removeEventListener("abort", end);
      if (signal?.aborted) return fail("Cancelled.", "Cancelled");
      signal?.addEventListener("abort", end);
      request.send(body);
    });
  }

  function read({status, responseText}) {
    let answer = null;
    try {
      answer = JSON.parse(responseText);
    } catch {
      // a page, of the guard's or of a proxy's
    }
    if (status === 200 && answer) return answer;
    const text = answer?.message ?? (status === 200 || status === 403 ? SIGNED_OUT : `The server answered ${status}.`);
    throw new UploadProblem(text, {code: answer?.code, status});
  }

  // Whether there is another token than the one that was sent: of a session that began since, in this
  // window or another.
  async function renewToken(sent) {
    if (token !== sent) return true;
    try {
      const answer = await fetch(location.href, {headers: {"X-Renewal": "yes"}});
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (!answer.redirected) token = page.querySelector("input[name=csrf]")?.value ?? token;
    } catch {
      // then the next attempt tells
    }
    return token !== sent;
  }

  async function digest(piece) {
    if (!globalThis.crypto?.subtle || piece.size > MOST_DIGESTED) return {};
    const bytes = await piece.arrayBuffer().catch(() => {
      throw new UploadProblem("The file was changed or is gone. Choose it again.");
    });
    const sum = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
    return {"X-Content-SHA256": btoa(String.fromCharCode(...sum))};
  }

  function store(use) {
    try {
      return use(localStorage);
    } catch {
      return null; // a browser that keeps nothing
    }
  }

  function formatSize(bytes) {
    const units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let unit = 0;
    while (bytes >= 1024 && unit < units.length - 1) [bytes, unit] = [bytes / 1024, unit + 1];
    return `${bytes < 10 && unit ? bytes.toFixed(1) : Math.round(bytes)} ${units[unit]}`;
  }

  addEventListener("beforeunload", (event) => { if (running.size) event.preventDefault(); });
  window.eucabox.uploads = {Upload, post, formatSize, getToken: () => token, renewToken: () => renewToken(token)};
}
