// Draw each figure when it comes near the window; figures follow the page's theme and width.
// The page writes titles itself, and has controls and tools of its own (alod_controls.js): those of plotly.js wrap at
// one width, lie over the title, and no key reaches them.
(() => {
  // One tap counts as two clicks, which would rescale what it touches.
  const CONFIG = { displayModeBar: false, doubleClick: false };  // codespell:ignore
  const figures = [...document.querySelectorAll(".plotly-graph-div")];
  const drawn = () => figures.filter((figure) => figure._fullLayout);
  const token = (name) =>
    getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  const colors = () => ({
    "font.color": token("--pst-color-text-base"),
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
  });

  // ------------------------------------------------------------------------------------ size

  // A map and a sheet of images keep their shape: high enough for their width, no higher.
  function shape(figure) {
    const { xaxis, yaxis } = figure._fullLayout;
    if (yaxis?.scaleanchor !== "x") return null;
    const long = (values) => values.reduce((most, v) => Math.max(most, v), -Infinity) -
      values.reduce((least, v) => Math.min(least, v), Infinity);
    if (!figure.layout.images?.length || !figure.layout.xaxis.range) {
      const points = figure._fullData.filter((t) => t.type === "scattergl" && t.x?.length);
      const spans = ["x", "y"].map((axis) =>
        long(points.flatMap((trace) => [...trace[axis]])));
      return spans[1] / spans[0] / (yaxis.domain[1] - yaxis.domain[0]);
    }
    return long(figure.layout.yaxis.range) / long(figure.layout.xaxis.range);
  }

  function fit(figure) {
    // A figure in a closed tab has no size yet, and plotly refuses to resize it.
    if (!figure.offsetParent) return;
    const { width, _size: inner } = figure._fullLayout;
    const { ratio, most } = figure.alod;
    const right = inner.w + figure.clientWidth - width;
    const off = ratio ? Math.min(ratio * right, most) - inner.h : 0;
    if (Math.abs(off) > 4) figure.style.height = `${figure.clientHeight + off}px`;
    if (Math.abs(off) > 4 || Math.abs(width - figure.clientWidth) > 1) Plotly.Plots.resize(figure);
  }

  // ------------------------------------------------------------------------------------ tools

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

  function saveAs(link, figure, kind) {
    const page = location.pathname.split("/").pop().replace(".html", "");
    link.download = `${page}-${figures.indexOf(figure) + 1}.${kind}`;
  }

  // As on paper: with its title, dark on white.
  async function svg(figure) {
    const { title, head } = figure.alod;
    const { font, margin, ...layout } = figure.layout;
    const height = figure.clientHeight + head;
    const picture = { data: figure.data, layout: { ...layout, title, height,
      width: figure.clientWidth, margin: { ...margin, t: margin.t + head },
      font: { ...font, color: "#24292f" }, paper_bgcolor: "#fff" } };
    return Plotly.toImage(picture, { format: "svg", height, width: figure.clientWidth });
  }

  // Zoom by dragging, which would else scroll the page; off, the figure is as it was.
  function zoom(figure, button) {
    const on = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", on);
    Plotly.relayout(figure, on ? { dragmode: "zoom" } : { dragmode: false, ...figure.alod.home });
  }

  function offerTools(figure) {
    const tools = document.createElement("p");
    tools.className = "alod-tools";
    const tool = (tag, text, act) => {
      const made = tools.appendChild(document.createElement(tag));
      made.textContent = text;
      made.addEventListener("click", () => act(made));
      return made;
    };
    const axes = Object.entries(figure._fullLayout).filter(([id]) => /^[xy]axis\d*$/.test(id));
    figure.alod.home = Object.fromEntries(axes.map(([id, axis]) => axis.autorange
      ? [`${id}.autorange`, true] : [`${id}.range`, [...axis.range]]));
    const sheet = figure.layout.images?.length;
    if (!sheet && axes.length) {
      const button = tool("button", "zoom", (made) => zoom(figure, made));
      button.type = "button";
      button.setAttribute("aria-pressed", "false");
    }
    // Made when asked for: the click goes on when there is something to save.
    const picture = tool("button", "SVG", async () => {
      const link = document.createElement("a");
      saveAs(link, figure, "svg");
      link.href = await svg(figure);
      link.click();
    });
    picture.type = "button";
    picture.setAttribute("aria-label", "save as SVG");
    if (!sheet) {
      const link = tool("a", "data (CSV)", (made) => {
        made.href = URL.createObjectURL(new Blob([csv(figure)], { type: "text/csv" }));
      });
      link.className = "alod-data";
      link.href = "#";
      saveAs(link, figure, "csv");
    }
    figure.closest(".alod-figure").append(tools);
  }

  // ------------------------------------------------------------------------------------ drawing

  function put(object, path, value) {
    const keys = path.split(".");
    const last = keys.pop();
    keys.reduce((inner, key) => (inner[key] ??= {}), object)[last] = value;
  }

  // Take out of a layout what the page has in its own ways; return that.
  function own(layout) {
    const { title, sliders, updatemenus, meta } = layout;
    const head = meta?.head?.px || 0;
    const controls = sliders && { steps: sliders[0].steps, play: updatemenus[0].buttons[0].args[1] };
    const foot = controls ? layout.margin.b - updatemenus[0].pad.t : 0;
    if (head) delete layout.title;
    delete layout.sliders;
    delete layout.updatemenus;
    put(layout, "margin.t", (layout.margin?.t ?? 60) - head);
    put(layout, "margin.b", (layout.margin.b ?? 60) - foot);
    // Its height is that of its place, which follows the width where it has a shape.
    const height = (layout.height || 450) - head - foot;
    delete layout.height;
    // One way to look at one line or group alone, for mouse, finger and key.
    Object.assign((layout.legend ??= {}), { itemclick: false, itemdoubleclick: false });
    return { title, head, controls, height };
  }

  async function draw(figure) {
    if (figure.dataset.asked) return;
    figure.dataset.asked = "yes";
    const parts = JSON.parse(figure.nextElementSibling.textContent);
    figure.alod = own(parts.layout);
    figure.style.height = `${figure.alod.height}px`;
    for (const change of Object.entries(colors())) put(parts.layout, ...change);
    await Plotly.newPlot(figure, { ...parts, config: CONFIG });
    figure.alod.ratio = shape(figure);
    figure.alod.most = 1.5 * figure._fullLayout._size.h;
    fit(figure);
    offerTools(figure);
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
    drawn().forEach((figure) => Plotly.relayout(figure, colors()));
  }).observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
  let settled;
  const watch = new ResizeObserver(() => {
    clearTimeout(settled);
    settled = setTimeout(() => drawn().forEach(fit), 100);
  });
  document.querySelectorAll(".alod-figure").forEach((place) => watch.observe(place));
})();
