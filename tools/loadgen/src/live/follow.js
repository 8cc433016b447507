"use strict";
// Follows the run: asks once a second for changes and replaces only the changed
// parts, so that the page neither scrolls nor flickers.
const line = document.getElementById("live");
let seen = line.dataset.version;
let finished = false;

function replace(html) {
  const fresh = new DOMParser().parseFromString(html, "text/html").querySelector("main");
  const shown = document.querySelector("main");
  const ids = (main) => Array.from(main.children, (child) => child.id).join(" ");
  if (ids(fresh) !== ids(shown)) {
    shown.replaceWith(fresh);
    return;
  }
  Array.from(fresh.children).forEach((child, index) => {
    const old = shown.children[index];
    if (child.outerHTML === old.outerHTML) return;
    const scrolled = old.querySelector(".chart, .table")?.scrollLeft;
    old.replaceWith(child);
    if (scrolled) child.querySelector(".chart, .table").scrollLeft = scrolled;
  });
}

async function follow() {
  try {
    const answer = await fetch("/part?seen=" + seen);
    if (!answer.ok) throw new Error(answer.status);
    if (answer.status === 200) {
      replace(await answer.text());
      seen = answer.headers.get("x-version");
    }
    finished = answer.headers.get("x-finished") === "yes";
    line.textContent = finished ? "finished" : "running; as of " + new Date().toLocaleTimeString();
  } catch {
    if (!finished) line.textContent = "no answer: the run has ended, and this is the last that was seen of it";
  }
  // A final state does not change any more.
  if (!finished) setTimeout(follow, 1000);
}

setTimeout(follow, 1000);
