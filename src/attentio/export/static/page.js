// @ts-check
/**
 * The page: what is typed is translated here, and shown with what the model attended to. It asks nobody for anything.
 * What was typed stands in the fragment of the address, which a browser sends to nobody.
 */

import { FORM_TEXTS, at, choice, dressForm, dressMap, field, fillSelect, make, onSubmit, preferredLanguage } from "../../view/static/form.js";
import { storedModel } from "./inline.js";
import { Translator } from "./translator.js";

/** @typedef {import("./translator.js").Translation} Translation */
/** @typedef {import("./translator.js").Trace} Trace */
/** @typedef {HTMLElement & {trace: Trace, show: (state: object) => void}} MapElement */

const PAGE_TEXTS = {
  en: {
    ...FORM_TEXTS.en,
    direction: "Direction", sentence: "Sentence",
    offline: "The model works in this page. Nothing that you type leaves it.", opening: "The model is being opened …",
    hint: "The stronger the color, the more attention. Attention is not by itself an explanation of a translation.",
    working: (/** @type {number[]} */ [done, all]) => `Sentence ${done} of ${all} …`,
    ready: (/** @type {string} */ ms) => `Translated in ${ms} ms.`,
    unseen: (/** @type {string} */ what) => `Never seen in training: ${what}. Expect poor output there.`,
    lost: (/** @type {string} */ what) => `Not kept in the translation: ${what}.`,
    around: (/** @type {string} */ what) => `Kept, and what stands around it was translated by itself: ${what}.`,
    cut: "A sentence was longer than any in training. It was translated in parts.",
    failed: (/** @type {string} */ why) => `The model could not be opened: ${why}.`,
  },
  zh: {
    ...FORM_TEXTS.zh,
    direction: "方向", sentence: "句子",
    offline: "模型在本页内运行。输入的内容不会离开本页。", opening: "正在打开模型……",
    hint: "颜色越深，注意力越多。注意力本身不是对译文的解释。",
    working: (/** @type {number[]} */ [done, all]) => `第 ${done} 句，共 ${all} 句……`,
    ready: (/** @type {string} */ ms) => `用时 ${ms} 毫秒。`,
    unseen: (/** @type {string} */ what) => `训练中从未见过：${what}。该处译文可能较差。`,
    lost: (/** @type {string} */ what) => `译文中没有保留：${what}。`,
    around: (/** @type {string} */ what) => `原样保留，其前后分别翻译：${what}。`,
    cut: "有句子比训练中的都长，已分段翻译。",
    failed: (/** @type {string} */ why) => `无法打开模型：${why}。`,
  },
};
const PAUSE = 30; // milliseconds of work after which the page may answer

/** @typedef {{name: string, source: string | null, target: string | null}} Direction */
/** @typedef {{text: string, model: number, beam: number, sentence: number, chosen: number, language: "en" | "zh", theme: string, map: object}} Shown */
/** @type {Shown} */
const shown = { text: "", model: 0, beam: 5, sentence: 0, chosen: 0, language: preferredLanguage, theme: "", map: {} };
/** @type {Direction[]} */
let directions = [];
/** @type {Map<number, Promise<Translator>>} */
const opened = new Map();
/** @type {Translator} */
let translator;
/** @type {Translation | null} */
let translated = null;
let running = 0;

const words = () => PAGE_TEXTS[shown.language];

/** Read the fragment of the address. What it does not say stays as it is. */
function readFragment() {
  const said = new URLSearchParams(location.hash.slice(1));
  const number = (/** @type {string} */ name, /** @type {number} */ least, /** @type {number} */ most) => {
    const value = Math.round(Number(said.get(name) ?? NaN));
    return value >= least && value <= most ? value : null;
  };
  shown.text = said.get("text") ?? shown.text;
  shown.model = number("model", 0, directions.length - 1) ?? shown.model;
  shown.beam = number("beam", 1, 20) ?? shown.beam;
  shown.sentence = number("sentence", 0, 1e6) ?? shown.sentence;
  shown.chosen = number("chosen", 0, 20) ?? shown.chosen;
  const language = said.get("language");
  if (language) shown.language = language === "zh" ? "zh" : "en";
  const theme = said.get("theme");
  if (theme !== null) shown.theme = ["light", "dark"].includes(theme) ? theme : "";
  try {
    shown.map = JSON.parse(said.get("map") ?? "null") ?? shown.map;
  } catch {
    // Not written by this page: left out.
  }
}

function writeFragment() {
  const { map, ...plain } = shown;
  const said = new URLSearchParams(Object.entries(plain).map(([name, value]) => [name, String(value)]));
  if (Object.keys(map).length) said.set("map", JSON.stringify(map));
  history.replaceState(null, "", `#${said}`);
}

const pause = () => new Promise((go) => setTimeout(go, 0));

/** Open the chosen model, and return whether it can be used. It is opened once. */
async function openModel() {
  const { model } = shown;
  if (!opened.has(model)) {
    at("status").textContent = words().opening;
    const opening = pause().then(() => storedModel(model));
    opened.set(model, opening.then(([stored, weights]) => new Translator(stored, weights)));
  }
  try {
    const found = await /** @type {Promise<Translator>} */ (opened.get(model));
    if (model !== shown.model) return false; // another was chosen since
    translator = found;
    at("status").textContent = "";
    return true;
  } catch (error) {
    opened.delete(model);
    at("status").textContent = "";
    at("fault").hidden = false;
    at("fault").textContent = words().failed(error instanceof Error ? error.message : String(error));
    return false;
  }
}

/** Translate what is typed, part by part, so that the page stays awake. A later call ends an earlier one. */
async function translateTyped() {
  const mine = ++running;
  writeFragment();
  at("main").setAttribute("aria-busy", "true");
  at("fault").hidden = true;
  const ready = await openModel();
  if (mine !== running) return;
  if (!ready) {
    at("main").setAttribute("aria-busy", "false");
    return;
  }
  const begin = performance.now();
  let last = begin;
  await pause();
  try {
    const steps = translator.translateInSteps(shown.text, { size: shown.beam });
    for (let next = steps.next(); ; next = steps.next()) {
      if (next.done) {
        translated = next.value;
        break;
      }
      if (performance.now() - last > PAUSE) {
        at("status").textContent = words().working(next.value);
        await pause();
        if (mine !== running) return;
        last = performance.now();
      }
    }
    at("status").textContent = translated.parts.length ? words().ready((performance.now() - begin).toFixed(0)) : "";
  } catch (error) {
    translated = null;
    at("status").textContent = "";
    at("fault").hidden = false;
    at("fault").textContent = error instanceof Error ? error.message : String(error);
  }
  shown.sentence = Math.max(0, Math.min(shown.sentence, leavesOf(translated).length - 1));
  show();
  at("main").setAttribute("aria-busy", "false");
}

/**
 * Return what has a map.
 * @param {Translation | null} translation
 */
const leavesOf = (translation) => translation?.parts.flatMap(({ leaves }) => leaves) ?? [];

/** Show the translation, its hypotheses and the map of the chosen one. */
function show() {
  const t = words();
  const parts = leavesOf(translated);
  at("result").hidden = !translated?.parts.length;
  if (!translated?.parts.length) return;
  at("translation").textContent = translated.text;
  at("translation").lang = translator.stored.target.language ?? "";
  const { unseen, lost, around, cut } = translated;
  const notes = [lost.length ? t.lost(lost.join(" ")) : "", around.length ? t.around(around.join(" ")) : "", unseen.length ? t.unseen(unseen.slice(0, 8).join(" ")) : "", cut ? t.cut : ""];
  at("notes").replaceChildren(...notes.filter(Boolean).map((note) => make("li", {}, note)));
  at("look").hidden = !parts.length;
  if (!parts.length) return;
  at("sentences").hidden = parts.length < 2;
  fillSelect("sentence", parts.map(({ source }, i) => [String(i), `${i + 1}: ${source}`]), String(shown.sentence));
  const part = parts[shown.sentence];
  shown.chosen = Math.min(shown.chosen, part.nbest.length - 1);
  at("nbest").replaceChildren(
    make("legend", {}, t.nbest),
    ...part.nbest.map(({ text, score }, i) => {
      const choose = () => {
        shown.chosen = i;
        writeFragment();
        showMap();
      };
      const told = make("span", { dir: "auto", lang: translator.stored.target.language ?? "" }, text);
      return choice("nbest", i, i === shown.chosen, choose, told, make("small", {}, t.score(score.toFixed(3))));
    }),
  );
  showMap();
}

function showMap() {
  const part = leavesOf(translated)[shown.sentence];
  const map = /** @type {MapElement} */ (at("attention"));
  dressMap(map, shown);
  map.trace = /** @type {(n: number) => Trace} */ (part.trace)(shown.chosen);
}

/** Write all texts of the page in the chosen language, and put on the chosen colors. */
function dressPage() {
  dressForm(words(), shown);
  field("text").lang = directions[shown.model].source ?? "";
  at("directions").hidden = directions.length < 2;
  const named = directions.map(({ name, source, target }) => (source && target ? `${name} (${source} → ${target})` : name));
  fillSelect("direction", named.map((told, i) => [String(i), told]), String(shown.model));
}

async function startPage() {
  directions = JSON.parse(at("models").textContent ?? "");
  readFragment();
  dressPage();
  await pause(); // the form is shown while the model is opened
  const ready = await openModel();
  at("main").setAttribute("aria-busy", "false");
  if (!ready && directions.length < 2) return;
  field("submit").disabled = false;
  const submit = () => {
    Object.assign(shown, { text: field("text").value, sentence: 0, chosen: 0 });
    return translateTyped();
  };
  onSubmit(submit);
  at("direction").addEventListener("change", () => {
    Object.assign(shown, { model: Number(field("direction").value), text: field("text").value });
    dressPage();
    submit();
  });
  at("beam").addEventListener("change", () => {
    shown.beam = Number(field("beam").value);
    submit();
  });
  at("sentence").addEventListener("change", () => {
    Object.assign(shown, { sentence: Number(field("sentence").value), chosen: 0 });
    writeFragment();
    show();
  });
  for (const name of /** @type {const} */ (["language", "theme"])) {
    at(name).addEventListener("change", () => {
      const { value } = field(name);
      if (name === "language") shown.language = value === "zh" ? "zh" : "en";
      else shown.theme = value;
      shown.text = field("text").value;
      dressPage();
      writeFragment();
      show();
    });
  }
  at("attention").addEventListener("attention-map-state", (event) => {
    shown.map = /** @type {CustomEvent} */ (event).detail;
    writeFragment();
  });
  /** @type {MapElement} */ (at("attention")).show(shown.map);
  addEventListener("hashchange", () => {
    readFragment();
    dressPage();
    translateTyped();
  });
  if (shown.text) await translateTyped();
}

if (globalThis.document?.getElementById("form")) startPage();
