// Draw each figure when it comes near the window; figures follow the page's theme and width.
(() => {
  const CONFIG = {
    displaylogo: false,
    // Few enough to leave the title free.
    modeBarButtons: [["toImage", "zoom2d", "pan2d", "resetScale2d"]],
  };
  const figures = [...document.querySelectorAll(".plotly-graph-div")];
  const drawn = () => figures.filter((figure) => figure._fullLayout);
  const token = (name) =>
    getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  function colors(layout) {
    const text = token("--pst-color-text-base");
    const muted = token("--pst-color-text-muted");
    const surface = token("--pst-color-surface");
    const change = {
      "font.color": text,
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      "modebar.color": muted,
      "modebar.activecolor": text,
      "modebar.bgcolor": "rgba(0,0,0,0)",
    };
    (layout.updatemenus || []).forEach((_, i) => {
      change[`updatemenus[${i}].font.color`] = text;
      change[`updatemenus[${i}].bgcolor`] = surface;
      change[`updatemenus[${i}].bordercolor`] = muted;
    });
    (layout.sliders || []).forEach((_, i) => {
      change[`sliders[${i}].font.color`] = text;
      change[`sliders[${i}].bgcolor`] = surface;
      change[`sliders[${i}].activebgcolor`] = muted;
      change[`sliders[${i}].bordercolor`] = muted;
      change[`sliders[${i}].tickcolor`] = muted;
    });
    return change;
  }

  // A figure in a closed tab has no size yet, and plotly refuses to resize it.
  const fit = (figure) =>
    figure.offsetParent &&
    Math.abs(figure._fullLayout.width - figure.clientWidth) > 1 &&
    Plotly.Plots.resize(figure);

  // What a figure draws, as a table: a row for each point or cell.
  function csv(figure) {
    const axis = (name) => figure._fullLayout[`${name}axis`]?.title?.text || name;
    const cards = figure.layout.meta?.cards;
    const rows = [];
    for (const trace of figure._fullData) {
      if (!trace.x || trace.mode === "text") continue;
      if (trace.hoverinfo === "skip" && !trace.meta) continue;
      const { name, x, y, z, customdata: extra } = trace;
      if (z) {
        y.forEach((below, i) => x.forEach((across, j) =>
          rows.push({ y: below, x: across, value: z[i][j] })));
        continue;
      }
      Array.from(x, (value, i) => {
        const row = { group: name, [axis("x")]: value, [axis("y")]: y[i] };
        (trace.meta?.columns || []).forEach((column, k) => (row[column] = extra[i][k]));
        if (cards) {
          const k = cards.numbers.indexOf(extra?.[i]);
          if (k >= 0) {
            row.image = extra[i];
            row.label = cards.names[cards.name[k]];
            row.round = cards.rounds?.[k];
            row.score = cards.scores?.[k];
          }
        }
        rows.push(row);
      });
    }
    const columns = [...new Set(rows.flatMap(Object.keys))];
    const quote = (value) => `"${String(value ?? "").replaceAll('"', '""')}"`;
    return [columns, ...rows.map((row) => columns.map((column) => row[column]))]
      .map((row) => row.map(quote).join(",")).join("\n");
  }

  function offerData(figure) {
    if (figure.layout.images?.length) return;  // a picture of images
    const link = document.createElement("a");
    link.className = "alod-data";
    link.textContent = "data (CSV)";
    link.href = "#";
    const page = location.pathname.split("/").pop().replace(".html", "");
    link.download = `${page}-${figures.indexOf(figure) + 1}.csv`;
    link.addEventListener("click", () => {
      link.href = URL.createObjectURL(new Blob([csv(figure)], { type: "text/csv" }));
    });
    figure.closest(".alod-figure").append(link);
  }

  function put(object, path, value) {
    const keys = path.split(/[.[\]]+/).filter(Boolean);
    const last = keys.pop();
    keys.reduce((inner, key) => (inner[key] ??= {}), object)[last] = value;
  }

  async function draw(figure) {
    if (figure.dataset.asked) return;
    figure.dataset.asked = "yes";
    const parts = JSON.parse(figure.nextElementSibling.textContent);
    for (const change of Object.entries(colors(parts.layout))) put(parts.layout, ...change);
    await Plotly.newPlot(figure, { ...parts, config: CONFIG });
    offerData(figure);
    figure.dispatchEvent(new Event("alod:drawn", { bubbles: true }));
  }

  // One after the other, so that the first is seen while the second is drawn.
  let turn = Promise.resolve();
  function ask(figure) {
    turn = turn.then(() => draw(figure)).catch(reportError)
      .then(() => new Promise((next) => setTimeout(next)));
  }

  // A page of ten maps, drawn at once, would hold its reader up for seconds.
  const near = new IntersectionObserver(
    (seen) => seen.filter((one) => one.isIntersecting).forEach((one) => ask(one.target)),
    { rootMargin: "50% 0px" },
  );
  figures.forEach((figure) => near.observe(figure));
  addEventListener("beforeprint", () => figures.forEach(draw));
  new MutationObserver(() => {
    // Each on its own: a figure that fails or waits holds up no other.
    drawn().forEach((figure) => Plotly.relayout(figure, colors(figure.layout)));
  }).observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
  let settled;
  const watch = new ResizeObserver(() => {
    clearTimeout(settled);
    settled = setTimeout(() => drawn().forEach(fit), 100);
  });
  document.querySelectorAll(".alod-figure").forEach((place) => watch.observe(place));
})();
