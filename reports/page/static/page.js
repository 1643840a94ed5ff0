// Charts, and the switch between light and dark. Everything else works without a script.
"use strict";
(() => {
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () =>
    root.dataset.theme ? root.dataset.theme === "dark" : system.matches;

  const colour = (name) => getComputedStyle(root).getPropertyValue(name).trim();

  function theme() {
    const text = colour("--muted");
    const axis = {
      labelColor: text, titleColor: text, gridColor: colour("--line"), domainColor: colour("--line"),
      tickColor: colour("--line"), labelFontSize: 12, titleFontSize: 12, titleFontWeight: "normal",
    };
    return {
      background: "transparent", font: "system-ui, sans-serif", axis,
      legend: { labelColor: text, titleColor: text, labelFontSize: 12, symbolType: "square" },
      text: { color: text }, header: { labelColor: text, titleColor: text },
    };
  }

  // The charts' runtime evaluates expressions by walking them: the page needs no `unsafe-eval`.
  const options = () => ({
    actions: false, ast: true, defaultStyle: false, renderer: "svg", config: theme(),
    tooltip: { theme: isDark() ? "dark" : "light", disableDefaultStyle: true },
  });

  let drawn = [];
  async function redraw() {
    drawn.forEach((view) => view.finalize());
    drawn = [];
    for (const chart of document.querySelectorAll("figure.chart")) {
      const spec = JSON.parse(chart.querySelector(".spec").textContent);
      const picture = chart.querySelector(".picture");
      // The runtime labels it anew, by the specification's own description.
      spec.description = picture.getAttribute("aria-label");
      const { view } = await vegaEmbed(picture, spec, options());
      drawn.push(view);
    }
    root.dataset.drawn = "yes";
  }

  // One after the other: two at once would draw into the same place.
  let drawing = Promise.resolve();
  const draw = () => (drawing = drawing.then(redraw, redraw));

  const button = document.getElementById("theme");
  function label() {
    button.hidden = false;
    button.textContent = isDark() ? "Light" : "Dark";
    button.setAttribute("aria-label", `Use the ${isDark() ? "light" : "dark"} theme`);
  }
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    try {
      localStorage.setItem("theme", root.dataset.theme);
    } catch {
      // Storage may be forbidden: then it holds for this page.
    }
    label();
    draw();
  });
  system.addEventListener("change", () => { label(); draw(); });
  // Whoever replaces what is in `main` says so, and has the charts drawn anew.
  document.addEventListener("spendstream:replaced", draw);
  // What was left open is no part of the question, nor of its URL.
  document.addEventListener("formdata", (event) => {
    if (event.target.method !== "get") return;
    for (const [name, value] of [...event.formData]) if (!value) event.formData.delete(name);
  });
  document.querySelector(".top [aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
  label();
  draw();
})();
