// Sends the files and folders that are chosen, or dropped, to a bucket's folder; upload.js sends each.
"use strict";
(() => {
  const panel = document.getElementById("upload");
  if (!panel) return;
  const {Upload, formatSize} = window.eucabox.uploads;
  const AT_ONCE = 3; // files
  const MOST_SHOWN = 50;
  const {bucket, prefix} = panel.dataset;
  const list = document.getElementById("transfers"), state = document.getElementById("upload-state");
  const bar = document.getElementById("upload-all");
  const totals = {files: 0, done: 0, failed: 0, bytes: 0, sent: 0};
  const queue = [], running = new Set();

  // A file, and the row that shows it.
  class Transfer {
    constructor(file, path) {
      Object.assign(this, {file, path, sent: 0});
      this.upload = new Upload({bucket, key: prefix + path, file, onProgress: (...what) => this.count(...what)});
    }

    show() {
      if (this.row || list.childElementCount >= MOST_SHOWN) return;
      this.row = list.appendChild(document.createElement("li"));
      this.row.className = "transfer";
      const name = this.row.appendChild(document.createElement("bdi"));
      name.textContent = this.path;
      this.bar = this.row.appendChild(document.createElement("progress"));
      this.bar.max = this.file.size || 1;
      this.bar.value = 0;
      this.bar.setAttribute("aria-label", name.textContent);
      this.text = this.row.appendChild(document.createElement("small"));
      this.button = this.row.appendChild(document.createElement("button"));
      this.button.className = "small";
      this.button.type = "button";
      this.offer("Cancel", () => this.upload.cancel());
    }
    offer(label, act) {
      this.button.hidden = false;
      this.button.textContent = label;
      this.button.onclick = act;
    }
    count(sent, what, problem) {
      totals.sent += sent - this.sent;
      this.sent = sent;
      if (this.bar) this.bar.value = sent;
      const part = Math.floor(100 * (this.file.size ? sent / this.file.size : 1));
      const then = {sending: "", waiting: ` ${problem} It goes on by itself.`, finishing: " Putting the parts together…"}[what];
      this.tell(`${part} % of ${formatSize(this.file.size)}.${then}`);
      showAll();
    }
    tell(text) {
      if (this.text) this.text.textContent = text;
    }

    async run() {
      this.show();
      try {
        await this.upload.run();
        totals.done += 1;
        this.end("Done.");
        if (queue.length + running.size > 20) this.row?.remove();
      } catch (problem) {
        this.fail(problem);
      }
    }
    fail(problem) {
      totals.failed += 1;
      this.count(0, "sending");
      if (problem.code !== "Cancelled") this.show();
      this.end(problem.message);
      if (problem.code === "Cancelled" || !this.row) return;
      this.row.classList.add("failed");
      this.offer("Go on", () => {
        totals.failed -= 1;
        this.row.classList.remove("failed");
        this.offer("Cancel", () => this.upload.cancel());
        queue.unshift(this);
        pump();
      });
    }
    end(text) {
      this.tell(text);
      if (this.button) this.button.hidden = true;
    }
  }

  let began = 0, beganAt = 0;
  function showAll() {
    const isBusy = queue.length + running.size > 0;
    const seconds = (performance.now() - began) / 1000, rate = (totals.sent - beganAt) / Math.max(seconds, 1);
    const failed = totals.failed ? `, ${totals.failed} failed` : "";
    const speed = isBusy && rate > 0 ? `, ${formatSize(rate)}/s` : "";
    state.hidden = bar.hidden = false;
    state.textContent = `${totals.done} of ${totals.files} files are there${failed}; ${formatSize(totals.sent)} of ${formatSize(totals.bytes)}${speed}`;
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
      queue.push(new Transfer(file, path));
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
})();
