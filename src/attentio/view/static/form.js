// @ts-check
/** What the pages that translate have in common: their form, its words in English and Chinese, and their colors. */

/** @typedef {"en" | "zh"} Language */

export const FORM_TEXTS = {
  en: {
    language: "Language", theme: "Colors", system: "as the system", light: "light", dark: "dark",
    source: "Source text (Ctrl+Enter translates)", search: "Search", greedy: "greedy",
    beam: (/** @type {number} */ n) => `beam ${n}`, translate: "Translate", translation: "Translation",
    nbest: "Hypotheses, best first", score: (/** @type {string} */ s) => `score ${s}`, map: "Attention",
  },
  zh: {
    language: "语言", theme: "颜色", system: "跟随系统", light: "浅色", dark: "深色",
    source: "原文（Ctrl+Enter 翻译）", search: "搜索", greedy: "贪心",
    beam: (/** @type {number} */ n) => `束宽 ${n}`, translate: "翻译", translation: "译文",
    nbest: "候选译文，最佳在前", score: (/** @type {string} */ s) => `得分 ${s}`, map: "注意力",
  },
};
const BEAMS = [1, 3, 5, 10];

/** @type {Language} */
export const preferredLanguage = globalThis.navigator?.language?.startsWith("zh") ? "zh" : "en";

/**
 * @template {HTMLElement} [Kind=HTMLElement]
 * @param {string} id
 * @returns {Kind}
 */
export const at = (id) => /** @type {Kind} */ (document.getElementById(id));
export const field = (/** @type {string} */ id) => /** @type {HTMLInputElement} */ (at(id));

/**
 * @param {string} name
 * @param {Record<string, string>} attributes
 * @param {...(Node | string)} children
 */
export function make(name, attributes, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

/**
 * Put options into a list.
 * @param {string} id
 * @param {[string, string][]} all Value and text of each.
 * @param {string} chosen
 */
export function fillSelect(id, all, chosen) {
  at(id).replaceChildren(
    ...all.map(([value, shown]) => {
      const option = /** @type {HTMLOptionElement} */ (make("option", { value }, shown));
      option.selected = value === chosen;
      return option;
    }),
  );
}

/**
 * Write all texts of a page, put on its colors, and fill the form with what was asked.
 * @param {Record<string, any>} texts
 * @param {{language: Language, theme: string, text: string, beam: number}} asked
 */
export function dressForm(texts, { language, theme, text, beam }) {
  document.documentElement.lang = language === "zh" ? "zh-Hans" : "en";
  document.documentElement.dataset.theme = theme;
  for (const element of document.querySelectorAll("[data-text]")) {
    element.textContent = String(texts[/** @type {string} */ (element.getAttribute("data-text"))]);
  }
  for (const [id, value] of Object.entries({ language, theme, text })) field(id).value = value;
  const sizes = [...new Set([...BEAMS, beam])].sort((a, b) => a - b);
  fillSelect("beam", sizes.map((n) => [String(n), n === 1 ? texts.greedy : texts.beam(n)]), String(beam));
}

/**
 * Return one choice of several: a round button and what is told of it.
 * @param {string} name Of the choices together.
 * @param {number} place
 * @param {boolean} checked
 * @param {() => void} choose
 * @param {...(Node | string)} told
 */
export function choice(name, place, checked, choose, ...told) {
  const radio = /** @type {HTMLInputElement} */ (make("input", { type: "radio", name, value: String(place) }));
  radio.checked = checked;
  radio.addEventListener("change", choose);
  return make("label", {}, radio, ...told);
}

/**
 * Call back when the form is sent, by its button or by Ctrl+Enter in the text.
 * @param {() => unknown} submit
 */
export function onSubmit(submit) {
  at("form").addEventListener("submit", (event) => {
    event.preventDefault();
    submit();
  });
  at("text").addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    submit();
  });
}

/**
 * Put language and colors of the page on a map.
 * @param {HTMLElement} map
 * @param {{language: Language, theme: string}} asked
 */
export function dressMap(map, { language, theme }) {
  map.setAttribute("lang", language);
  if (theme) map.setAttribute("theme", theme);
  else map.removeAttribute("theme");
}
