// Keeps the figures fresh: the page asks for itself again, and takes over what has changed. Scroll,
// focus and what is open stay. It waits while nobody looks, and while somebody fills in a form.
"use strict";
(() => {
  const EVERY_MS = 5000;
  const LONGEST_MS = 60000; // between tries while there is no answer
  const SHARE = 10; // a page that takes long to make is asked for less often

  const main = document.getElementById("main");
  const themeButton = document.getElementById("theme");
  // As the server sent it: this script comes before the one that draws charts into it.
  let source = main.cloneNode(true);
  let delay = EVERY_MS;
  let timer = 0;
  let asking = false;
  let wanted = true;
  try {
    wanted = localStorage.getItem("live") !== "no";
  } catch {
    // Storage may be forbidden: then it holds for this page.
  }

  const button = document.createElement("button");
  button.type = "button";
  button.id = "live";
  button.className = "quiet";
  themeButton.before(button);

  function say(state) {
    button.dataset.state = state;
    button.textContent = {
      live: "Live", waiting: "Waiting", paused: "Paused", lost: "No answer",
    }[state];
    button.setAttribute("aria-pressed", String(wanted));
    button.setAttribute("aria-label", {
      live: "Live: figures are refreshed every few seconds. Pause",
      waiting: "Live, but waiting while a form is filled in or text is marked. Pause",
      paused: "Paused: figures stay as they are. Go live",
      lost: "Live, but there is no answer at the moment. Pause",
    }[state]);
  }

  // What a script has put there is no part of what the server sends.
  const parts = (element) =>
    [...element.children].filter((child) => !child.classList.contains("done"));
  const isWhole = (element) => !element.matches("main, section, .figures");

  // Takes over from `after` what differs from `before`; whether a chart was replaced.
  function take(shown, before, after) {
    if (before.outerHTML === after.outerHTML) return false;
    const [mine, old, fresh] = [parts(shown), parts(before), parts(after)];
    const alike = mine.length === fresh.length && old.length === fresh.length &&
      old.every((child, index) => child.tagName === fresh[index].tagName);
    if (isWhole(shown) || shown.className !== after.className || !alike) return replace(shown, after);
    return mine.map((child, index) => take(child, old[index], fresh[index])).some(Boolean);
  }

  const focusable = "a, button, input, select, textarea, summary, [tabindex]";
  const within = (element, selector) =>
    [...(element.matches(selector) ? [element] : []), ...element.querySelectorAll(selector)];

  function replace(shown, after) {
    const fresh = document.importNode(after, true);
    const open = within(shown, "details").map((one) => one.open);
    const across = within(shown, ".scroll").map((one) => one.scrollLeft);
    const focused = within(shown, focusable).indexOf(document.activeElement);
    const said = shown === main ? [...shown.querySelectorAll(":scope > .done")] : [];
    if (shown === main) main.replaceChildren(...said, ...fresh.childNodes);
    else shown.replaceWith(fresh);
    const now = shown === main ? main : fresh;
    within(now, "details").forEach((one, index) => { one.open = open[index] ?? one.open; });
    within(now, ".scroll").forEach((one, index) => { one.scrollLeft = across[index] ?? 0; });
    if (focused >= 0) within(now, focusable)[focused]?.focus({ preventScroll: true });
    return within(now, "figure.chart").length > 0;
  }

  // Fields that differ from what was sent, and fields that somebody is in.
  function isFilling() {
    const changed = (field) => {
      if (field.tagName !== "SELECT") return field.value !== field.defaultValue;
      const options = [...field.options];
      return !(options.find((one) => one.defaultSelected) ?? options[0])?.selected;
    };
    return Boolean(document.activeElement?.closest("main form")) ||
      [...main.querySelectorAll("form input, form textarea, form select")].some(changed);
  }

  const isSelecting = () => {
    const selection = getSelection();
    return !selection.isCollapsed && main.contains(selection.anchorNode);
  };

  async function refresh() {
    if (!wanted || asking || document.hidden) return;
    if (isFilling() || isSelecting()) {
      say("waiting");
      return;
    }
    asking = true;
    const begun = performance.now();
    try {
      const answer = await fetch(location.href, {
        headers: { Accept: "text/html" }, cache: "no-store", credentials: "same-origin",
      });
      if (new URL(answer.url).pathname !== location.pathname) {
        location.reload(); // signed out: the way to sign in is the page's own
        return;
      }
      if (!answer.ok) throw new Error(String(answer.status));
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.getElementById("main");
      if (!fresh) throw new Error("no page");
      // While it was under way somebody may have begun to type, or stopped it.
      if (wanted && !isFilling() && !isSelecting()) {
        const height = scrollY;
        const charts = take(main, source, fresh);
        if (scrollY !== height) scrollTo(scrollX, height);
        source = fresh;
        document.title = page.title;
        if (charts) document.dispatchEvent(new Event("spendstream:replaced"));
      }
      delay = Math.max(EVERY_MS, SHARE * (performance.now() - begun));
      if (wanted) say("live");
    } catch {
      delay = Math.min(LONGEST_MS, 2 * delay);
      if (wanted) say("lost");
    } finally {
      asking = false;
    }
  }

  async function turn() {
    clearTimeout(timer);
    await refresh();
    clearTimeout(timer);
    if (wanted) timer = setTimeout(turn, Math.min(delay, LONGEST_MS));
  }

  button.addEventListener("click", () => {
    wanted = !wanted;
    try {
      localStorage.setItem("live", wanted ? "yes" : "no");
    } catch {
      // As above.
    }
    delay = EVERY_MS;
    say(wanted ? "live" : "paused");
    if (wanted) turn();
    else clearTimeout(timer);
  });
  document.addEventListener("visibilitychange", () => { if (!document.hidden && wanted) turn(); });
  say(wanted ? "live" : "paused");
  if (wanted) timer = setTimeout(turn, EVERY_MS);
})();
