// What every page has: previews of terms and citations, and paper, which is light.
(() => {
  const root = document.documentElement;

  // ---------------------------------------------------------------- print as in the light theme

  let before = null;
  const toPaper = () => {
    before ??= root.dataset.theme;
    root.dataset.theme = "light";
  };
  const back = () => {
    if (before) root.dataset.theme = before;
    before = null;
  };
  addEventListener("beforeprint", toPaper);
  addEventListener("afterprint", back);

  // -------------------------------------------- what a link means, on hover and on focus by key

  const told = JSON.parse(document.getElementById("alod-previews")?.textContent || "{}");
  const words = new Map();
  const box = document.createElement("div");
  Object.assign(box, { id: "alod-preview", className: "alod-preview", hidden: true });
  box.setAttribute("role", "tooltip");
  let shown = null;

  function hide() {
    shown?.removeAttribute("aria-describedby");
    shown = null;
    box.hidden = true;
  }

  function place() {
    const at = shown.getClientRects()[0];
    const { clientWidth, clientHeight } = root;
    const left = Math.min(at.left, clientWidth - box.offsetWidth - 8);
    const below = at.bottom + box.offsetHeight + 6 < clientHeight;
    box.style.left = `${Math.max(8, left)}px`;
    box.style.top = `${below ? at.bottom + 4 : at.top - box.offsetHeight - 4}px`;
  }

  function show(link) {
    hide();
    shown = link;
    box.textContent = words.get(link);
    box.hidden = false;
    link.setAttribute("aria-describedby", box.id);
    place();
  }

  for (const link of document.querySelectorAll("main a.internal")) {
    // A citation has its reference as a title, which no key and no finger shows.
    const address = link.getAttribute("href");
    const text = told[address] || (address.includes("references.html#") && link.title);
    if (!text) continue;
    words.set(link, text);
    link.removeAttribute("title");
    for (const event of ["mouseenter", "focus"]) link.addEventListener(event, () => show(link));
    for (const event of ["mouseleave", "blur"]) link.addEventListener(event, hide);
  }
  document.body.append(box);
  // A link that gets the focus may scroll into view afterwards.
  addEventListener("scroll", () => shown && place(), { passive: true, capture: true });
  addEventListener("keydown", (event) => event.key === "Escape" && hide());
})();
