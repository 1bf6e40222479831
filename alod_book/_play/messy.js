// A pool with strangers: what they cost each query, with and without the filter.
setUp("messy", (board, data) => {
  const shares = [...new Set(data.rows.map((row) => row.share))].sort((a, b) => a - b);
  const queries = Object.keys(data.colors);
  let [share, filtered] = [shares.includes(20) ? 20 : shares[0], false];

  const controls = make(board, "div", "alod-actions");
  const options = shares.map((value) => [value, `${value} %`]);
  choice(controls, "Strangers in the pool", options, share, (value) => {
    share = value;
    update();
  });
  const states = [[false, "off"], [true, "on"]];
  choice(controls, "Filter of what looks strange", states, filtered, (value) => {
    filtered = value;
    update();
  });
  const told = status(board);
  const list = make(board, "ul", "alod-results");

  const find = (query, filter) =>
    data.rows.find((r) => r.share === share && r.query === query && r.filtered === filter);

  function update() {
    list.replaceChildren();
    const wastes = [];
    for (const query of queries) {
      const [row, other] = [find(query, filtered), find(query, !filtered)];
      const item = make(list, "li");
      const line = make(item, "span", "alod-line");
      make(line, "b", "", data.spelled[query]);
      if (!row) {
        make(line, "span", "alod-missing", "not recorded");
        continue;
      }
      const against = other && filtered ? `, unfiltered ${Math.round(other.wasted)}` : "";
      make(line, "span", "", `${Math.round(row.wasted)} wasted${against}`);
      make(line, "span", "alod-mean", `${percent(row.accuracy)} right`);
      const bar = make(item, "span", "alod-bar");
      make(bar, "span", "alod-wasted").style.width = `${(100 * row.wasted) / data.n_labels}%`;
      if (other)
        make(bar, "span", "alod-other").style.left = `${(100 * other.wasted) / data.n_labels}%`;
      wastes.push([row.wasted, data.spelled[query]]);
    }
    wastes.sort((a, b) => a[0] - b[0]);
    const bought = data.n_labels.toLocaleString("en");
    const [least, most] = [wastes[0], wastes.at(-1)].map((w) => w && `${Math.round(w[0])} (${w[1]})`);
    told.textContent = `${share} % strangers, filter ${filtered ? "on" : "off"}: ` +
      (!least ? "not recorded." : least === most ? `${least} of ${bought} labels wasted.` :
        `from ${least} to ${most} of ${bought} labels wasted.`);
  }

  const key = make(board, "p", "alod-key");
  const meanings = { wasted: "wasted on strangers", useful: "of the task", other: "wasted with the filter switched" };
  for (const [name, text] of Object.entries(meanings)) {
    const entry = make(key, "span", "alod-entry");
    make(entry, "i", `alod-swatch alod-${name}`);
    make(entry, "span", "", text);
  }
  const seeds = [...new Set(data.rows.map((row) => row.seeds))];
  make(key, "span", "", `means of ${seeds.join(" or ")} seeds`);
  update();
});
