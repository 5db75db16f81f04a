// @ts-check
// One map of many is shown: that of the value to which a slider was moved. Without scripts all are shown.
const sliders = /** @type {HTMLInputElement[]} */ ([...document.querySelectorAll("input[data-option]")]);
const maps = /** @type {HTMLElement[]} */ ([...document.querySelectorAll("[data-map]")]);
const spoken = document.querySelector("[data-shown]");

/** @param {HTMLInputElement} slider @param {number} place */
function set(slider, place) {
  const value = (slider.dataset.values ?? "").split(" ")[place] ?? "";
  slider.value = String(place);
  slider.setAttribute("aria-valuetext", value);
  const output = slider.closest("p")?.querySelector("output");
  if (output) output.textContent = value;
  return value;
}

/** @param {string} key */
function show(key) {
  const shown = maps.find((map) => map.dataset.map === key) ?? maps[0];
  for (const map of maps) map.hidden = map !== shown;
  if (spoken) spoken.textContent = shown?.querySelector("h2")?.textContent ?? "";
}

const first = sliders.map((slider) => Number(slider.value));
for (const slider of sliders) {
  slider.addEventListener("input", () => {
    sliders.forEach((other, i) => other !== slider && set(other, first[i] ?? 0));
    show(`${slider.dataset.option}=${set(slider, Number(slider.value))}`);
  });
}
show("");
