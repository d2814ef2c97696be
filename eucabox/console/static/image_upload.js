// The page on which an image is added: looks at the file, has it sent, and registers it.
"use strict";

{
  const form = document.getElementById("image-upload");
  const HEAD = 2048; // bytes that tell what a file is
  const byId = (name) => document.getElementById(name);
  let token = document.querySelector("input[name=csrf]").value;
  let upload = null, isCancelled = false, began = 0, beganAt = null;

  // What the server thinks of the file, before all of it is sent; where it goes.
  async function prepare(file) {
    const head = new Uint8Array(await file.slice(0, HEAD).arrayBuffer());
    const body = new URLSearchParams({
      file: file.name, size: file.size, name: form.elements.name.value, bucket: byId("bucket").value,
      head: btoa(String.fromCharCode(...head)),
    });
    const answer = await fetch(form.dataset.prepare, {method: "POST", body, headers: {"X-CSRF-Token": token}});
    const place = await answer.json().catch(() => ({message: "You are signed out. Sign in again, and choose the same file: what arrived stays."}));
    if (!answer.ok || place.message) throw new Error(place.message);
    return place;
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
      const onProgress = (sent, state) => show(sent, file.size, state);
      upload = new window.eucabox.Upload({...place, file, token, onProgress});
      await upload.run();
      setBusy(false); // else the browser leaves the fields out
      form.elements.location.value = `${place.bucket}/${place.key}`;
      form.elements.csrf.value = token;
      upload = null;
      form.submit();
    } catch (problem) {
      upload = null;
      stop(problem.code === "Cancelled" ? "" : problem.message);
      await renewToken();
    }
  }

  function show(sent, size, state) {
    beganAt ??= state === "sending" ? sent : null;
    const seconds = (performance.now() - began) / 1000, rate = (sent - (beganAt ?? sent)) / Math.max(seconds, 1);
    const left = rate > 0 && sent < size ? `, ${time((size - sent) / rate)} left` : "";
    const words = {
      sending: `${Math.floor(100 * sent / Math.max(size, 1))} % of ${bytes(size)}${left}`,
      waiting: "The server can't be reached. It goes on by itself.", finishing: "All is there. Registering it",
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

  // The token of a session that began since, in another window.
  async function renewToken() {
    try {
      const answer = await fetch(location.pathname);
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      token = page.querySelector("#image-upload input[name=csrf]")?.value ?? token;
    } catch {
      // then the next attempt tells
    }
  }

  function bytes(size) {
    const units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let unit = 0;
    while (size >= 1024 && unit < units.length - 1) [size, unit] = [size / 1024, unit + 1];
    return `${size < 10 && unit ? size.toFixed(1) : Math.round(size)} ${units[unit]}`;
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
    addEventListener("beforeunload", (event) => { if (upload) event.preventDefault(); });
  }
}
