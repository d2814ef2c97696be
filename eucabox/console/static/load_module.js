"use strict";
// A network that changes breaks what is being loaded. A browser may remember that an address failed,
// so each attempt has another one.
async function loadModule(address) {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await import(attempt > 1 ? `${address}&attempt=${attempt}` : address);
    } catch (problem) {
      if (attempt === 4) throw problem;
      await new Promise((done) => { setTimeout(done, 500 * attempt); });
    }
  }
}
