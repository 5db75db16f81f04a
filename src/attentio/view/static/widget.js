// @ts-check
// The host of `<attention-map>` in a notebook. `widget.py` puts it behind attention-map.js, and anywidget calls `render`.
// Python gives `maps`. `state` goes both ways. `cell` comes back when the cursor moves.

/**
 * @typedef {object} Model What anywidget hands over.
 * @property {(name: string) => any} get
 * @property {(name: string, value: any) => void} set
 * @property {() => void} save_changes
 * @property {(event: string, callback: () => void) => void} on
 * @property {(event: string, callback: () => void) => void} off
 */

/** Return the theme of the notebook around, or "" where it has none of its own. */
function hostTheme() {
  const { jpThemeLight, vscodeThemeKind } = document.body.dataset;
  if (jpThemeLight) return jpThemeLight === "true" ? "light" : "dark";
  if (vscodeThemeKind) return vscodeThemeKind.includes("light") ? "light" : "dark";
  return "";
}

/**
 * Show the maps of a model in an element. Return what ends it.
 * @param {{model: Model, el: HTMLElement}} widget
 * @returns {() => void}
 */
function render({ model, el }) {
  /** @type {any[]} */
  let maps = [];
  const row = document.createElement("div");
  row.style.cssText = "display: flex; flex-wrap: wrap; gap: 1rem;";

  const draw = () => {
    maps = model.get("maps").map((/** @type {any} */ stored) => {
      const map = /** @type {any} */ (document.createElement("attention-map"));
      map.lang = model.get("lang");
      const theme = hostTheme();
      if (theme) map.setAttribute("theme", theme);
      map.style.cssText = "flex: 1 1 20rem; min-width: 0;";
      map.state = model.get("state");
      map.trace = stored;
      return map;
    });
    row.replaceChildren(...maps.map(named));
  };
  const follow = () => {
    for (const map of maps) {
      const state = { ...map.state, ...model.get("state") };
      if (JSON.stringify(state) !== JSON.stringify(map.state)) map.state = state; // drawing again loses the cursor
    }
  };
  const translate = () => {
    for (const map of maps) map.lang = model.get("lang");
  };

  row.addEventListener("attention-map-state", (event) => {
    const from = /** @type {any} */ (event.target);
    for (const map of maps) if (map !== from) map.state = from.state;
    model.set("state", from.state);
    model.set("cell", {}); // the old place may not exist in what is shown now
    model.save_changes();
  });
  row.addEventListener("attention-map-move", (event) => {
    const from = /** @type {any} */ (event.target);
    const { row, column, span } = /** @type {CustomEvent} */ (event).detail;
    for (const map of maps) if (map !== from) map.point(span);
    const { kind, layer, head, unit } = from.state;
    model.set("cell", { map: maps.indexOf(from), row, column, kind, layer, head, unit });
    model.save_changes();
  });
  model.on("change:maps", draw);
  model.on("change:state", follow);
  model.on("change:lang", translate);
  draw();
  el.append(row);
  return () => {
    model.off("change:maps", draw);
    model.off("change:state", follow);
    model.off("change:lang", translate);
  };
}

/**
 * Return a map under its name, where it has one.
 * @param {any} map
 * @returns {HTMLElement}
 */
function named(map) {
  const name = map.trace?.name;
  if (!name) return map;
  const part = document.createElement("section");
  const heading = document.createElement("h2");
  part.style.cssText = map.style.cssText;
  heading.textContent = name;
  part.append(heading, map);
  return part;
}

export default { render };
