// What all figures to play with use. Each of them reads its data from the JSON beside it.
const make = (parent, tag, className = "", text = "") => {
  const element = parent.appendChild(document.createElement(tag));
  if (className) element.className = className;
  element.textContent = text;
  return element;
};

const draw = (parent, tag, attributes, text = "") => {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.textContent = text;
  return parent.appendChild(element);
};

const percent = (share) => `${(100 * share).toFixed(1)} %`;
const an = (name) => `${/^[8aeio]/.test(name) ? "an" : "a"} ${name}`;
const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

const button = (parent, text, pressed) => {
  const element = make(parent, "button", "alod-button", text);
  element.type = "button";
  element.addEventListener("click", pressed);
  return element;
};

// One of several, by radio buttons: arrows walk among them.
const choice = (parent, legend, options, chosen, changed) => {
  const group = make(parent, "fieldset", "alod-choice");
  make(group, "legend", "", legend);
  const name = `alod-${Math.random().toString(36).slice(2)}`;
  for (const [value, text] of options) {
    const label = make(group, "label");
    const input = make(label, "input");
    Object.assign(input, { type: "radio", name, value, checked: value === chosen });
    make(label, "span", "", text);
    input.addEventListener("change", () => changed(value));
  }
};

// An image of the sheet, as the background of an element.
const showTile = (element, data, row, size) => {
  const rows = Math.ceil(data.numbers.length / data.columns);
  const [x, y] = [row % data.columns, Math.floor(row / data.columns)];
  element.classList.add("alod-pixels");
  Object.assign(element.style, {
    width: `${size}px`,
    height: `${size}px`,
    backgroundImage: `url("${data.sheet}")`,
    backgroundSize: `${size * data.columns}px ${size * rows}px`,
    backgroundPosition: `${-size * x}px ${-size * y}px`,
  });
};

// What came of it, told to who does not see it, too.
const status = (parent) => {
  const element = make(parent, "p", "alod-told");
  element.setAttribute("role", "status");
  return element;
};

// Draw again when the theme or the width changes.
const follow = (root, redraw) => {
  new ResizeObserver(redraw).observe(root);
  const options = { attributes: true, attributeFilter: ["data-theme", "data-jp-theme-light", "theme"] };
  const observer = new MutationObserver(redraw);
  for (const element of [document.documentElement, document.body]) observer.observe(element, options);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
};

const setUp = (kind, start) => {
  for (const root of document.querySelectorAll(`.alod-play[data-play="${kind}"]`)) {
    if (root.dataset.ready) continue;
    root.dataset.ready = "yes";
    const data = JSON.parse(root.querySelector("script[type='application/json']").textContent);
    root.querySelector(":scope > p").remove();
    start(make(root, "div", "alod-board"), data, root);
  }
};
