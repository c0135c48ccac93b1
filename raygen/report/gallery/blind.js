"use strict";
(() => {
  const element = (id) => document.getElementById(id);
  const { page, items, pairs } = JSON.parse(element("data").textContent);
  const CHOICES = ["left", "tie", "right"];
  let rater = "";
  let answers = new Map();
  let place = 0;
  let unsaved = false;

  // Some browsers keep nothing for files, or throw.
  const kept = {
    get(name) { try { return localStorage.getItem(name); } catch { return null; } },
    set(name, value) { try { localStorage.setItem(name, value); return true; } catch { return false; } },
  };
  const slot = () => `raygen-blind:${page}:${rater}`;
  let keeps = kept.set(`raygen-blind:${page}`, "");

  const written = () => JSON.stringify({
    format: "raygen ratings", version: 1, page, rater,
    answers: pairs.filter(({ pair }) => answers.has(pair)).map(({ pair }) => ({ pair, choice: answers.get(pair) })),
  }, null, 1);

  function restored() {
    const found = new Map();
    try {
      const known = new Set(pairs.map(({ pair }) => pair));
      for (const { pair, choice } of JSON.parse(kept.get(slot())).answers) {
        if (known.has(pair) && CHOICES.includes(choice)) found.set(pair, choice);
      }
    } catch { /* Nothing is kept, or not by this page. */ }
    return found;
  }

  function fill(box, item, side) {
    let shown;
    if (item.text !== undefined) {
      shown = document.createElement("pre");
      shown.textContent = item.text;
      shown.tabIndex = 0;
    } else {
      shown = document.createElement("img");
      shown.alt = `The ${side} picture`;
      shown.src = item.picture;
      if (item.small) shown.className = "pixels";
    }
    box.replaceChildren(shown);
  }

  function draw() {
    const over = place >= pairs.length;
    element("start").hidden = true;
    element("tools").hidden = false;
    element("pair").hidden = over;
    element("done").hidden = !over;
    element("back").disabled = place === 0;
    element("forward").hidden = over;
    element("progress").value = answers.size;
    element("save").className = over ? "main-button" : "";
    if (over) return;
    const { pair, left, right, prompt } = pairs[place];
    element("forward").disabled = !answers.has(pair);
    element("place").textContent = `pair ${place + 1} of ${pairs.length}, ${answers.size} rated`;
    element("prompt").hidden = prompt === undefined;
    element("prompt").textContent = prompt ?? "";
    fill(element("left-item"), items[left], "left");
    fill(element("right-item"), items[right], "right");
    for (const side of ["left", "right"]) element(`${side}-side`).toggleAttribute("data-chosen", answers.get(pair) === side);
    for (const choice of CHOICES) element(choice).setAttribute("aria-pressed", String(answers.get(pair) === choice));
    window.scrollTo(0, 0);
  }

  function choose(choice) {
    if (place >= pairs.length) return;
    answers.set(pairs[place].pair, choice);
    unsaved = true;
    keeps = kept.set(slot(), written());
    element("saved").textContent = "";
    place += 1;
    draw();
  }

  function move(by) {
    const next = place + by;
    if (next < 0 || next > pairs.length || (by > 0 && !answers.has(pairs[place].pair))) return;
    place = next;
    draw();
  }

  function begin() {
    const name = element("rater").value.trim();
    if (!name) return;
    rater = name;
    answers = restored();
    const open = pairs.findIndex(({ pair }) => !answers.has(pair));
    place = open < 0 ? pairs.length : open;
    draw();
  }

  function save() {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([written()], { type: "application/json" }));
    link.download = `ratings-${page.slice(0, 8)}-${rater.replace(/[^A-Za-z0-9_-]+/g, "_")}.json`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
    unsaved = false;
    element("saved").textContent = `${answers.size} of ${pairs.length} ratings went into ${link.download}`;
  }

  const keys = {
    ArrowLeft: () => choose("left"), ArrowRight: () => choose("right"), t: () => choose("tie"), T: () => choose("tie"),
    Backspace: () => move(-1), Enter: () => move(1),
  };
  document.addEventListener("keydown", (event) => {
    const act = Object.hasOwn(keys, event.key) ? keys[event.key] : null;
    // A key that is held down would rate pairs that nobody has seen.
    if (!act || element("tools").hidden || event.repeat || event.ctrlKey || event.altKey || event.metaKey) return;
    // Enter belongs to a button that has the focus.
    if (event.key === "Enter" && event.target instanceof HTMLButtonElement) return;
    event.preventDefault();
    act();
  });
  for (const choice of CHOICES) element(choice).addEventListener("click", () => choose(choice));
  element("back").addEventListener("click", () => move(-1));
  element("forward").addEventListener("click", () => move(1));
  element("save").addEventListener("click", save);
  element("begin").addEventListener("click", begin);
  element("rater").addEventListener("input", (event) => { element("begin").disabled = !event.target.value.trim(); });
  element("rater").addEventListener("keydown", (event) => { if (event.key === "Enter") begin(); });
  addEventListener("beforeunload", (event) => { if (unsaved && !keeps) event.preventDefault(); });
  element("storage").textContent = keeps
    ? "This browser keeps your ratings until you come back, under your name."
    : "This browser keeps nothing of a page from disk: save before you close it.";
  element("start").hidden = false;
})();
