// The labeling widget's page. It shows what the kernel says and sends what is pressed; every text
// is set with textContent, so that a file or class name is never markup.

const OTHER = [
  ["c", "cannot tell"],
  ["n", "not one of these"],
  ["s", "skip"],
];
// Up to ten classes have a digit each, up to a hundred two: 01, 02, … 99, 00.
function keyOf(i, n) {
  if (n <= 10) return String((i + 1) % 10);
  return i < 100 ? String((i + 1) % 100).padStart(2, "0") : "";
}
const SVG = "http://www.w3.org/2000/svg";

function make(tag, className = "", text = "") {
  const node = document.createElement(tag);
  node.className = className;
  node.textContent = text;
  return node;
}

function draw(tag, attributes, text = "") {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.textContent = text;
  return node;
}

// Accuracy on the audit set with its interval, else the share of predictions that changed.
function curve(points) {
  const audited = points.some((p) => p.accuracy !== undefined);
  const value = (p) => (audited ? p.accuracy : p.changed);
  const shown = points.filter((p) => value(p) !== undefined && value(p) !== null);
  const svg = draw("svg", { viewBox: "0 0 260 130", class: "alod-curve", role: "img" });
  const title = audited ? "estimated accuracy" : "predictions changed by the round";
  svg.append(draw("title", {}, title));
  svg.append(draw("text", { x: 30, y: 12 }, title));
  if (!shown.length) return null;
  const most = Math.max(...shown.map((p) => p.labels));
  const top = audited ? 1 : Math.max(0.1, ...shown.map(value));
  const x = (labels) => 34 + (215 * labels) / most;
  const y = (share) => 108 - (86 * share) / top;
  for (const share of [0, top / 2, top]) {
    svg.append(draw("line", { x1: 34, x2: 250, y1: y(share), y2: y(share), class: "grid" }));
    svg.append(draw("text", { x: 30, y: y(share) + 3, class: "tick" }, `${Math.round(100 * share)} %`));
  }
  svg.append(draw("text", { x: 250, y: 124, class: "tick" }, `${most} labels`));
  if (audited) {
    const low = shown.map((p) => `${x(p.labels)},${y(p.low)}`);
    const high = shown.map((p) => `${x(p.labels)},${y(p.high)}`).reverse();
    svg.append(draw("polygon", { points: [...low, ...high].join(" "), class: "band" }));
  }
  const line = shown.map((p) => `${x(p.labels)},${y(value(p))}`).join(" ");
  svg.append(draw("polyline", { points: line, class: "line" }));
  for (const p of shown)
    svg.append(draw("circle", { cx: x(p.labels), cy: y(value(p)), r: 2.5, class: "dot" }));
  return svg;
}

function render({ model, el }) {
  const root = make("div", "alod-label");
  root.tabIndex = 0;
  root.setAttribute("role", "application");
  root.setAttribute("aria-label", "Label images with the keyboard");
  // Jupyter's own shortcuts would delete cells otherwise.
  root.setAttribute("data-lm-suppress-shortcuts", "true");
  root.setAttribute("data-jp-suppress-shortcuts", "true");
  const progress = make("div", "alod-progress");
  const message = make("div", "alod-message");
  message.setAttribute("aria-live", "polite");
  const picture = make("img", "alod-picture");
  const caption = make("div", "alod-caption");
  const buttons = make("div", "alod-buttons");
  const grid = make("div", "alod-grid");
  const side = make("div", "alod-side");
  const left = make("div", "alod-focus");
  left.append(picture, caption, buttons);
  const middle = make("div", "alod-middle");
  middle.append(grid, side);
  const body = make("div", "alod-body");
  body.append(left, middle);
  root.append(progress, body, message);
  el.append(root);

  let here = 0;
  let typed = ""; // the first of two digits
  let sent = {}; // answers on their way to the kernel
  const get = (name) => model.get(name) || [];
  const answerAt = (i) => sent[i] ?? get("answers")[i] ?? null;
  const open = () => get("tiles").map((_, i) => i).filter((i) => answerAt(i) === null);

  function send(what) {
    model.send(what);
  }

  function answer(text) {
    typed = "";
    if (!get("tiles").length || model.get("state").busy) return;
    sent[here] = text;
    send({ do: "answer", position: here, answer: text });
    const next = open();
    if (model.get("state").reviewing) here = Math.min(here + 1, get("tiles").length - 1);
    else here = next.find((i) => i > here) ?? next[0] ?? here;
    show();
  }

  function act(what) {
    if (model.get("state").busy) return;
    send({ do: what });
  }

  function move(steps) {
    here = Math.max(0, Math.min(get("tiles").length - 1, here + steps));
    show();
  }

  function button(key, text, action, className = "") {
    const node = make("button", `alod-button ${className}`);
    node.type = "button";
    node.tabIndex = -1;
    if (key) node.append(make("kbd", "", key));
    node.append(make("span", "", text));
    node.addEventListener("click", () => {
      action();
      root.focus({ preventScroll: true });
    });
    return node;
  }

  function showButtons() {
    const classes = get("classes");
    buttons.replaceChildren(
      ...classes.map((name, i) =>
        button(keyOf(i, classes.length), name, () => answer(name), "alod-class")
      ),
      ...OTHER.map(([key, text]) => button(key.toUpperCase(), text, () => answer(text))),
      button("U", "undo", () => act("undo")),
      button("↵", "learn and ask for more", () => act("learn"), "alod-learn"),
      button("", "check labels", () => act("review"))
    );
  }

  function showTiles() {
    const columns = get("tiles").map((tile, i) => {
      const node = make("button", "alod-tile");
      node.type = "button";
      node.tabIndex = -1;
      node.title = tile.name;
      const small = make("img");
      small.src = tile.picture;
      small.alt = tile.name;
      node.append(small, make("span", "alod-answer"));
      node.addEventListener("click", () => {
        typed = "";
        here = i;
        show();
        root.focus({ preventScroll: true });
      });
      return node;
    });
    grid.replaceChildren(...columns);
  }

  function show() {
    const tiles = get("tiles");
    const state = model.get("state") || {};
    const tile = tiles[here];
    root.classList.toggle("alod-busy", Boolean(state.busy));
    picture.hidden = !tile;
    if (tile) {
      picture.src = tile.picture;
      picture.alt = tile.name;
    }
    const guess = tile?.suggestion;
    const hint = state.reviewing ? `looks like ${guess}` : `${guess} ${tile?.sure}`;
    caption.replaceChildren(
      make("span", "alod-name", tile?.name ?? ""),
      ...(guess ? [make("span", "alod-hint", `${hint} (space)`)] : [])
    );
    [...grid.children].forEach((node, i) => {
      const given = answerAt(i);
      node.classList.toggle("alod-here", i === here);
      node.classList.toggle("alod-sent", sent[i] !== undefined);
      node.classList.toggle("alod-done", given !== null);
      node.lastChild.textContent = given ?? tiles[i].suggestion.replace(/(.+)/, "$1?");
    });
    const done = tiles.length - open().length;
    progress.replaceChildren(
      make("progress"),
      make(
        "span",
        "",
        `${done} of ${tiles.length} in this batch · ${state.labels ?? 0} labels · ` +
          `${state.left ?? 0} images in the pool` +
          (state.kept ? " · every answer is on disk" : " · answers are in memory only")
      )
    );
    progress.firstChild.max = Math.max(1, tiles.length);
    progress.firstChild.value = done;
    for (const node of buttons.querySelectorAll(".alod-class")) {
      const key = node.querySelector("kbd")?.textContent ?? "";
      node.classList.toggle("alod-typed", Boolean(typed) && key.startsWith(typed));
    }
    message.classList.toggle("alod-error", Boolean(state.error) && !typed);
    message.textContent =
      (typed && `${typed}_ : type the second digit of a class, or Escape`) ||
      state.message || (tiles.length && done === tiles.length ? "Batch done: press Enter to learn." : "");
  }

  function showSide() {
    const state = model.get("state") || {};
    const classes = get("classes");
    const counts = state.counts || [];
    const most = Math.max(1, ...counts);
    const bars = classes.map((name, i) => {
      const row = make("div", "alod-bar");
      const bar = make("span", "alod-fill");
      bar.style.width = `${(60 * (counts[i] || 0)) / most}px`;
      row.append(make("span", "alod-of", name), bar, make("span", "", String(counts[i] || 0)));
      return row;
    });
    const drawn = (state.curve || []).length ? curve(state.curve) : null;
    const advice = (state.advice || []).map((line) => make("p", "", line));
    side.replaceChildren(...(drawn ? [drawn] : []), make("div", "alod-bars"), ...advice);
    side.querySelector(".alod-bars").append(...bars);
  }

  function onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const key = event.key;
    const classes = get("classes");
    const columns = Math.max(1, getComputedStyle(grid).gridTemplateColumns.split(" ").length);
    const moves = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns };
    const word = OTHER.find(([letter]) => letter === key.toLowerCase());
    const pending = typed;
    typed = "";
    if (/^[0-9]$/.test(key)) {
      // A digit that is held down names no class of two.
      if (classes.length > 10 && event.repeat) typed = pending;
      else if (classes.length > 10 && !pending) typed = key;
      else {
        const name = classes.find((_, i) => keyOf(i, classes.length) === pending + key);
        if (name !== undefined) answer(name);
      }
      show();
    } else if (pending && ["Escape", "Backspace"].includes(key)) show();
    else if (word) answer(word[1]);
    else if (key === " ") {
      const guess = get("tiles")[here]?.suggestion;
      if (guess) answer(guess);
    } else if (key.toLowerCase() === "u" || key === "Backspace") act("undo");
    else if (key === "Enter") act("learn");
    else if (key in moves) move(moves[key]);
    else {
      typed = pending; // some keyboards need Shift for a digit
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  }

  function onAnswers() {
    // What the kernel has is no longer on its way.
    const taken = get("answers");
    for (const i of Object.keys(sent)) if (taken[i] === sent[i]) delete sent[i];
    show();
  }

  function onState() {
    const state = model.get("state") || {};
    if (state.error) sent = {}; // refused: not taken
    if (state.undone !== undefined) {
      delete sent[state.undone];
      here = state.undone;
    }
    onAnswers();
    showSide();
  }

  function onTiles() {
    typed = "";
    sent = {};
    here = 0;
    showTiles();
    show();
  }

  root.addEventListener("keydown", onKey);
  model.on("change:tiles", onTiles);
  model.on("change:answers", onAnswers);
  model.on("change:state", onState);
  showButtons();
  showTiles();
  here = open()[0] ?? 0;
  show();
  showSide();
  return () => {
    model.off("change:tiles", onTiles);
    model.off("change:answers", onAnswers);
    model.off("change:state", onState);
  };
}

export default { render };
