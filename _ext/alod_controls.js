// Slider, play button and legend of a figure, for mouse, finger and key alike.
(() => {
  const make = (parent, tag, given = {}) =>
    Object.assign(parent.appendChild(document.createElement(tag)), given);

  // ------------------------------------------------------------------------ rounds to play

  function offerControls(figure) {
    const { steps, play } = figure.alod.controls;
    const names = steps.map((step) => step.args[0][0]);
    const bar = document.createElement("div");
    bar.className = "alod-controls";
    const button = make(bar, "button", { type: "button", textContent: "Play" });
    const slider = make(bar, "input", { type: "range", min: 0, max: steps.length - 1, value: 0 });
    slider.setAttribute("aria-label", "round");
    const told = make(bar, "output");
    const tell = (now) => {
      slider.value = now;
      told.textContent = steps[now].label;
      slider.setAttribute("aria-valuetext", steps[now].label);
    };
    // Plotly rejects the promise of an animation that another interrupts, without a reason.
    const animate = (...how) => Plotly.animate(figure, ...how).catch(() => {});
    let playing = false;
    const set = (state) => {
      playing = state;
      button.textContent = state ? "Pause" : "Play";
    };
    slider.addEventListener("input", () => {
      set(false);
      animate(...steps[Number(slider.value)].args);
      tell(Number(slider.value));
    });
    button.addEventListener("click", () => {
      set(!playing);
      if (!playing) return animate([null], { mode: "immediate" });
      const now = Number(slider.value);
      const rest = names.slice(now + 1 < names.length ? now + 1 : 0);
      return animate(rest, { ...play, fromcurrent: false }).then(() => {
        if (Number(slider.value) === names.length - 1) set(false);
      });
    });
    figure.on("plotly_animatingframe", (frame) => tell(names.indexOf(frame.name)));
    tell(0);
    figure.after(bar);
  }

  // -------------------------------------------------------------------------------- legend

  const traceOf = (toggle) => toggle.closest(".traces").__data__[0].trace;
  const groupOf = (trace) => trace.legendgroup || `trace ${trace.index}`;
  const told = (figure) => figure._fullData.filter((t) => t.showlegend || t.legendgroup);

  function isAlone(figure, group) {
    return told(figure).every((t) => (t.visible === true) === (groupOf(t) === group));
  }

  // Leave one line or group alone; a second time brings the others back.
  function isolate(figure, toggle) {
    const group = groupOf(traceOf(toggle));
    const alone = isAlone(figure, group);
    const traces = told(figure);
    const visible = traces.map((t) => alone || groupOf(t) === group || "legendonly");
    Plotly.restyle(figure, { visible }, traces.map((t) => t.index));
  }

  // Plotly draws a legend anew whenever it likes.
  function mark(figure) {
    const toggles = [...figure.querySelectorAll(".legendtoggle")];
    if (told(figure).filter((t) => t.showlegend).length < 2) return;
    for (const toggle of toggles) {
      const trace = traceOf(toggle);
      toggle.setAttribute("tabindex", 0);
      toggle.setAttribute("role", "button");
      toggle.setAttribute("aria-label", `only ${trace.name}`);
      toggle.setAttribute("aria-pressed", isAlone(figure, groupOf(trace)));
    }
  }

  function setUp(figure) {
    if (figure.alod.controls) offerControls(figure);
    mark(figure);
    figure.on("plotly_afterplot", () => mark(figure));
    figure.addEventListener("click", (event) => {
      const toggle = event.target.closest(".legendtoggle[tabindex]");
      if (toggle) isolate(figure, toggle);
    });
    figure.addEventListener("keydown", (event) => {
      const toggle = event.target.closest(".legendtoggle[tabindex]");
      if (!toggle || !["Enter", " "].includes(event.key)) return;
      event.preventDefault();
      const place = [...figure.querySelectorAll(".legendtoggle")].indexOf(toggle);
      isolate(figure, toggle);
      figure.querySelectorAll(".legendtoggle")[place].focus();
    });
  }

  document.addEventListener("alod:drawn", (event) => setUp(event.target));
})();
