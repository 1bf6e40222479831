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
  const fit = (figure) => figure.offsetParent && Plotly.Plots.resize(figure);

  // Each on its own: a figure that fails or waits holds up no other.
  function restyle() {
    figures().forEach(async (figure) => {
      await Plotly.relayout(figure, colors(figure));
      await fit(figure);
    });
  }

  restyle();
  new MutationObserver(restyle).observe(document.documentElement, {
    attributes: true,
    attributeFilter: ["data-theme"],
  });
  for (const opened of ["toggle", "change"]) {
    document.addEventListener(opened, () => figures().forEach(fit), true);
  }
})();
