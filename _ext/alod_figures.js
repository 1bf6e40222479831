// Figures follow the page's theme and width.
(() => {
  const figures = () => document.querySelectorAll(".plotly-graph-div");
  const token = (name) =>
    getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  function colors(figure) {
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
    (figure.layout.updatemenus || []).forEach((_, i) => {
      change[`updatemenus[${i}].font.color`] = text;
      change[`updatemenus[${i}].bgcolor`] = surface;
      change[`updatemenus[${i}].bordercolor`] = muted;
    });
    (figure.layout.sliders || []).forEach((_, i) => {
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

  // Each on its own: a figure that fails or waits holds up no other.
  function restyle() {
    figures().forEach(async (figure) => {
      await Plotly.relayout(figure, colors(figure));
      await fit(figure);
    });
  }

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

  function offerData(figure, i) {
    if (!figure._fullData || figure.layout.images?.length) return;  // a picture of images
    const link = document.createElement("a");
    link.className = "alod-data";
    link.textContent = "data (CSV)";
    link.href = "#";
    link.download = `${location.pathname.split("/").pop().replace(".html", "")}-${i + 1}.csv`;
    link.addEventListener("click", () => {
      link.href = URL.createObjectURL(new Blob([csv(figure)], { type: "text/csv" }));
    });
    figure.closest(".alod-figure").append(link);
  }

  figures().forEach(offerData);
  restyle();
  new MutationObserver(restyle).observe(document.documentElement, {
    attributes: true,
    attributeFilter: ["data-theme"],
  });
  // Plotly follows the window alone, and too early: the theme's sidebar slides on after it.
  let settled;
  const watch = new ResizeObserver(() => {
    clearTimeout(settled);
    settled = setTimeout(() => figures().forEach(fit), 100);
  });
  document.querySelectorAll(".alod-figure").forEach((place) => watch.observe(place));
})();
