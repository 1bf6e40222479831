// One map, any strategy: what each asked for, label by label, with its curve and its batch.
setUp("strategies", (board, data, root) => {
  const names = Object.keys(data.batches);
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const row = new Map(data.numbers.map((number, i) => [number, i]));
  let [name, round, pointed, timer] = [names.includes("outlier") ? "outlier" : names[0], 0, null, 0];

  const controls = make(board, "div", "alod-actions");
  const chosen = make(controls, "label", "alod-field", "Strategy");
  const menu = make(chosen, "select");
  for (const strategy of names) make(menu, "option", "", data.spelled[strategy]).value = strategy;
  menu.value = name;
  const bought = make(controls, "label", "alod-field alod-wide", "Labels");
  const slider = make(bought, "input");
  Object.assign(slider, { type: "range", min: 0, max: data.budgets.length - 1, step: 1, value: 0 });
  const play = still ? null : button(controls, "Play", () => (timer ? stop() : go()));
  const told = status(board);
  const parts = make(board, "div", "alod-parts");
  const map = make(parts, "canvas", "alod-map");
  map.setAttribute("role", "img");
  const side = make(parts, "div", "alod-side");
  const curve = draw(side, "svg", { class: "alod-curve", role: "img" });
  const card = make(side, "p", "alod-pointed");
  const heading = make(board, "p", "alod-key");
  const batch = make(board, "div", "alod-batch-tiles");
  batch.setAttribute("role", "group");

  const style = () => getComputedStyle(root);
  const accuracy = (strategy, i) => mean(data.accuracy[strategy].map((run) => run[i]));
  // Labeled so far, in the order of asking.
  const labeled = () => data.batches[name].slice(0, round + 1).flat();

  // ---------------------------------------------------------------------------------- the map

  let place = () => [0, 0];

  function paintMap() {
    const ratio = devicePixelRatio || 1;
    const width = map.clientWidth;
    const height = Math.round(0.82 * width);
    if (!width) return;
    [map.width, map.height] = [width * ratio, height * ratio];
    map.style.height = `${height}px`;
    place = (i) => [10 + (data.x[i] / 1023) * (width - 20), 10 + (1 - data.y[i] / 1023) * (height - 20)];
    const context = map.getContext("2d");
    context.scale(ratio, ratio);
    const ink = style().color;
    const dot = (i, radius) => {
      context.beginPath();
      context.arc(...place(i), radius, 0, 7);
      context.fill();
    };
    const color = (i) => (context.fillStyle = data.classColors[data.targets[i]]);
    context.globalAlpha = 0.3;
    for (let i = 0; i < data.x.length; i++) {
      color(i);
      dot(i, 1.3);
    }
    context.globalAlpha = 1;
    context.strokeStyle = ink;
    for (const i of labeled()) {
      color(i);
      dot(i, 4);
    }
    context.lineWidth = 1.6;
    for (const i of data.batches[name][round]) {
      color(i);
      dot(i, 5.5);
      context.stroke();
    }
    if (pointed !== null) {
      context.lineWidth = 2.5;
      context.beginPath();
      context.arc(...place(pointed), 11, 0, 7);
      context.stroke();
    }
    // The class, where its middle lies.
    context.font = `bold 15px ${style().fontFamily}`;
    [context.textAlign, context.textBaseline] = ["center", "middle"];
    context.lineWidth = 4;
    context.strokeStyle = style().getPropertyValue("--ground");
    context.fillStyle = ink;
    for (const [text, at] of middles) {
      const [x, y] = place(at);
      context.strokeText(text, x, y);
      context.fillText(text, x, y);
    }
  }

  // Of each class the image nearest to its median.
  const median = (values) => values.sort((a, b) => a - b)[values.length >> 1];
  const middles = [...new Set(data.targets)].map((target) => {
    const own = data.x.map((_, i) => i).filter((i) => data.targets[i] === target);
    const [x, y] = [data.x, data.y].map((axis) => median(own.map((i) => axis[i])));
    const away = (i) => Math.hypot(data.x[i] - x, data.y[i] - y);
    return [target, own.reduce((best, i) => (away(i) < away(best) ? i : best))];
  });

  // ---------------------------------------------------------------------------------- the curve

  function paintCurve() {
    const width = curve.clientWidth || 300;
    const height = 230;
    curve.replaceChildren();
    curve.setAttribute("viewBox", `0 0 ${width} ${height}`);
    const all = names.flatMap((strategy) => data.budgets.map((_, i) => accuracy(strategy, i)));
    const low = Math.floor(20 * Math.min(...all)) / 20;
    const high = Math.ceil(20 * Math.max(...all)) / 20;
    const last = data.budgets.length - 1;
    const x = (i) => 40 + ((width - 138) * data.budgets[i]) / data.budgets[last];
    const y = (share) => 10 + ((height - 48) * (high - share)) / (high - low);
    for (let share = low; share <= high + 1e-9; share += high - low > 0.3 ? 0.1 : 0.05) {
      draw(curve, "line", { x1: 40, x2: x(last), y1: y(share), y2: y(share), class: "alod-grid" });
      draw(curve, "text", { x: 34, y: y(share) + 4, "text-anchor": "end" }, `${Math.round(100 * share)} %`);
    }
    for (const i of [0, last >> 1, last])
      draw(curve, "text", { x: x(i), y: height - 22, "text-anchor": "middle" }, String(data.budgets[i]));
    draw(curve, "text", { x: x(last >> 1), y: height - 5, "text-anchor": "middle" }, "labels");
    const path = (strategy) =>
      data.budgets.map((_, i) => `${i ? "L" : "M"}${x(i)},${y(accuracy(strategy, i))}`).join("");
    for (const strategy of [...names.filter((other) => other !== name), name])
      draw(curve, "path", {
        d: path(strategy),
        stroke: data.colors[strategy],
        class: strategy === name ? "alod-own" : "alod-rival",
      });
    draw(curve, "circle", {
      cx: x(round), cy: y(accuracy(name, round)), r: 6, fill: data.colors[name], class: "alod-mark",
    });
    // Each name beside the end of its curve, twelve pixels apart.
    const ends = names.map((strategy) => ({ strategy, from: y(accuracy(strategy, last)) }));
    ends.sort((a, b) => a.from - b.from);
    ends.forEach((end, i) => (end.to = Math.max(end.from, i ? ends[i - 1].to + 12 : 0)));
    for (let i = ends.length - 1, most = height - 40; i >= 0; i--, most = ends[i + 1].to - 12)
      ends[i].to = Math.min(ends[i].to, most);
    for (const { strategy, from, to } of ends) {
      const [x1, x2] = [x(last) + 2, x(last) + 12];
      draw(curve, "line", { x1, x2, y1: from, y2: to, stroke: data.colors[strategy] });
      draw(curve, "text", { x: x2 + 3, y: to + 4, class: strategy === name ? "alod-strong" : "" },
        data.spelled[strategy]);
    }
    curve.setAttribute("aria-label", `Learning curve of ${data.spelled[name]}, mean of ` +
      `${data.accuracy[name].length} seeds: ${data.budgets.map((n, i) =>
        `${n} labels ${percent(accuracy(name, i))}`).join(", ")}.`);
  }

  // ---------------------------------------------------------------------------------- the batch

  function showBatch() {
    const asked = data.batches[name][round];
    heading.textContent = round
      ? `Asked for at ${data.budgets[round - 1]} labels, the ringed images:`
      : "The first set, before there is a classifier to ask by:";
    batch.setAttribute("aria-label", heading.textContent);
    batch.replaceChildren();
    for (const i of asked) {
      const tile = make(batch, "button", "alod-picture");
      tile.type = "button";
      tile.setAttribute("aria-label", `${an(data.targets[i])}, image ${i}`);
      showTile(tile, data, row.get(i), 38);
      for (const event of ["focus", "click", "mouseenter"]) tile.addEventListener(event, () => point(i));
    }
  }

  // Ring an image on the map and show it large.
  function point(i) {
    pointed = i;
    card.replaceChildren();
    if (i !== null) {
      showTile(make(card, "span", "alod-picture"), data, row.get(i), 56);
      const when = data.batches[name].findIndex((asked) => asked.includes(i));
      make(card, "span", "", `${an(data.targets[i])}, ` + (when > 0
        ? `asked for at ${data.budgets[when - 1]} labels` : "in the first set"));
    } else make(card, "span", "", "Tap a labeled point, or an image below.");
    paintMap();
  }

  map.addEventListener("click", (event) => {
    const box = map.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    let [best, least] = [null, 24];
    for (const i of labeled()) {
      const away = Math.hypot(place(i)[0] - x, place(i)[1] - y);
      if (away < least) [best, least] = [i, away];
    }
    point(best);
  });

  // ------------------------------------------------------------------------------------ together

  function update() {
    const n = data.budgets[round];
    slider.setAttribute("aria-valuetext", `${n} labels`);
    told.textContent = `${data.spelled[name]}, ${n} labels: ${percent(data.accuracy[name][0][round])} ` +
      `right in the run shown, ${percent(accuracy(name, round))} on average over ` +
      `${data.accuracy[name].length} seeds.`;
    map.setAttribute("aria-label", `Map of ${data.x.length} images, ${n} of them labeled as ` +
      `${data.spelled[name]} asked; each digit has its color.`);
    showBatch();
    paintCurve();
    point(null);
  }

  function stop() {
    clearInterval(timer);
    timer = 0;
    if (play) play.textContent = "Play";
  }

  function go() {
    play.textContent = "Pause";
    round = round === data.budgets.length - 1 ? 0 : round;
    timer = setInterval(() => {
      slider.value = ++round;
      update();
      if (round === data.budgets.length - 1) stop();
    }, 800);
  }

  menu.addEventListener("change", () => {
    name = menu.value;
    update();
  });
  slider.addEventListener("input", () => {
    stop();
    round = Number(slider.value);
    update();
  });
  follow(root, () => {
    paintMap();
    paintCurve();
  });
  update();
});
