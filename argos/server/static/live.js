// Renews what changes, in place. Asks for the page itself, so that there is one way to
// draw it, and swaps the parts that differ. Waits while somebody uses the page: nothing
// moves under a hand, an open menu, a form or a selection.
import { localize } from "./times.js";

const seconds = Number(document.body.dataset.refreshSeconds) || 15;
const quietAfterPointer = 2000;
let pointerMoved = 0;
let failures = 0;

function isBusy() {
  const focused = document.activeElement;
  const inForm = focused && focused.closest("form, details, .scroll");
  const selection = document.getSelection();
  return (
    document.hidden ||
    inForm ||
    document.querySelector("details.who[open], .chart details[open], .gathered[open]") ||
    (selection && !selection.isCollapsed) ||
    performance.now() - pointerMoved < quietAfterPointer
  );
}

function swap(fresh) {
  for (const part of document.querySelectorAll("[data-live]")) {
    const next = fresh.querySelector(`[data-live="${part.dataset.live}"]`);
    if (!next) continue;
    localize(next);
    if (part.innerHTML === next.innerHTML) continue;
    const focused = part.contains(document.activeElement)
      ? document.activeElement.getAttribute("href")
      : null;
    part.replaceChildren(...next.childNodes);
    if (focused) {
      part.querySelector(`[href="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
    }
  }
  document.title = fresh.title;
}

async function renew() {
  const answer = await fetch(location.href, {
    headers: { Accept: "text/html" },
    signal: AbortSignal.timeout(seconds * 1000),
  });
  if (answer.redirected && new URL(answer.url).pathname !== location.pathname) {
    location.assign(answer.url);
    return;
  }
  if (!answer.ok) throw new Error(`status ${answer.status}`);
  swap(new DOMParser().parseFromString(await answer.text(), "text/html"));
}

async function tick() {
  if (!isBusy()) {
    try {
      await renew();
      failures = 0;
    } catch {
      failures += 1;
    }
    document.documentElement.classList.toggle("is-stale", failures > 0);
  }
  // A server in trouble is asked less often, up to a tenth as often.
  setTimeout(tick, seconds * 1000 * Math.min(failures + 1, 10));
}

document.addEventListener("pointermove", () => {
  pointerMoved = performance.now();
});
setTimeout(tick, seconds * 1000);
