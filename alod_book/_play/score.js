// The outlier score of any point: drag it, tap a place, or move it by the arrows.
setUp("score", (board, data, root) => {
  const SHAPES = ["●", "■", "▲"];
  const NAMES = ["circle", "square", "triangle"];
  const [width, height] = data.size;
  let [point, kind] = [[50, 42], "ratio"];

  const kinds = [["ratio", "ratio of the two best classes"], ["distance", "distance to the nearest"]];
  const controls = make(board, "div", "alod-actions");
  choice(controls, "Score", kinds, kind, (value) => {
    kind = value;
    paint();
    update();
  });
  button(controls, "Go to the highest score", () => {
    const scores = data[kind];
    move(data.pool[scores.indexOf(Math.max(...scores))]);
  });
  const plane = make(board, "div", "alod-plane");
  plane.style.aspectRatio = `${width} / ${height}`;
  const field = make(plane, "canvas");
  [field.width, field.height] = [2 * width, 2 * height];
  field.setAttribute("aria-hidden", "true");
  const svg = draw(plane, "svg", { viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
  for (const [x, y] of data.pool) draw(svg, "circle", { cx: x, cy: y, r: 0.7, class: "alod-pool" });
  const lines = [1, 0].map((i) => draw(svg, "line", { class: `alod-near-${i}` })).reverse();
  data.labeled.forEach(([x, y], i) => {
    const c = data.targets[i];
    const paths = [
      `M${x - 2},${y}a2,2 0 1,0 4,0a2,2 0 1,0 -4,0`,
      `M${x - 1.8},${y - 1.8}h3.6v3.6h-3.6z`,
      `M${x},${y - 2.4}l2.3,4h-4.6z`,
    ];
    draw(svg, "path", { d: paths[c], fill: data.classColors[c], class: "alod-labeled" });
  });
  const handle = make(plane, "button", "alod-handle");
  handle.type = "button";
  const told = status(board);
  const hint = make(board, "p", "alod-key",
    "Drag the ring, tap a place, or move the ring by the arrow keys (with shift in longer steps). " +
    "The stronger the color, the higher the score; small dots are the pool.");
  hint.id = `alod-${Math.random().toString(36).slice(2)}`;
  handle.setAttribute("aria-describedby", hint.id);

  // Of each class the nearest labeled point; the best class first.
  function nearest([x, y]) {
    const best = SHAPES.map((_, c) => ({ c, away: Infinity, at: null }));
    data.labeled.forEach(([a, b], i) => {
      const away = Math.hypot(a - x, b - y);
      if (away < best[data.targets[i]].away)
        Object.assign(best[data.targets[i]], { away, at: [a, b] });
    });
    return best.sort((a, b) => a.away - b.away);
  }

  // As alod.outliers.contrast: two copies in two classes are as ambiguous as can be.
  function score(at) {
    const [first, second] = nearest(at);
    if (kind === "distance") return first.away;
    return second.away > 0 ? first.away / second.away : 1;
  }

  function paint() {
    const context = field.getContext("2d");
    const image = context.createImageData(field.width, field.height);
    const values = [];
    for (let j = 0; j < field.height; j++)
      for (let i = 0; i < field.width; i++) values.push(score([(i + 0.5) / 2, (j + 0.5) / 2]));
    // The third power, or most of the plane would be half colored.
    const most = kind === "ratio" ? 1 : Math.max(...data.distance);
    const [r, g, b] = [1, 3, 5].map((i) => parseInt(data.fieldColor.slice(i, i + 2), 16));
    values.forEach((value, i) =>
      image.data.set([r, g, b, 200 * Math.min(value / most, 1) ** (kind === "ratio" ? 3 : 1)], 4 * i));
    context.putImageData(image, 0, 0);
  }

  function move([x, y]) {
    point = [Math.max(0, Math.min(x, width)), Math.max(0, Math.min(y, height))];
    update();
  }

  function update() {
    const [x, y] = point;
    const [first, second] = nearest(point);
    const value = score(point);
    [first, second].forEach(({ at }, i) => {
      const [x2, y2] = at;
      for (const [name, place] of Object.entries({ x1: x, y1: y, x2, y2 }))
        lines[i].setAttribute(name, place);
    });
    lines[1].style.display = kind === "ratio" ? "" : "none";
    handle.style.left = `${(100 * x) / width}%`;
    handle.style.top = `${(100 * y) / height}%`;
    handle.setAttribute("aria-label", `Point at ${Math.round(x)} across, ${Math.round(y)} down`);
    const [a, b] = [first, second].map(({ away }) => away.toFixed(1));
    const [one, two] = [first, second].map(({ c }) => `${NAMES[c]} ${SHAPES[c]}`);
    const feel = value > 0.8 ? "strange to its two best classes alike" :
      value < 0.4 ? "one class explains it" : "one class explains it better than the next";
    told.textContent = kind === "ratio"
      ? `To the nearest ${one}: ${a}. To the nearest ${two}: ${b}. ` +
        `Score ${a} ÷ ${b} = ${value.toFixed(2)}: ${feel}.`
      : `To the nearest labeled point, a ${one}: score ${a}. Which classes are near does not count.`;
    Object.assign(root.dataset, { kind, score: value.toFixed(4) });
  }

  const place = (event) => {
    const box = plane.getBoundingClientRect();
    return [((event.clientX - box.left) / box.width) * width,
            ((event.clientY - box.top) / box.height) * height];
  };
  let dragged = false;
  plane.addEventListener("pointerdown", (event) => {
    // A finger beside the ring may be about to scroll the page.
    if (event.pointerType !== "mouse" && event.target !== handle) return;
    dragged = true;
    plane.setPointerCapture(event.pointerId);
    if (event.target !== handle) move(place(event));
  });
  plane.addEventListener("pointermove", (event) => dragged && move(place(event)));
  for (const end of ["pointerup", "pointercancel"])
    plane.addEventListener(end, () => (dragged = false));
  // A key's click has no place.
  plane.addEventListener("click", (event) => event.detail && move(place(event)));
  handle.addEventListener("keydown", (event) => {
    const step = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] }[event.key];
    if (!step) return;
    event.preventDefault();
    const far = event.shiftKey ? 10 : 2;
    move([point[0] + far * step[0], point[1] + far * step[1]]);
  });

  paint();
  update();
});
