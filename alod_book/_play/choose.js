// Nine tiles: pick three, and see what each three would have reached.
setUp("choose", (board, data) => {
  const PLAYERS = ["random", "margin", "outlier"];
  const triples = [];
  for (let a = 0; a < 9; a++)
    for (let b = a + 1; b < 9; b++) for (let c = b + 1; c < 9; c++) triples.push([a, b, c].join());
  let [deal, picked, shown] = [0, [], false];
  const tally = new Map(); // by deal, the reader's first three and what all reached

  const known = make(board, "div", "alod-known");
  const parts = make(board, "div", "alod-deal");
  const left = make(parts, "div", "alod-board");
  const right = make(parts, "div", "alod-board");
  const tiles = make(left, "div", "alod-nine");
  tiles.setAttribute("role", "group");
  tiles.setAttribute("aria-label", "Nine tiles; pick three");
  const actions = make(left, "div", "alod-actions");
  const label = button(actions, "Label these three", reveal);
  const next = button(actions, "Deal nine others", () => start((deal + 1) % data.deals.length));
  const told = status(right);
  const results = make(right, "ul", "alod-results");

  const reached = (three) =>
    data.deals[deal].right[triples.indexOf([...three].sort((a, b) => a - b).join())] / data.n_test;

  function start(number) {
    [deal, picked, shown] = [number, [], false];
    known.replaceChildren();
    make(known, "span", "", "Labeled already:");
    data.digits.forEach((digit, i) => {
      const figure = make(known, "span", "alod-answered");
      showTile(make(figure, "span", "alod-picture"), data, 12 * deal + i, 42);
      make(figure, "span", "", String(digit));
    });
    make(known, "span", "", `${percent(data.deals[deal].before / data.n_test)} right so far`);
    tiles.replaceChildren();
    for (let i = 0; i < 9; i++) {
      const tile = make(tiles, "button", "alod-pick");
      tile.type = "button";
      showTile(make(tile, "span", "alod-picture"), data, 12 * deal + 3 + i, 70);
      make(tile, "span", "alod-by");
      tile.addEventListener("click", () => toggle(i));
      tile.addEventListener("keydown", walk);
    }
    results.replaceChildren();
    told.textContent = `Deal ${deal + 1} of ${data.deals.length}: pick three tiles to label.`;
    update();
  }

  function toggle(i) {
    if (picked.includes(i)) picked = picked.filter((j) => j !== i);
    else if (picked.length < 3) picked.push(i);
    else told.textContent = "Three are picked already: put one back first.";
    update();
  }

  // Arrows walk the square.
  function walk(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: 3, ArrowUp: -3 }[event.key];
    if (!step) return;
    event.preventDefault();
    const all = [...tiles.children];
    all[all.indexOf(event.currentTarget) + step]?.focus();
  }

  function update() {
    label.disabled = picked.length !== 3;
    const { answers, picks } = data.deals[deal];
    [...tiles.children].forEach((tile, i) => {
      tile.setAttribute("aria-pressed", picked.includes(i));
      const by = PLAYERS.filter((name) => picks[name].includes(i));
      tile.setAttribute("aria-label", `tile ${i + 1}` +
        (shown ? `, ${an(answers[i])}${by.length ? `, picked by ${by.join(" and ")}` : ""}` : ""));
      const line = tile.querySelector(".alod-by");
      line.replaceChildren();
      make(line, "b", "", shown ? String(answers[i]) : "?");
      for (const name of shown ? by : []) chip(line, name);
    });
  }

  function chip(parent, name) {
    make(parent, "i", `alod-chip ${name === "you" ? "alod-you" : ""}`, name[0]).style.setProperty(
      "--own", data.colors[name] ?? "currentColor");
  }

  function reveal() {
    const { right: all84, picks } = data.deals[deal];
    const all = { you: picked, ...picks };
    const now = Object.fromEntries(Object.keys(all).map((name) => [name, reached(all[name])]));
    if (!tally.has(deal)) tally.set(deal, now);
    shown = true;
    results.replaceChildren();
    for (const [name, share] of Object.entries(now)) {
      const worse = all84.filter((n) => n / data.n_test < share).length;
      const item = make(results, "li");
      const line = make(item, "span", "alod-line");
      chip(line, name);
      make(line, "b", "", name);
      make(line, "span", "", `${percent(share)}, beats ${worse} of 83`);
      const past = [...tally.values()].map((reachedThen) => reachedThen[name]);
      if (past.length > 1)
        make(line, "span", "alod-mean", `${past.length} deals: ${percent(mean(past))}`);
      strip(item, all84, share, data.colors[name] ?? "currentColor");
    }
    const others = PLAYERS.map((name) => `${name} ${percent(now[name])}`).join(", ");
    told.textContent = `Your three: ${percent(now.you)} right; ${others}. All 84 threes, the ticks, ` +
      `average ${percent(mean(all84) / data.n_test)}.` +
      (tally.size > 1 ? " Means over deals count your first three." : "");
    update();
  }

  // All 84 threes as ticks, one of them marked.
  function strip(parent, right, share, color) {
    const [low, high] = [Math.min(...right), Math.max(...right)].map((n) => n / data.n_test);
    const at = (value) => 2 + (96 * (value - low)) / Math.max(high - low, 1e-9);
    const svg = draw(parent, "svg", { class: "alod-strip", "aria-hidden": "true" });
    for (const n of right) {
      const x = `${at(n / data.n_test)}%`;
      draw(svg, "line", { x1: x, x2: x, y1: 6, y2: 18, class: "alod-tick" });
    }
    draw(svg, "circle", { cx: `${at(share)}%`, cy: 12, r: 7, fill: color, class: "alod-mark" });
    draw(svg, "text", { x: "2%", y: 31 }, percent(low));
    draw(svg, "text", { x: "98%", y: 31, "text-anchor": "end" }, percent(high));
  }

  start(0);
});
