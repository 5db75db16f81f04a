// @ts-check
/**
 * The page of `attentio view --open`: translate, look, and ask what if. Everything that was asked for stands in the
 * fragment of the address, which a browser sends to nobody.
 */

import { isPlaceholder, tokenLabels } from "./attention-map.js";
import { FORM_TEXTS, at, choice, dressForm, dressMap, field, fillSelect, make, onSubmit, preferredLanguage } from "./form.js";

/** @typedef {import("./attention-map.js").StoredTrace} StoredTrace */
/** @typedef {import("./attention-map.js").AttentionMap} AttentionMap */
/** @typedef {import("./attention-map.js").State} MapState */
/** @typedef {{text: string, score: number, trace: StoredTrace}} Hypothesis */
/** @typedef {{name: string, source: string | null, target: string | null}} Model */
/**
 * @typedef {object} Asked What the page shows, all of it.
 * @property {string} text
 * @property {string} model
 * @property {string} beside "" for none.
 * @property {number} beam
 * @property {number[]} masked
 * @property {string[]} prefix
 * @property {number} sentence Which sentence of the text.
 * @property {number} chosen Which of the hypotheses.
 * @property {"mask" | "delete" | "edit"} press What pressing a source token does.
 * @property {"en" | "zh"} language
 * @property {string} theme
 * @property {Partial<MapState>} map
 */

const TEXTS = {
  en: {
    ...FORM_TEXTS.en,
    model: "Model", beside: "Beside it", none: "nothing",
    sentences: "Sentences", sentences_hint: "Each is translated by itself. Choose the one to look at.",
    tokens_title: "Source tokens", press: "Pressing a token", press_mask: "masks it: the model reads it as unknown", press_delete: "deletes it",
    press_edit: "edits it", edit_name: (/** @type {string} */ token) => `In place of “${token}”`, edit_apply: "Replace",
    same: "Nothing changed.", changed: (/** @type {string} */ before) => `Before: “${before}”. What is new is marked.`,
    steps: "Step by step",
    steps_hint: "The likeliest next tokens at each step. Choose one to force it: the translation goes on from there.",
    step: (/** @type {number[]} */ [t, of]) => `Step ${t} of ${of}`, release: "Let the model choose again",
    begin: "(beginning)", erasure: "Erasure and gradients beside attention", erase: "Measure erasure",
    erasure_hint: "How much the log-probability of each target token falls when a source token is masked. Gradient × input says the same to first order, in magnitude. Attention is not by itself an explanation: compare the three.",
    correlation: "Rank correlation (ρ) of attention with both", layer: "Layer", by_erasure: "erasure", gradient: "gradient × input", erased: "fall of log-probability",
    otherwise: (/** @type {string} */ name) => `${name} cuts this sentence into several, so it has no map beside it.`,
    failed: "The server does not answer. Is attentio still running?",
  },
  zh: {
    ...FORM_TEXTS.zh,
    model: "模型", beside: "并排", none: "无",
    sentences: "句子", sentences_hint: "各句分别翻译。选择要查看的一句。",
    tokens_title: "原文词元", press: "按下词元时", press_mask: "遮盖它：模型把它读作未知", press_delete: "删除它",
    press_edit: "修改它", edit_name: (/** @type {string} */ token) => `把“${token}”改为`, edit_apply: "替换",
    same: "没有变化。", changed: (/** @type {string} */ before) => `之前：“${before}”。新的部分已标出。`,
    steps: "逐步查看",
    steps_hint: "每一步最可能的下一个词元。选一个即强制写出它，译文从那里继续。",
    step: (/** @type {number[]} */ [t, of]) => `第 ${t} 步，共 ${of} 步`, release: "让模型重新选择",
    begin: "（开头）", erasure: "擦除、梯度与注意力对照", erase: "测量擦除",
    erasure_hint: "遮盖一个原文词元时，各译文词元的对数概率下降多少。梯度×输入是它的一阶近似，取绝对值。注意力本身不是解释，请对照三者。",
    correlation: "注意力与两者的等级相关（ρ）", layer: "层", by_erasure: "擦除", gradient: "梯度×输入", erased: "对数概率下降",
    otherwise: (/** @type {string} */ name) => `${name} 会把这一句再切分，因此没有并排的图。`,
    failed: "服务器没有响应。attentio 还在运行吗？",
  },
};
/** @type {Asked} */
const asked = { text: "", model: "", beside: "", beam: 5, masked: [], prefix: [], sentence: 0, chosen: 0, press: "mask", language: preferredLanguage, theme: "", map: {} };
/** @type {Model[]} */
let models = [];
/** @type {{source: string, text: string}[]} The sentences of the text, each with its best translation. */
let parts = [];
let partsOf = ""; // what they are of: text, model and beam
/** @type {Hypothesis[]} */
let found = [];
/** @type {Hypothesis | null} */
let other = null;
/** @type {string[] | null} */
let before = null;
let anew = false; // whether another sentence was chosen: it is no change of the one before
let edited = -1; // the source token that is being edited
/** @type {AbortController | null} */
let running = null;

const texts = () => TEXTS[asked.language];

/** Read the fragment of the address. What it does not say stays as it is. */
function readAddress() {
  const said = new URLSearchParams(location.hash.slice(1));
  /** @type {(name: string, take: (value: string) => void) => void} */
  const take = (name, set) => {
    const value = said.get(name);
    if (value !== null) set(value);
  };
  /** @type {(value: string) => any} */
  const parsed = (value) => {
    try {
      return JSON.parse(value);
    } catch {
      return null;
    }
  };
  take("text", (value) => (asked.text = value));
  take("model", (value) => (asked.model = value));
  take("beside", (value) => (asked.beside = value));
  take("beam", (value) => (asked.beam = Number(value) >= 1 && Number(value) <= 20 ? Math.round(Number(value)) : 5));
  take("language", (value) => (asked.language = value === "zh" ? "zh" : "en"));
  take("theme", (value) => (asked.theme = ["light", "dark"].includes(value) ? value : ""));
  take("chosen", (value) => (asked.chosen = Number(value) || 0));
  take("sentence", (value) => (asked.sentence = Number(value) > 0 ? Math.round(Number(value)) : 0));
  take("press", (value) => (asked.press = value === "delete" || value === "edit" ? value : "mask"));
  take("masked", (value) => (asked.masked = value.split(",").filter(Boolean).map(Number).filter(Number.isInteger)));
  take("prefix", (value) => {
    const tokens = parsed(value);
    if (Array.isArray(tokens)) asked.prefix = tokens.map(String);
  });
  take("map", (value) => (asked.map = parsed(value) ?? {}));
}

/** Write what is shown into the fragment of the address. */
function writeAddress() {
  const { masked, prefix, map, ...plain } = asked;
  const said = new URLSearchParams(Object.entries(plain).map(([name, value]) => [name, String(value)]));
  if (masked.length) said.set("masked", masked.join(","));
  if (prefix.length) said.set("prefix", JSON.stringify(prefix));
  if (Object.keys(map).length) said.set("map", JSON.stringify(map));
  history.replaceState(null, "", `#${said}`);
}

/**
 * Ask the server. Throws an Error with what it says.
 * @param {string} path
 * @param {object} body
 * @returns {Promise<any>}
 */
async function post(path, body) {
  let response;
  try {
    response = await fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body), signal: running?.signal });
  } catch (error) {
    throw error instanceof DOMException && error.name === "AbortError" ? error : new Error(texts().failed);
  }
  const answer = await response.json();
  if (response.ok) return answer;
  throw new Error(answer.error?.message ?? String(response.status));
}

/**
 * Do something that takes time. A newer one takes its place, and what goes wrong is said.
 * @param {() => Promise<void>} work
 */
async function busy(work) {
  running?.abort();
  const mine = (running = new AbortController());
  const main = /** @type {HTMLElement} */ (document.querySelector("main"));
  main.setAttribute("aria-busy", "true");
  at("fault").hidden = true;
  try {
    await work();
  } catch (error) {
    if (running !== mine || (error instanceof DOMException && error.name === "AbortError")) return;
    at("fault").textContent = error instanceof Error ? error.message : String(error);
    at("fault").hidden = false;
  } finally {
    if (running === mine) main.setAttribute("aria-busy", "false");
  }
}

/** Translate what is asked for, and show it. */
function translate() {
  writeAddress();
  if (!asked.text.trim()) {
    at("result").hidden = true;
    return Promise.resolve();
  }
  return busy(async () => {
    const { model, beam, masked, prefix, beside } = asked;
    await cut();
    const text = sentence();
    const last = anew ? null : (found[asked.chosen]?.trace.target_tokens ?? null);
    anew = false;
    const { hypotheses } = await post("look", { model, text, beam, masked, prefix });
    let second = null;
    if (beside && (await post("parts", { model: beside, text, beam: 1 })).parts.length > 1) {
      at("fault").textContent = texts().otherwise(beside);
      at("fault").hidden = false;
    } else if (beside) {
      const plain = (await post("look", { model: beside, text, beam })).hypotheses[0];
      // Another model has other tokens: masked are those that share characters with the masked ones.
      const spans = masked.map((place) => hypotheses[0].trace.source_spans[place] ?? [0, 0]);
      const places = plain.trace.source_spans.flatMap((/** @type {number[]} */ [a, b], /** @type {number} */ i) => (spans.some(([c, d]) => c < b && d > a) ? [i] : []));
      second = places.length ? (await post("look", { model: beside, text, beam, masked: places })).hypotheses[0] : plain;
    }
    before = last;
    found = hypotheses;
    other = second;
    asked.chosen = Math.min(asked.chosen, found.length - 1);
    field("step").value = String(Math.min(prefix.length || 1, found[asked.chosen].trace.target_tokens.length));
    show();
  });
}

/** Ask where the sentences of the text end, and what they become, unless it is known. */
async function cut() {
  const { text, model, beam } = asked;
  const wanted = JSON.stringify([text, model, beam]);
  if (wanted === partsOf) return;
  parts = (await post("parts", { text, model, beam })).parts;
  partsOf = wanted;
  if (asked.sentence >= parts.length) {
    asked.sentence = Math.max(0, parts.length - 1);
    writeAddress();
  }
}

/** Return the sentence that is looked at. A text of one is asked for as it was typed. */
const sentence = () => (parts.length > 1 ? parts[asked.sentence].source : asked.text);

/**
 * Put other text in the place of a source token, and translate again.
 * @param {number} token
 * @param {string} text
 */
function replaceToken(token, text) {
  const { trace } = found[asked.chosen];
  const [start, end] = trace.source_spans[token];
  const chars = Array.from(trace.source);
  const isSpace = (/** @type {number} */ place) => !(chars[place] ?? " ").trim();
  const space = text && isSpace(start) ? " " : ""; // a token may hold the space before it
  const after = !text && isSpace(start - 1) && isSpace(end) ? end + 1 : end; // two words keep one space between them
  const changed = [...chars.slice(0, start), space, text, ...chars.slice(after)].join("");
  if (parts.length > 1) {
    // Only the sentence changes. Where it stands in the text as typed is known unless cleaning changed it.
    let place = 0;
    for (const { source } of parts.slice(0, asked.sentence)) place = Math.max(place, asked.text.indexOf(source, place) + source.length);
    place = asked.text.indexOf(sentence(), place);
    const others = parts.map(({ source }, i) => (i === asked.sentence ? changed : source));
    asked.text = place < 0 ? others.join(" ") : asked.text.slice(0, place) + changed + asked.text.slice(place + sentence().length);
  } else asked.text = changed;
  Object.assign(asked, { masked: [], prefix: [], chosen: 0 });
  field("text").value = asked.text;
  return translate();
}

/**
 * Do what pressing a source token does.
 * @param {number} token
 * @param {string} shown
 */
function press(token, shown) {
  if (asked.press === "mask") {
    asked.masked = asked.masked.includes(token) ? asked.masked.filter((one) => one !== token) : [...asked.masked, token].sort((a, b) => a - b);
    translate();
  } else if (asked.press === "delete") replaceToken(token, "");
  else {
    const [start, end] = found[asked.chosen].trace.source_spans[token];
    edited = token;
    at("edit").hidden = false;
    at("edit-name").textContent = texts().edit_name(shown);
    field("edit-text").value = Array.from(found[asked.chosen].trace.source).slice(start, end).join("").trim();
    field("edit-text").focus();
  }
}

/**
 * Return which tokens of `now` are not in the longest common subsequence of both.
 * @param {string[]} now
 * @param {string[]} then
 * @returns {number[]}
 */
export function differences(now, then) {
  const lengths = Array.from({ length: now.length + 1 }, () => new Array(then.length + 1).fill(0));
  for (let i = now.length - 1; i >= 0; i--) {
    for (let j = then.length - 1; j >= 0; j--) {
      lengths[i][j] = now[i] === then[j] ? lengths[i + 1][j + 1] + 1 : Math.max(lengths[i + 1][j], lengths[i][j + 1]);
    }
  }
  const changed = [];
  let [i, j] = [0, 0];
  while (i < now.length) {
    if (j < then.length && now[i] === then[j]) [i, j] = [i + 1, j + 1];
    else if (j < then.length && lengths[i][j + 1] >= lengths[i + 1][j]) j += 1;
    else changed.push(i++);
  }
  return changed;
}

/**
 * Return the text of a trace with some target tokens marked.
 * @param {StoredTrace} trace
 * @param {number[]} marked
 */
function markedText(trace, marked) {
  const chars = Array.from(trace.target);
  const shown = make("span", { dir: "auto", lang: languageOfModel("target") });
  let end = 0;
  for (const place of marked) {
    const [start, stop] = trace.target_spans[place];
    if (stop <= start) continue;
    shown.append(chars.slice(end, start).join(""), make("mark", {}, chars.slice(start, stop).join("")));
    end = stop;
  }
  shown.append(chars.slice(end).join(""));
  return shown;
}

/** @param {"source" | "target"} side */
function languageOfModel(side) {
  return models.find(({ name }) => name === asked.model)?.[side] ?? "";
}

/** @param {string} token */
const shownToken = (token) => token.replace(/^▁/, "") || "␣";

const sourceLabels = (/** @type {StoredTrace} */ trace) => tokenLabels(trace.source_tokens, trace.source_spans, trace.source);

/**
 * Return target tokens as people read them: a placeholder is what it stands for in the source.
 * @param {string[]} tokens
 * @param {StoredTrace} trace
 */
const targetLabels = (tokens, trace) => {
  const labels = sourceLabels(trace);
  const known = new Map(trace.source_tokens.map((token, i) => [token, labels[i]]));
  return tokens.map((token) => (isPlaceholder(token) ? (known.get(token) ?? "�") : token));
};

function show() {
  const t = texts();
  const { trace } = found[asked.chosen];
  const changed = before ? differences(trace.target_tokens, before) : [];
  const labels = sourceLabels(trace);
  at("result").hidden = false;

  const focused = document.activeElement?.closest("#tokens, #edit, #candidates, #nbest, #parts");
  const list = focused?.id === "edit" ? at("tokens") : focused;
  const place = focused?.id === "edit" ? edited : list ? [...list.querySelectorAll("button, input")].indexOf(/** @type {Element} */ (document.activeElement)) : -1;
  at("tokens").lang = languageOfModel("source");
  at("tokens").replaceChildren(
    ...labels.slice(0, -1).map((token, i) => {
      const masked = asked.masked.includes(i);
      const button = make("button", { type: "button", ...(masked || asked.press === "mask" ? { "aria-pressed": String(masked) } : {}) }, shownToken(token));
      button.addEventListener("click", () => press(i, shownToken(token)));
      return button;
    }),
  );
  at("edit").hidden = true;
  showParts();
  at("nbest").replaceChildren(
    make("legend", {}, t.nbest),
    ...found.map((one, i) => {
      const choose = () => {
        asked.chosen = i;
        writeAddress();
        show();
      };
      const marks = i === asked.chosen ? changed : [];
      return choice("nbest", i, i === asked.chosen, choose, markedText(one.trace, marks), make("small", {}, t.score(one.score.toFixed(3))));
    }),
  );
  const old = targetLabels(before?.slice(0, before.at(-1) === "</s>" ? -1 : undefined) ?? [], trace).join("").replaceAll("▁", " ").trim();
  at("changed").textContent = !before || !(asked.masked.length || asked.prefix.length || changed.length) ? "" : changed.length ? t.changed(old) : t.same;
  showMaps("maps", [found[asked.chosen], ...(other ? [other] : [])], changed);
  showStep();
  at("release").hidden = !asked.prefix.length;
  at("erased").hidden = true;
  if (list && place >= 0) {
    const all = list.querySelectorAll("button, input");
    const again = all[Math.min(place, all.length - 1)];
    if (again instanceof HTMLElement) again.focus();
  }
}

/** Show the sentences of the text with their translations, where there are several. */
function showParts() {
  at("sentences").hidden = parts.length < 2;
  at("parts").replaceChildren(
    make("legend", {}, texts().sentences_hint),
    ...(parts.length < 2 ? [] : parts).map(({ source, text }, i) => {
      const choose = () => {
        Object.assign(asked, { sentence: i, masked: [], prefix: [], chosen: 0 });
        anew = true;
        translate();
      };
      const told = make("span", {}, make("span", { dir: "auto", lang: languageOfModel("source") }, source), " → ", make("span", { dir: "auto", lang: languageOfModel("target") }, text));
      return choice("parts", i, i === asked.sentence, choose, told);
    }),
  );
}

/**
 * Show maps side by side, in the elements that are there already.
 * @param {string} id
 * @param {Hypothesis[]} hypotheses
 * @param {number[]} changed
 */
function showMaps(id, hypotheses, changed) {
  const all = at(id);
  while (all.children.length > hypotheses.length) all.lastElementChild?.remove();
  hypotheses.forEach(({ trace }, i) => {
    if (!all.children[i]) {
      const element = /** @type {AttentionMap} */ (make("attention-map", {}));
      all.append(make("div", {}, make("h3", {}), element));
      element.show(i ? { unit: asked.map.unit ?? "words" } : asked.map);
      if (i === 0) {
        element.addEventListener("attention-map-state", (event) => {
          asked.map = /** @type {CustomEvent} */ (event).detail;
          writeAddress();
        });
      }
    }
    const [title, element] = all.children[i].children;
    title.textContent = `${trace.name}: ${trace.target}`;
    const map = /** @type {AttentionMap} */ (element);
    dressMap(map, asked);
    map.trace = trace;
    if (i === 0) map.marks = { rows: changed, masked: asked.masked };
  });
}

function showStep() {
  const t = texts();
  const { trace } = found[asked.chosen];
  const range = field("step");
  range.max = String(trace.target_tokens.length);
  const step = Math.min(Number(range.value), trace.target_tokens.length);
  at("step-name").textContent = t.step([step, trace.target_tokens.length]);
  range.setAttribute("aria-valuetext", `${t.step([step, trace.target_tokens.length])}: ${shownToken(targetLabels([trace.target_tokens[step - 1]], trace)[0])}`);
  const end = step > 1 ? trace.target_spans[step - 2][1] : 0;
  at("prefix").textContent = `${Array.from(trace.target).slice(0, end).join("") || t.begin} …`;
  at("prefix").lang = languageOfModel("target");
  at("candidates").lang = languageOfModel("target");
  at("candidates").replaceChildren(
    ...(trace.candidates?.[step - 1] ?? []).map(([token, p]) => {
      const written = token === trace.target_tokens[step - 1];
      const button = make("button", { type: "button" }, `${shownToken(targetLabels([token], trace)[0])} ${p < 0.01 ? "<0.01" : p.toFixed(2)}`, ...(written ? [" ✓"] : []));
      button.addEventListener("click", () => {
        asked.prefix = [...trace.target_tokens.slice(0, step - 1), token];
        translate();
      });
      return button;
    }),
  );
  const map = /** @type {AttentionMap | null} */ (document.querySelector("#maps attention-map"));
  map?.point(trace.target_spans[step - 1], "target");
}

/** Measure erasure and gradients, and show them beside the attention of the last layer. */
function erase() {
  return busy(async () => {
    const t = texts();
    const { trace } = found[asked.chosen];
    const { erasure, gradient, correlation } = await post("erase", { model: asked.model, text: sentence(), masked: asked.masked, prefix: trace.target_tokens });
    at("correlation").querySelector("tbody")?.replaceChildren(
      ...Object.entries(correlation).map(([layer, rhos]) =>
        make("tr", {}, make("th", { scope: "row" }, layer), ...rhos.map((/** @type {number | null} */ rho) => make("td", {}, rho === null ? "–" : rho.toFixed(2)))),
      ),
    );
    at("erased").hidden = false;
    at("erasure-map").replaceChildren();
    const attention = { ...trace, encoder_self: {}, decoder_self: {} };
    const named = [[t.erased, erasure], [t.gradient, gradient]].map(([name, map]) => ({ ...attention, name, weights: { [name]: [map] } }));
    showMaps("erasure-map", [...named, attention].map((one) => ({ ...found[asked.chosen], trace: one })), []);
    const [first, second, third] = at("erasure-map").querySelectorAll("attention-map");
    for (const [map, scale] of /** @type {const} */ ([[first, "map"], [second, "map"], [third, "fixed"]])) {
      /** @type {AttentionMap} */ (map).show({ scale, numbers: true, unit: "tokens" });
    }
  });
}

/** Write all texts of the page in the chosen language, and put on the chosen colors. */
function dress() {
  const t = texts();
  dressForm(t, asked);
  for (const radio of document.querySelectorAll("#press input")) {
    const input = /** @type {HTMLInputElement} */ (radio);
    input.checked = input.value === asked.press;
  }
  const names = models.map(({ name }) => /** @type {[string, string]} */ ([name, name]));
  fillSelect("model", names, asked.model);
  fillSelect("beside", [["", t.none], ...names], asked.beside);
  /** @type {HTMLElement} */ (at("beside").parentElement).hidden = models.length < 2;
}

async function start() {
  readAddress();
  models = await (await fetch("models")).json();
  if (!models.some(({ name }) => name === asked.model)) asked.model = models[0].name;
  if (!models.some(({ name }) => name === asked.beside)) asked.beside = "";
  dress();
  const changes = /** @type {const} */ (["model", "beside", "beam", "language", "theme"]);
  for (const name of changes) {
    at(name).addEventListener("change", () => {
      const { value } = field(name);
      if (name === "beam") asked.beam = Number(value);
      else if (name === "language") asked.language = value === "zh" ? "zh" : "en";
      else asked[name] = value;
      if (name === "model") Object.assign(asked, { masked: [], prefix: [] });
      dress();
      if (name === "language" || name === "theme") {
        writeAddress();
        if (found.length) show();
      } else translate();
    });
  }
  const submit = () => {
    if (field("text").value !== asked.text) Object.assign(asked, { text: field("text").value, masked: [], prefix: [], sentence: 0 });
    asked.chosen = 0;
    return translate();
  };
  onSubmit(submit);
  for (const radio of document.querySelectorAll("#press input")) {
    radio.addEventListener("change", () => {
      asked.press = /** @type {Asked["press"]} */ (/** @type {HTMLInputElement} */ (radio).value);
      writeAddress();
      show();
    });
  }
  at("edit").addEventListener("submit", (event) => {
    event.preventDefault();
    replaceToken(edited, field("edit-text").value.trim());
  });
  at("step").addEventListener("input", showStep);
  at("release").addEventListener("click", () => {
    asked.prefix = [];
    translate();
  });
  at("erase").addEventListener("click", erase);
  addEventListener("hashchange", () => {
    readAddress();
    dress();
    translate();
  });
  await translate();
}

if (globalThis.document?.getElementById("form")) start();
