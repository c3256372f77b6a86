// Keeps the page as it would be if it were loaded now: asks for it again every two seconds and takes over the parts that
// differ. Without this script the page is the same, and as old as its last load.
"use strict";

const EVERY_MS = 2000;
const WITHIN_MS = 10000;
const TYPED_MS = 250;
const form = document.getElementById("search");
const stale = document.getElementById("stale");
let timer = 0;
let asked = 0;
let answered = new Date();

// Which element of a part has the focus, so that it can have it again: a link by where it leads.
function focused(part) {
  const element = document.activeElement;
  return element && part.contains(element) && element.getAttribute("href");
}

function takeOver(fresh) {
  for (const part of document.querySelectorAll("[data-part]")) {
    const other = fresh.getElementById(part.id);
    if (!other || other.innerHTML === part.innerHTML) continue;
    const href = focused(part);
    part.replaceChildren(...other.childNodes);
    if (href) part.querySelector(`[href="${CSS.escape(href)}"]`)?.focus({ preventScroll: true });
  }
  document.title = fresh.title;
  document.getElementById("icon").setAttribute("href", fresh.getElementById("icon").getAttribute("href"));
}

function say(problem) {
  stale.hidden = !problem;
  document.body.classList.toggle("old", Boolean(problem));
  const since = answered.toISOString().slice(11, 19);
  stale.textContent = problem ? `Not live: ${problem}. What is shown is from ${since} UTC.` : "";
}

async function look() {
  clearTimeout(timer);
  const mine = ++asked;
  try {
    const answer = await fetch(location.pathname + location.search, { signal: AbortSignal.timeout(WITHIN_MS) });
    const text = await answer.text();
    if (mine !== asked) return;
    if (!answer.ok) throw new Error(`fastlb answers ${answer.status}`);
    takeOver(new DOMParser().parseFromString(text, "text/html"));
    answered = new Date();
    say("");
  } catch (error) {
    if (mine !== asked) return;
    say(error.message.startsWith("fastlb") ? error.message : "nobody answers");
  }
  if (!document.hidden) timer = setTimeout(look, EVERY_MS);
}

function search() {
  const words = new URLSearchParams(new FormData(form));
  for (const [name, value] of [...words]) if (!value || value === "all") words.delete(name);
  history.replaceState(null, "", `${location.pathname}${words.size ? "?" : ""}${words}`);
  look();
}

form.addEventListener("input", () => {
  clearTimeout(timer);
  timer = setTimeout(search, TYPED_MS);
});
form.addEventListener("submit", (event) => {
  event.preventDefault();
  search();
});
document.addEventListener("visibilitychange", () => document.hidden || look());
timer = setTimeout(look, EVERY_MS);
