// Sends files to a bucket part by part, as pages/buckets/uploads.py takes them. What breaks is sent
// again, and nothing else: after a change of the network by itself, after a reload where the same
// file is chosen once more. No file is read as a whole.
"use strict";

{
  const AT_ONCE = 2; // parts on their way; the server's threads are for others too
  const LEAST_WAIT = 400, MOST_WAIT = 15000; // ms between two attempts
  const PATIENCE = 10 * 60 * 1000; // ms without a part that arrives
  const MOST_DIGESTED = 64 << 20; // bytes of a part that are read into memory for its digest
  const MEMORY = "eucabox-upload ";

  class UploadProblem extends Error {
    constructor(message, {code = "", canWait = false} = {}) {
      super(message);
      this.code = code;
      this.canWait = canWait; // the same request may go well later
    }
  }

  // One file on its way to a key: {bucket, key, file, token, onProgress(sent bytes, state)}; states are
  // "sending", "waiting" and "finishing". `run` ends when the object is there, or throws.
  class Upload {
    constructor({bucket, key, file, token, onProgress = () => {}}) {
      Object.assign(this, {bucket, key, file, token, onProgress});
      this.controller = new AbortController();
      this.id = "";
      this.etags = [];
      this.arrived = 0; // bytes of whole parts
      this.under = new Map(); // bytes of parts on their way, by number
    }

    async run() {
      const {upload_id, part_size, parts} = await this.begin();
      this.id = upload_id;
      this.partSize = part_size;
      this.count = Math.max(1, Math.ceil(this.file.size / part_size));
      this.remember();
      for (const [number, size, etag] of parts) {
        if (number <= this.count && size === this.slice(number).size) {
          this.etags[number - 1] = etag;
          this.arrived += size;
        }
      }
      this.tell("sending");
      this.next = 1;
      await Promise.all(Array.from({length: AT_ONCE}, () => this.work()));
      this.tell("finishing");
      const form = {upload_id: this.id, etags: this.etags.join(""), size: this.file.size};
      await this.insist(() => this.post("complete", form));
      this.forget();
    }

    // End it; what arrived is deleted.
    async cancel() {
      this.controller.abort();
      this.forget();
      if (this.id) await this.post("abort", {upload_id: this.id}, {signal: null}).catch(() => {});
    }

    async begin() {
      const form = {size: this.file.size, content_type: this.file.type};
      const upload_id = this.recall();
      if (upload_id) {
        try {
          return await this.insist(() => this.post("begin", {...form, upload_id}));
        } catch (problem) {
          if (problem.code !== "NoSuchUpload") throw problem;
          this.forget();
        }
      }
      return this.insist(() => this.post("begin", form));
    }

    async work() {
      for (;;) {
        while (this.etags[this.next - 1]) this.next += 1;
        const number = this.next++;
        if (number > this.count) return;
        await this.insist(() => this.sendPart(number));
      }
    }

    slice(number) {
      return this.file.slice((number - 1) * this.partSize, number * this.partSize);
    }

    async sendPart(number) {
      const piece = this.slice(number), headers = {"Content-Type": "application/octet-stream"};
      if (crypto.subtle && piece.size <= MOST_DIGESTED) headers["X-Content-SHA256"] = await digest(piece);
      try {
        const answer = await this.send(this.address("part", {upload: this.id, number}), piece, headers, (sent) => {
          this.under.set(number, sent);
          this.tell("sending");
        });
        this.etags[number - 1] = answer.etag;
        this.arrived += piece.size;
        this.lastArrival = performance.now();
      } finally {
        this.under.delete(number);
      }
      this.tell("sending");
    }

    post(step, form, options) {
      const body = new URLSearchParams(form);
      return this.send(this.address(step), body.toString(), {"Content-Type": "application/x-www-form-urlencoded"}, () => {}, options);
    }

    address(step, query = {}) {
      return `/buckets/${encodeURIComponent(this.bucket)}/upload/${step}?${new URLSearchParams({key: this.key, ...query})}`;
    }

    // XMLHttpRequest, as fetch does not tell how much of a body has left.
    send(address, body, headers, onSent, {signal = this.controller.signal} = {}) {
      return new Promise((resolve, reject) => {
        const request = new XMLHttpRequest();
        request.open("POST", address);
        for (const [name, value] of Object.entries({...headers, "X-CSRF-Token": this.token})) request.setRequestHeader(name, value);
        request.upload.onprogress = (event) => onSent(event.loaded);
        request.onload = () => {
          try {
            resolve(read(request));
          } catch (problem) {
            reject(problem);
          }
        };
        request.onerror = request.ontimeout = () => reject(new UploadProblem("The server can't be reached.", {canWait: true}));
        request.onabort = () => reject(new UploadProblem("Cancelled.", {code: "Cancelled"}));
        signal?.addEventListener("abort", () => request.abort());
        if (signal?.aborted) reject(new UploadProblem("Cancelled.", {code: "Cancelled"}));
        else request.send(body);
      });
    }

    // Try until it goes well, is refused for good, or nothing has arrived for long.
    async insist(attempt) {
      const began = performance.now();
      for (let wait = LEAST_WAIT; ; wait = Math.min(2 * wait, MOST_WAIT)) {
        try {
          return await attempt();
        } catch (problem) {
          const since = performance.now() - Math.max(began, this.lastArrival ?? 0);
          if (!problem.canWait || since > PATIENCE || this.controller.signal.aborted) throw problem;
          this.tell("waiting");
          await this.pause(wait);
        }
      }
    }

    // The time to the next attempt: short where the network comes back.
    pause(wait) {
      return new Promise((resolve) => {
        const timer = setTimeout(resolve, wait);
        const early = () => { clearTimeout(timer); setTimeout(resolve, LEAST_WAIT); };
        addEventListener("online", early, {once: true});
        this.controller.signal.addEventListener("abort", early, {once: true});
      });
    }

    tell(state) {
      const under = [...this.under.values()].reduce((sum, each) => sum + each, 0);
      this.onProgress(Math.min(this.arrived + under, this.file.size), state);
    }

    // The upload's id outlives the page, under what the file is.
    get memoryKey() {
      const {name, size, lastModified} = this.file;
      return MEMORY + JSON.stringify([this.bucket, this.key, name, size, lastModified]);
    }
    remember() { store((storage) => storage.setItem(this.memoryKey, this.id)); }
    recall() { return store((storage) => storage.getItem(this.memoryKey)) || ""; }
    forget() { store((storage) => storage.removeItem(this.memoryKey)); }
  }

  function read(request) {
    let answer = null;
    try {
      answer = JSON.parse(request.responseText);
    } catch {
      const isOver = request.status === 403 || request.status === 401 || request.responseURL.includes("/sign-in");
      const text = isOver ? "You are signed out. Sign in again, and choose the same file: what arrived stays." : request.responseText.slice(0, 200);
      throw new UploadProblem(text, {canWait: request.status >= 502});
    }
    if (request.status < 300) return answer;
    const canWait = request.status >= 500 || request.status === 429;
    throw new UploadProblem(answer.message || "The server refused it.", {code: answer.code, canWait});
  }

  async function digest(piece) {
    const bytes = await piece.arrayBuffer().catch(() => {
      throw new UploadProblem("The file was changed or is gone. Choose it again.");
    });
    return btoa(String.fromCharCode(...new Uint8Array(await crypto.subtle.digest("SHA-256", bytes))));
  }

  function store(use) {
    try {
      return use(localStorage);
    } catch {
      return null; // a browser that keeps nothing
    }
  }

  window.eucabox.Upload = Upload;
}
