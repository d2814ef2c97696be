// The page on which an image is added: looks at the file, has upload.js send it, and registers it.
"use strict";

{
  const {Upload, post, formatSize, getToken, renewToken} = window.eucabox.uploads;
  const form = document.getElementById("image-upload");
  const HEAD = 2048; // bytes that tell what a file is
  const byId = (name) => document.getElementById(name);
  let upload = null, isCancelled = false, began = 0, beganAt = null;

  // What the server thinks of the file, before all of it is sent; where it goes.
  async function prepare(file) {
    const head = new Uint8Array(await file.slice(0, HEAD).arrayBuffer());
    return post(form.dataset.prepare, {
      file: file.name, size: file.size, name: form.elements.name.value, bucket: byId("bucket").value,
      head: btoa(String.fromCharCode(...head)),
    });
  }

  async function run() {
    const file = byId("disk").files[0];
    show(0, file.size, "Looking at it");
    began = performance.now();
    beganAt = null;
    isCancelled = false;
    try {
      const place = await prepare(file);
      if (isCancelled) throw Object.assign(new Error(), {code: "Cancelled"});
      upload = new Upload({...place, file, onProgress: (sent, ...what) => show(sent, file.size, ...what)});
      await upload.run();
      setBusy(false); // else the browser leaves the fields out
      form.elements.location.value = `${place.bucket}/${place.key}`;
      form.elements.csrf.value = getToken();
      form.submit();
    } catch (problem) {
      stop(problem.code === "Cancelled" ? "" : problem.message);
      await renewToken();
    } finally {
      upload = null;
    }
  }

  function show(sent, size, state, problem) {
    beganAt ??= state === "sending" ? sent : null;
    const seconds = (performance.now() - began) / 1000, rate = (sent - (beganAt ?? sent)) / Math.max(seconds, 1);
    const left = rate > 0 && sent < size ? `, ${time((size - sent) / rate)} left` : "";
    const words = {
      sending: `${Math.floor(100 * sent / Math.max(size, 1))} % of ${formatSize(size)}${left}`,
      waiting: `${problem} It goes on by itself.`, finishing: "All is there. Registering it",
    };
    byId("upload-progress").hidden = false;
    byId("upload-problem").hidden = true;
    byId("upload-bar").value = size ? sent / size : 0;
    byId("upload-text").textContent = words[state] ?? state;
    setBusy(true);
  }

  function stop(problem) {
    setBusy(false);
    byId("upload-progress").hidden = true;
    byId("upload-problem").hidden = !problem;
    byId("upload-problem").textContent = problem;
    byId("send").lastChild.textContent = problem ? "Go on" : "Upload and register";
  }

  function setBusy(isBusy) {
    for (const each of form.elements) if (each.type !== "hidden") each.disabled = isBusy;
    byId("upload-cancel").disabled = !isBusy;
  }

  function time(seconds) {
    return seconds < 90 ? `${Math.ceil(seconds)} s` : seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
  }

  if (form) {
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      event.stopPropagation(); // a second attempt is meant
      run();
    });
    byId("upload-cancel").addEventListener("click", () => {
      isCancelled = true;
      upload?.cancel();
    });
  }
}
