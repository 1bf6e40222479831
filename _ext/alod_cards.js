// Point at an image on a map and see it; below the map stand the images that were asked for.
// Figures bring their images and facts in layout.meta.cards (alod_book/figures/cards.py); maps of the same images
// answer each other.
(() => {
  const ZOOM = 4;
  const maps = [];

  const make = (parent, tag, className, text = "") => {
    const element = parent.appendChild(document.createElement(tag));
    element.className = className;
    element.textContent = text;
    return element;
  };

  // ---------------------------------------------------------------- one image of the sheet

  function showTile(element, cards, row, zoom) {
    const [height, width] = cards.size;
    const rows = Math.ceil(cards.numbers.length / cards.columns);
    const [x, y] = [row % cards.columns, Math.floor(row / cards.columns)];
    Object.assign(element.style, {
      width: `${zoom * width}px`,
      height: `${zoom * height}px`,
      backgroundImage: `url("${cards.sheet}")`,
      backgroundSize: `${zoom * width * cards.columns}px ${zoom * height * rows}px`,
      backgroundPosition: `${-zoom * width * x}px ${-zoom * height * y}px`,
    });
  }

  const label = (cards, row) => cards.names[cards.name[row]] || `image ${cards.numbers[row]}`;

  function facts(cards, row) {
    const told = [];
    const score = cards.scores?.[row];
    if (score !== undefined && score !== null) told.push(`outlier score ${score.toPrecision(2)}`);
    const round = cards.rounds?.[row];
    if (round > 0) told.push(`asked for in round ${round}`);
    else if (round === 0) told.push("in the first set");
    else if (round === -1) told.push("never asked for");
    told.push(`image ${cards.numbers[row]}`);
    return told;
  }

  // --------------------------------------------------------------------- the map and its card

  // Where the map shows an image, in px of the figure; null where it does not.
  function spot(map, number) {
    const place = map.at.get(number);
    const trace = place && map.figure._fullData[place.trace];
    if (!trace || trace.visible !== true) return null;
    const { xaxis, yaxis } = map.figure._fullLayout;
    return [
      xaxis._offset + xaxis.d2p(trace.x[place.point]),
      yaxis._offset + yaxis.d2p(trace.y[place.point]),
    ];
  }

  // The image nearest to a place in the window, if a finger there may have meant it.
  function nearest(map, x, y) {
    const box = map.figure.getBoundingClientRect();
    let [best, least] = [null, 24];
    for (const number of map.at.keys()) {
      const at = spot(map, number);
      const away = at ? Math.hypot(at[0] + box.left - x, at[1] + box.top - y) : Infinity;
      if (away < least) [best, least] = [number, away];
    }
    return best;
  }

  function hide() {
    for (const map of maps) map.card.hidden = map.ring.hidden = true;
  }

  // Ring an image on every map that has it; its card goes to the map pointed at.
  function show(pointed, number) {
    hide();
    for (const map of maps) {
      const at = map.cards.sheet === pointed.cards.sheet && spot(map, number);
      if (!at) continue;
      map.ring.hidden = false;
      Object.assign(map.ring.style, { left: `${at[0]}px`, top: `${at[1]}px` });
    }
    const { card, cards, figure } = pointed;
    const row = pointed.row.get(number);
    pointed.shown = number;
    const at = spot(pointed, number);
    if (!at) return;
    showTile(card.querySelector(".alod-picture"), cards, row, ZOOM);
    card.querySelector(".alod-name").textContent = label(cards, row);
    card.querySelector(".alod-facts").textContent = facts(cards, row).join("\n");
    card.hidden = false;
    // Beside the point, on the side where there is room.
    const room = figure.clientWidth - card.offsetWidth;
    const left = at[0] + 14 <= room ? at[0] + 14 : at[0] - 14 - card.offsetWidth;
    card.style.left = `${Math.max(0, Math.min(left, room))}px`;
    card.style.top = `${Math.max(0, at[1] - card.offsetHeight / 2)}px`;
  }

  // ------------------------------------------------------------------ the batch below the map

  function showBatch(map, round) {
    const { cards } = map;
    const rows = cards.rounds.flatMap((asked, row) => (asked === round ? [row] : []));
    const what = round > 0 ? `Asked for in round ${round}` : "The first set";
    map.batchTitle.textContent = `${what}: ${rows.length} images`;
    map.tiles.setAttribute("aria-label", map.batchTitle.textContent);
    map.tiles.replaceChildren();
    rows.forEach((row, i) => {
      const tile = make(map.tiles, "button", "alod-picture alod-tile");
      tile.type = "button";
      tile.setAttribute("aria-label", [label(cards, row), ...facts(cards, row)].join(", "));
      tile.tabIndex = i ? -1 : 0;
      showTile(tile, cards, row, 36 / cards.size[1]);
      for (const event of ["mouseenter", "focus", "click"])
        tile.addEventListener(event, () => show(map, cards.numbers[row]));
      for (const event of ["mouseleave", "blur"]) tile.addEventListener(event, hide);
    });
  }

  // One stop for the tab key, arrows within.
  function walk(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const next = step && (step > 0 ? event.target.nextSibling : event.target.previousSibling);
    if (!next) return;
    event.preventDefault();
    event.target.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  }

  function setUp(figure) {
    const cards = figure.layout?.meta?.cards;
    if (!cards) return;
    const row = new Map(cards.numbers.map((number, i) => [number, i]));
    const at = new Map();
    const drawn = [];
    figure._fullData.forEach((trace, i) => {
      if (trace.type !== "scattergl" || !trace.customdata) return;
      drawn.push(i);
      Array.from(trace.customdata).forEach((number, point) => at.set(number, { trace: i, point }));
    });
    const holder = figure.closest(".alod-figure");
    const map = { figure, cards, row, at };
    map.ring = make(figure, "div", "alod-ring");
    map.card = make(figure, "div", "alod-card");
    make(map.card, "div", "alod-picture");
    make(map.card, "strong", "alod-name");
    make(map.card, "span", "alod-facts");
    maps.push(map);
    hide();
    // The card says it all; plotly's own label would lie over it.
    Plotly.restyle(figure, { hovertemplate: "", hoverinfo: "none" }, drawn);
    const pointed = (event) => {
      const point = event.points.find((p) => drawn.includes(p.curveNumber));
      if (point) show(map, point.customdata);
    };
    figure.on("plotly_hover", pointed);
    // Plotly takes no notice of a finger that only taps.
    figure.addEventListener("pointerup", (event) => {
      if (event.pointerType === "mouse") return;
      const number = nearest(map, event.clientX, event.clientY);
      if (number === null) hide();
      else show(map, number);
    });
    // Only its own: a finger on another map leaves this one, too, and later.
    figure.on("plotly_unhover", () => map.card.hidden || hide());
    // A tap says so too, without any change: keep what is shown, at its place.
    figure.on("plotly_relayout", () => map.card.hidden || show(map, map.shown));
    // Two maps of one moment share the batch below them.
    const home = holder.closest(".tag_side-by-side > .cell_output") || holder;
    if (cards.batch === undefined || home.querySelector(":scope > .alod-tiles")) return;
    map.batchTitle = make(home, "p", "alod-batch");
    map.tiles = make(home, "div", "alod-tiles");
    map.tiles.setAttribute("role", "group");
    map.tiles.addEventListener("keydown", walk);
    showBatch(map, cards.batch);
    figure.on("plotly_animatingframe", (frame) => {
      hide();
      showBatch(map, Number(frame.name));
    });
  }

  document.addEventListener("alod:drawn", (event) => setUp(event.target));
  document.addEventListener("pointerdown", (event) => {
    if (!event.target.closest(".alod-figure")) hide();
  });
})();
