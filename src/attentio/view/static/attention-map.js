// @ts-check
/**
 * `<attention-map>`: one translation and what it attended to, as a matrix, as lines between words, or as one small
 * picture for each layer and head.
 *
 * It is a plain ES module without dependencies. It needs no build, makes no request and keeps nothing. Give it a trace
 * as JSON, in a `<script type="application/json">` inside the element or as the property `trace`. What else stands in
 * the element is shown where scripts do not run.
 *
 * The functions before the element compute and know no page. They are tested by `node --test`.
 */

/** @typedef {[number, number]} Span First character and the one after the last, in code points. */
/** @typedef {{heads: number, rows: number, columns: number, data: Float32Array}} Layer (heads, rows, columns) */
/** @typedef {{rows: number, columns: number, data: Float32Array}} Matrix */
/** @typedef {number[][][] | {shape: number[], float16: string}} StoredLayer */
/** @typedef {"weights" | "encoder_self" | "decoder_self"} Kind */
/**
 * @typedef {object} StoredTrace A trace as `AttentionTrace.save` writes it. Weights may be packed as float16.
 * @property {string} source
 * @property {string} target
 * @property {string[]} source_tokens
 * @property {string[]} target_tokens
 * @property {Span[]} source_spans
 * @property {Span[]} target_spans
 * @property {Record<string, StoredLayer>} weights
 * @property {Record<string, StoredLayer>} [encoder_self]
 * @property {Record<string, StoredLayer>} [decoder_self]
 * @property {number[]} [token_log_probs]
 * @property {[string, number][][]} [candidates]
 * @property {number | null} [score]
 * @property {number} [schema]
 * @property {{source: Span[], target: Span[]}} [words] Where the words of both texts stand.
 * @property {string} [name] What the map is called, such as the model.
 */
/**
 * @typedef {object} Side The tokens or words of one side, with their places in the text.
 * @property {string[]} labels
 * @property {Span[]} spans
 */
/**
 * @typedef {object} Trace
 * @property {StoredTrace} stored
 * @property {Side} source
 * @property {Side} target
 * @property {Record<Kind, Map<string, Layer>>} kinds
 */
/**
 * @typedef {object} State What is shown. Everything in it is text or a number, so that it fits in an address.
 * @property {"matrix" | "lines" | "heads"} view
 * @property {Kind} kind
 * @property {string} layer Name of a layer. "" is the mean of all.
 * @property {number} head -1 is the mean of all.
 * @property {"words" | "tokens"} unit
 * @property {"fixed" | "row" | "map"} scale What full color stands for: 1, the row's largest, the map's largest.
 * @property {number} threshold Smaller weights are left out of the picture.
 * @property {boolean} numbers
 */

/** @type {Kind[]} */
const KINDS = ["weights", "encoder_self", "decoder_self"];
const WINDOW = 100; // rows and columns that are shown at once
const LINE_FLOOR = 0.04; // lines of smaller weights would only blur the picture
const BEGIN = "<s>";
const PAGE = 10; // rows that PageUp and PageDown move

const TEXTS = {
  en: {
    attention: "Attention",
    cell: (/** @type {string[]} */ [row, column, value, rank]) => `target ${row}, source ${column}, ${value}, rank ${rank}`,
    cell_self: (/** @type {string[]} */ [row, column, value, rank]) => `${row} looks at ${column}, ${value}, rank ${rank}`,
    strongest: (/** @type {string[]} */ [row, column, value]) => `${row}: strongest ${column}, ${value}`,
    view: "View",
    matrix: "matrix",
    lines: "lines",
    heads: "all heads",
    kind: "Attention of",
    weights: "target to source",
    encoder_self: "source to itself",
    decoder_self: "target to itself",
    layer: "Layer",
    head: "Head",
    mean: "mean",
    unit: "Of",
    words: "words",
    tokens: "tokens",
    scale: "Full color is",
    fixed: "1",
    row: "largest of the row",
    map: "largest of the map",
    threshold: "Leave out below",
    numbers: "numbers",
    save: "Save as",
    entropy: (/** @type {string} */ bits) => ` ${bits} bits`,
    head_number: (/** @type {number} */ head) => `head ${head}`,
    nothing: "There is nothing to attend to.",
    part: (/** @type {number[]} */ [a, b, of, c, d, wide]) => `The map is large. Shown: rows ${a} to ${b} of ${of}, columns ${c} to ${d} of ${wide}. The arrow keys move on.`,
    description: "Rows are the words that look, columns the words looked at. The stronger the color of a cell, the more attention.",
    bad: (/** @type {string} */ reason) => `This is not an attention trace: ${reason}.`,
    controls: "What is shown",
  },
  zh: {
    attention: "注意力",
    cell: (/** @type {string[]} */ [row, column, value, rank]) => `译文 ${row}，原文 ${column}，${value}，第 ${rank} 位`,
    cell_self: (/** @type {string[]} */ [row, column, value, rank]) => `${row} 看 ${column}，${value}，第 ${rank} 位`,
    strongest: (/** @type {string[]} */ [row, column, value]) => `${row}：最强 ${column}，${value}`,
    view: "视图",
    matrix: "矩阵",
    lines: "连线",
    heads: "全部头",
    kind: "注意力",
    weights: "译文看原文",
    encoder_self: "原文看自身",
    decoder_self: "译文看自身",
    layer: "层",
    head: "头",
    mean: "平均",
    unit: "单位",
    words: "词",
    tokens: "词元",
    scale: "满色为",
    fixed: "1",
    row: "行内最大",
    map: "全图最大",
    threshold: "略去小于",
    numbers: "数值",
    save: "保存为",
    entropy: (/** @type {string} */ bits) => ` ${bits} 比特`,
    head_number: (/** @type {number} */ head) => `头 ${head}`,
    nothing: "没有可看的词。",
    part: (/** @type {number[]} */ [a, b, of, c, d, wide]) => `图太大，现示第 ${a} 至 ${b} 行（共 ${of} 行）、第 ${c} 至 ${d} 列（共 ${wide} 列）。用方向键继续。`,
    description: "行是在看的词，列是被看的词。格子颜色越强，注意力越多。",
    bad: (/** @type {string} */ reason) => `这不是注意力记录：${reason}。`,
    controls: "显示内容",
  },
};

/**
 * Return the numbers of a half-precision float for its 16 bits.
 * @param {number} bits
 * @returns {number}
 */
export function halfToNumber(bits) {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/**
 * Return the numbers of little-endian half-precision floats in base64.
 * @param {string} text
 * @returns {Float32Array}
 */
export function unpackHalf(text) {
  const bytes = atob(text);
  const numbers = new Float32Array(bytes.length / 2);
  for (let i = 0; i < numbers.length; i++) {
    numbers[i] = halfToNumber(bytes.charCodeAt(2 * i) | (bytes.charCodeAt(2 * i + 1) << 8));
  }
  return numbers;
}

/**
 * Return a layer as one array. Throws an Error where its shape is not the one expected.
 * @param {StoredLayer} stored
 * @param {number} rows
 * @param {number} columns
 * @returns {Layer}
 */
export function readLayer(stored, rows, columns) {
  const packed = !Array.isArray(stored);
  const heads = packed ? stored.shape[0] : stored.length;
  const data = packed ? unpackHalf(stored.float16) : Float32Array.from(stored.flat(2));
  if (data.length !== heads * rows * columns) throw new Error(`a layer has ${data.length} weights`);
  return { heads, rows, columns, data };
}

/**
 * Return a trace ready to be shown. Throws an Error where it contradicts itself.
 * @param {StoredTrace} stored
 * @returns {Trace}
 */
export function readTrace(stored) {
  const [s, t] = [stored.source_tokens.length, stored.target_tokens.length];
  /** @type {Record<Kind, [number, number]>} */
  const shapes = { weights: [t, s], encoder_self: [s, s], decoder_self: [t, 1 + t] };
  const kinds = /** @type {Record<Kind, Map<string, Layer>>} */ ({});
  for (const kind of KINDS) {
    kinds[kind] = new Map();
    for (const [name, layer] of Object.entries(stored[kind] ?? {})) {
      kinds[kind].set(name, readLayer(layer, ...shapes[kind]));
    }
  }
  if (!kinds.weights.size) throw new Error("it has no layer");
  return {
    stored,
    source: { labels: tokenLabels(stored.source_tokens, stored.source_spans, stored.source), spans: stored.source_spans },
    target: { labels: tokenLabels(stored.target_tokens, stored.target_spans, stored.target), spans: stored.target_spans },
    kinds,
  };
}

/**
 * Return whether a token is a placeholder, which stands for a number, an address or the like.
 * @param {string} token
 */
export const isPlaceholder = (token) => /^[\ue000-\ue007]$/.test(token);

/**
 * Return tokens as people read them: a placeholder is what it stands for.
 * @param {string[]} tokens
 * @param {Span[]} spans
 * @param {string} text
 * @returns {string[]}
 */
export function tokenLabels(tokens, spans, text) {
  const characters = Array.from(text);
  return tokens.map((token, i) => (isPlaceholder(token) ? characters.slice(...spans[i]).join("") : token));
}

/**
 * Return the share of each token in each word: one row a token, which sums to 1, or to 0 for end-of-sentence.
 * @param {Span[]} spans
 * @param {Span[]} words
 * @param {number} length Characters of the text.
 * @returns {number[][]}
 */
export function shares(spans, words, length) {
  return spans.map(([start, end], place) => {
    const row = words.map(() => 0);
    if (!words.length || (place === spans.length - 1 && start === end && end === length)) return row;
    const overlaps = words.map(([first, last]) => Math.max(0, Math.min(last, end) - Math.max(first, start)));
    const sum = overlaps.reduce((a, b) => a + b, 0);
    if (sum) return overlaps.map((overlap) => overlap / sum);
    // A token that shows no character of a word, such as a space, goes to the word that follows it.
    let nearest = -1;
    words.forEach(([first, last], word) => {
      if (last > start && (nearest < 0 || first < words[nearest][0])) nearest = word;
    });
    if (nearest < 0) words.forEach(([, last], word) => void ((nearest < 0 || last > words[nearest][1]) && (nearest = word)));
    row[nearest] = 1;
    return row;
  });
}

/**
 * Return the same attention between words: summed over the word looked at, averaged over the word that looks.
 * @param {Trace} trace
 * @returns {Trace}
 */
export function mergeWords(trace) {
  const { stored } = trace;
  if (!stored.words) return trace;
  const [sourceText, targetText] = [Array.from(stored.source), Array.from(stored.target)];
  const ofSource = shares(stored.source_spans, stored.words.source, sourceText.length);
  const ofTarget = shares(stored.target_spans, stored.words.target, targetText.length);
  const withBegin = [
    [1, ...stored.words.target.map(() => 0)],
    ...ofTarget.map((row) => [0, ...row]),
  ];
  /** @type {Record<Kind, [number[][], number, number[][], number]>} */
  const pairs = {
    weights: [ofTarget, stored.words.target.length, ofSource, stored.words.source.length],
    encoder_self: [ofSource, stored.words.source.length, ofSource, stored.words.source.length],
    decoder_self: [ofTarget, stored.words.target.length, withBegin, 1 + stored.words.target.length],
  };
  const kinds = /** @type {Record<Kind, Map<string, Layer>>} */ ({});
  for (const kind of KINDS) {
    kinds[kind] = new Map([...trace.kinds[kind]].map(([name, layer]) => [name, mergeLayer(layer, ...pairs[kind])]));
  }
  /** @type {(text: string[], spans: Span[]) => Side} */
  const side = (text, spans) => ({ labels: spans.map(([a, b]) => text.slice(a, b).join("")), spans });
  return {
    stored,
    source: side(sourceText, stored.words.source),
    target: side(targetText, stored.words.target),
    kinds,
  };
}

/**
 * @param {Layer} layer
 * @param {number[][]} ofRows
 * @param {number} rows
 * @param {number[][]} ofColumns
 * @param {number} columns
 * @returns {Layer}
 */
function mergeLayer(layer, ofRows, rows, ofColumns, columns) {
  const data = new Float32Array(layer.heads * rows * columns);
  const sums = Array.from({ length: rows }, (_, word) => ofRows.reduce((sum, row) => sum + row[word], 0));
  for (let head = 0; head < layer.heads; head++) {
    for (let row = 0; row < layer.rows; row++) {
      const line = new Float64Array(columns);
      for (let column = 0; column < layer.columns; column++) {
        const weight = layer.data[(head * layer.rows + row) * layer.columns + column];
        if (weight) ofColumns[column].forEach((share, word) => void (line[word] += weight * share));
      }
      ofRows[row].forEach((share, word) => {
        if (!share) return;
        const start = (head * rows + word) * columns;
        for (let column = 0; column < columns; column++) data[start + column] += (line[column] * share) / sums[word];
      });
    }
  }
  return { heads: layer.heads, rows, columns, data };
}

/**
 * Return one head of one layer, the mean of its heads for -1, the mean of all layers for the layer "".
 * @param {Map<string, Layer>} layers
 * @param {string} layer
 * @param {number} head
 * @returns {Matrix}
 */
export function matrixOf(layers, layer, head) {
  const chosen = layer === "" ? [...layers.values()] : [layers.get(layer)].filter((each) => each !== undefined);
  const [{ rows, columns }] = chosen;
  const size = rows * columns;
  const data = new Float32Array(size);
  for (const each of chosen) {
    const heads = head < 0 || head >= each.heads ? [...Array(each.heads).keys()] : [head];
    for (const one of heads) {
      for (let i = 0; i < size; i++) data[i] += each.data[one * size + i] / heads.length / chosen.length;
    }
  }
  return { rows, columns, data };
}

/**
 * Return how spread a map is, in bits: the mean over its rows, each divided by its sum. Rows of zeros do not count.
 * @param {Matrix} matrix
 * @returns {number}
 */
export function entropy({ rows, columns, data }) {
  let [total, counted] = [0, 0];
  for (let row = 0; row < rows; row++) {
    const weights = data.subarray(row * columns, (row + 1) * columns);
    const sum = weights.reduce((a, b) => a + b, 0);
    if (!(sum > 0)) continue;
    counted += 1;
    for (const weight of weights) if (weight > 0) total -= (weight / sum) * Math.log2(weight / sum);
  }
  return counted ? Math.max(0, total / counted) : 0;
}

/**
 * Return, for each cell, how many cells of its row are larger, plus 1.
 * @param {Matrix} matrix
 * @param {number} row
 * @returns {number[]}
 */
export function ranks({ columns, data }, row) {
  const weights = Array.from(data.subarray(row * columns, (row + 1) * columns));
  const sorted = [...weights].sort((a, b) => b - a);
  return weights.map((weight) => sorted.indexOf(weight) + 1);
}

/**
 * Return how dark each cell is, 0 to 1, by what full color stands for.
 * @param {Matrix} matrix
 * @param {State["scale"]} scale
 * @param {number} threshold
 * @returns {Float32Array}
 */
export function darkness({ rows, columns, data }, scale, threshold) {
  const shades = new Float32Array(data.length);
  const largest = (/** @type {Float32Array} */ part) => part.reduce((a, b) => Math.max(a, b), 0);
  const ofMap = scale === "map" ? largest(data) : 1;
  for (let row = 0; row < rows; row++) {
    const part = data.subarray(row * columns, (row + 1) * columns);
    const full = scale === "row" ? largest(part) : ofMap;
    part.forEach((weight, column) => {
      const shown = full > 0 && weight >= threshold ? weight / full : 0;
      shades[row * columns + column] = Math.min(1, Math.max(0, shown));
    });
  }
  return shades;
}

/** @type {Record<"light" | "dark", [number[], number[]]>} */
const ENDS = { light: [[255, 255, 255], [8, 48, 107]], dark: [[24, 26, 31], [125, 196, 255]] };

/**
 * Return the color of a shade, and black or white for what is written on it, whichever is read more easily.
 * @param {number} shade
 * @param {boolean} dark
 * @returns {{rgb: number[], ink: string, contrast: number}}
 */
export function colorOf(shade, dark) {
  const [low, high] = ENDS[dark ? "dark" : "light"];
  const rgb = low.map((from, i) => Math.round(from + (high[i] - from) * shade));
  const [r, g, b] = rgb.map((part) => {
    const share = part / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  const luminance = 0.2126 * r + 0.7152 * g + 0.0722 * b;
  const [onBlack, onWhite] = [(luminance + 0.05) / 0.05, 1.05 / (luminance + 0.05)];
  return { rgb, ink: onBlack >= onWhite ? "#000" : "#fff", contrast: Math.max(onBlack, onWhite) };
}

/**
 * Return where a key leads in a grid, or null where the key is not one of the grid's.
 * @param {{key: string, ctrlKey: boolean}} event
 * @param {[number, number]} at
 * @param {number} rows
 * @param {number} columns
 * @returns {[number, number] | null}
 */
export function moved({ key, ctrlKey }, [row, column], rows, columns) {
  /** @type {Record<string, [number, number]>} */
  const places = {
    ArrowUp: [row - 1, column],
    ArrowDown: [row + 1, column],
    ArrowLeft: [row, column - 1],
    ArrowRight: [row, column + 1],
    Home: [ctrlKey ? 0 : row, 0],
    End: [ctrlKey ? rows - 1 : row, columns - 1],
    PageUp: [row - PAGE, column],
    PageDown: [row + PAGE, column],
  };
  if (!Object.hasOwn(places, key)) return null;
  const [to, across] = places[key];
  return [Math.min(rows - 1, Math.max(0, to)), Math.min(columns - 1, Math.max(0, across))];
}

/**
 * Return a token as it is shown: on one line, invisible characters as �, a lone space as ␣.
 * @param {string} text
 * @returns {string}
 */
export function label(text) {
  const shown = text.replace(/[\p{Z}\t\n\r]/gu, " ").replace(/[\p{C}]/gu, (char) => (/[\u200c\u200d]/.test(char) ? char : "\ufffd"));
  return text && !shown.trim() ? "␣" : shown;
}

/**
 * Return the language that decides how the characters of a text look, or "" where nothing tells.
 * @param {string} text
 * @returns {string}
 */
export function languageOf(text) {
  if (/[\u3040-\u30ff]/.test(text)) return "ja";
  if (/[\uac00-\ud7af]/.test(text)) return "ko";
  return /\p{Script=Han}/u.test(text) ? "zh-Hans" : "";
}

/**
 * Return text as it may stand in XML.
 * @param {string} text
 * @returns {string}
 */
function escaped(text) {
  return label(text).replace(/[&<>"]/g, (char) => `&#${char.charCodeAt(0)};`);
}

/**
 * About how wide a text is, in em: a full-width character is 1, another about 0.6.
 * @param {string} text
 * @returns {number}
 */
function widthOf(text) {
  return Array.from(text).reduce((sum, char) => sum + (/[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe4f\uff00-\uff60\uffe0-\uffe6]|\p{Extended_Pictographic}/u.test(char) ? 1 : 0.6), 0);
}

/**
 * Return a matrix as an SVG picture in light colors.
 * @param {Matrix} matrix
 * @param {string[]} rows
 * @param {string[]} columns
 * @param {State} state
 * @param {string} title
 * @param {string} description
 * @returns {string}
 */
export function matrixSvg(matrix, rows, columns, state, title, description) {
  const [cell, em] = [26, 14];
  const left = Math.ceil(Math.max(0, ...rows.map((text) => widthOf(label(text)))) * em) + 14;
  const stacks = columns.map((text) => widthOf(label(text)) === Array.from(label(text)).length);
  const top = Math.ceil(Math.max(0, ...columns.map((text, i) => (stacks[i] ? em * 1.1 : em) * widthOf(label(text))))) + 14;
  const [width, height] = [left + cell * columns.length + 8, top + cell * rows.length + 8];
  const shades = darkness(matrix, state.scale, state.threshold);
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" font-family="sans-serif" font-size="${em}">`,
    `<title>${escaped(title)}</title><desc>${escaped(description)}</desc>`,
    `<rect width="100%" height="100%" fill="#fff"/>`,
  ];
  columns.forEach((text, column) => {
    const x = left + cell * (column + 0.5);
    if (stacks[column]) {
      const chars = Array.from(label(text));
      chars.forEach((char, i) => parts.push(`<text x="${x}" y="${top - 8 - (chars.length - 1 - i) * em * 1.1}" text-anchor="middle">${escaped(char)}</text>`));
    } else {
      parts.push(`<text transform="translate(${x + em * 0.35} ${top - 8}) rotate(-90)">${escaped(text)}</text>`);
    }
  });
  rows.forEach((text, row) => {
    const y = top + cell * row;
    parts.push(`<text x="${left - 8}" y="${y + cell / 2 + em * 0.35}" text-anchor="end">${escaped(text)}</text>`);
    columns.forEach((_, column) => {
      const { rgb, ink } = colorOf(shades[row * columns.length + column], false);
      const x = left + cell * column;
      parts.push(`<rect x="${x}" y="${y}" width="${cell - 1}" height="${cell - 1}" fill="rgb(${rgb})" stroke="#d5dae1" stroke-width=".5"/>`);
      const weight = matrix.data[row * columns.length + column];
      if (state.numbers && weight >= Math.max(0.005, state.threshold)) {
        parts.push(`<text x="${x + cell / 2 - 0.5}" y="${y + cell / 2 + 3.5}" font-size="10" fill="${ink}" text-anchor="middle">${short(weight)}</text>`);
      }
    });
  });
  return `${parts.join("\n")}\n</svg>\n`;
}

/**
 * Return a weight as it stands in a cell: .25, or 1.
 * @param {number} weight
 * @returns {string}
 */
function short(weight) {
  return weight.toFixed(2).replace(/^0/, "").replace(/^1.00$/, "1");
}

const STYLE = `
:host { display: block; color-scheme: light dark; --ink: #1b1f24; --paper: #fff; --line: #c3cad3; --mark: #a3480a;
  --accent: #0b57a4; --soft: #eef2f7; color: var(--ink); font: 15px/1.35 system-ui, sans-serif; max-width: 100%; }
:host([theme="dark"]) { color-scheme: dark; --ink: #e7eaee; --paper: #181a1f; --line: #4a515c; --mark: #ffb27a;
  --accent: #8ec7ff; --soft: #252932; }
:host([theme="light"]) { color-scheme: light; }
:host([hidden]) { display: none; }
.panel { background: var(--paper); color: var(--ink); }
.controls { display: flex; flex-wrap: wrap; gap: .35rem .8rem; align-items: center; border: 0; margin: 0 0 .5rem;
  padding: 0; min-width: 0; font-size: .85rem; }
.controls label { display: inline-flex; gap: .3rem; align-items: center; min-height: 24px; }
.controls [hidden] { display: none; }
select, button { font: inherit; color: var(--ink); background: var(--paper); border: 1px solid #7c8694;
  border-radius: 4px; padding: .1rem .35rem; min-height: 26px; max-width: 100%; }
button { cursor: pointer; }
input[type="range"] { width: 6rem; accent-color: var(--accent); }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 1px; }
.scroll { overflow: auto; max-width: 100%; max-height: 80vh; }
table { border-collapse: separate; border-spacing: 0; font-size: 14px; }
thead th { border-bottom: 1px solid var(--line); }
tbody th { border-right: 1px solid var(--line); }
th { font-weight: 400; background: var(--paper); color: var(--ink); }
thead th { position: sticky; top: 0; z-index: 2; vertical-align: bottom; padding: 2px 0 6px; min-width: 26px; }
thead th > span[dir] { display: block; width: fit-content; margin: 0 auto; writing-mode: vertical-rl;
  max-height: 11em; overflow: hidden; white-space: nowrap; line-height: 1.2; }
thead th > span.turned { transform: rotate(180deg); }
thead th > span.stacked { writing-mode: horizontal-tb; width: 1.05em; max-height: 11.1em; white-space: normal;
  word-break: break-all; line-height: 1.1; text-align: center; }
tbody th { position: sticky; left: 0; z-index: 1; text-align: right; padding: 0 8px 0 2px; white-space: nowrap;
  max-width: 9em; overflow: hidden; text-overflow: ellipsis; }
thead th:first-child { left: 0; z-index: 3; }
td { width: 26px; min-width: 26px; height: 26px; box-sizing: border-box; border: 1px solid var(--line); padding: 0;
  text-align: center; font-size: 11px; cursor: default; border-width: 0 1px 1px 0; }
td:focus-visible { outline: 3px solid var(--mark); outline-offset: -3px; }
/* Paint alone changes: bold text or another position would lay out the whole table again at each move. */
th[data-lit] { box-shadow: inset 0 0 0 2px var(--mark); background: var(--soft); }
th[data-differs] { color: var(--mark); font-weight: 700; }
th[data-differs]::before { content: "≠"; }
th[data-masked] span { text-decoration: line-through; }
.status { min-height: 1.5em; margin: .4rem 0 0; font-size: .9rem; overflow-wrap: anywhere; }
.unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
.lines { display: block; max-width: 100%; height: auto; }
.lines text { fill: var(--ink); font-size: 15px; }
.lines text[data-lit] { font-weight: 700; }
.lines path { fill: none; stroke: var(--accent); }
.lines path[data-dim] { stroke-opacity: .04; }
.thumbs { display: grid; gap: .6rem; }
.thumbs div { display: flex; flex-wrap: wrap; gap: .4rem; align-items: end; }
.thumbs p { margin: 0; width: 100%; font-size: .85rem; }
.thumbs button { display: grid; gap: 2px; justify-items: center; padding: 4px; font-size: .75rem; }
.thumbs canvas { width: 84px; height: 84px; image-rendering: pixelated; border: 1px solid var(--line); }
.panel { position: relative; }
@media (prefers-color-scheme: dark) {
  :host(:not([theme="light"])) { --ink: #e7eaee; --paper: #181a1f; --line: #4a515c; --mark: #ffb27a; --accent: #8ec7ff;
    --soft: #252932; }
}
@media print { .controls { display: none; } .scroll { max-height: none; overflow: visible; } }
`;

const Base = /** @type {typeof HTMLElement} */ (globalThis.HTMLElement ?? class {});

/**
 * Return an element with attributes and children.
 * @template {keyof HTMLElementTagNameMap} Name
 * @param {Name} name
 * @param {Record<string, string | number | boolean>} [attributes]
 * @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[Name]}
 */
function made(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== false) element.setAttribute(key, value === true ? "" : String(value));
  }
  element.append(...children);
  return element;
}

/**
 * The element. Attributes: `theme` (light or dark, else what the reader prefers), `lang`, `view`, `unit`, `scale`.
 *
 * It dispatches `attention-map-state` when what is shown changes, and `attention-map-move`, with the cell and the
 * characters of the source it stands for, when the cursor moves.
 */
export class AttentionMap extends Base {
  static observedAttributes = ["lang", "theme"];
  /** @type {Trace | null} */
  #tokens = null;
  /** @type {Trace | null} */
  #words = null;
  /** @type {string | null} */
  #fault = null;
  /** @type {State} */
  #state = { view: "matrix", kind: "weights", layer: "last", head: -1, unit: "words", scale: "fixed", threshold: 0, numbers: false };
  /** @type {[number, number]} */
  #cursor = [0, 0];
  /** @type {[number, number]} */
  #corner = [0, 0];
  /** @type {{rows: number[], masked: number[]}} */
  #marks = { rows: [], masked: [] };
  /** @type {HTMLElement | null} */
  #panel = null;
  /** @type {HTMLTableCellElement[][]} */
  #cells = [];
  /** @type {HTMLElement[][]} */
  #heads = [[], []];
  /** @type {HTMLElement[]} */
  #lit = [];
  /** @type {MediaQueryList | null} */
  #scheme = null;
  #redraw = () => this.#render();

  connectedCallback() {
    if (!this.shadowRoot) {
      const root = this.attachShadow({ mode: "open" });
      const sheet = new CSSStyleSheet();
      sheet.replaceSync(STYLE);
      root.adoptedStyleSheets = [sheet];
      this.#panel = made("div", { class: "panel" });
      root.append(this.#panel);
      for (const name of /** @type {const} */ (["view", "unit", "scale"])) {
        const value = this.getAttribute(name);
        if (value) this.#state = { ...this.#state, [name]: value };
      }
    }
    this.#scheme = matchMedia("(prefers-color-scheme: dark)");
    this.#scheme.addEventListener("change", this.#redraw);
    const data = this.querySelector('script[type="application/json"]');
    if (!this.#tokens && data?.textContent) this.trace = JSON.parse(data.textContent);
    else this.#render();
  }

  disconnectedCallback() {
    this.#scheme?.removeEventListener("change", this.#redraw);
  }

  attributeChangedCallback() {
    this.#render();
  }

  /** @param {StoredTrace | null} stored */
  set trace(stored) {
    this.#fault = this.#tokens = this.#words = null;
    this.#cursor = [0, 0];
    this.#corner = [0, 0];
    this.#marks = { rows: [], masked: [] };
    if (stored) {
      try {
        this.#tokens = readTrace(stored);
        this.#words = mergeWords(this.#tokens);
        this.state = this.#state;
        return;
      } catch (error) {
        this.#fault = error instanceof Error ? error.message : String(error);
      }
    }
    this.#render();
  }

  /** @returns {StoredTrace | null} */
  get trace() {
    return this.#tokens?.stored ?? null;
  }

  /**
   * What is shown. Set, it may have some of the fields only, and what this trace does not have falls back.
   * @param {Partial<State>} asked
   */
  set state(asked) {
    const state = /** @type {State} */ ({ ...this.#state, ...asked });
    if (this.#tokens) {
      if (!this.#tokens.kinds[state.kind]?.size) state.kind = "weights";
      const layers = this.#tokens.kinds[state.kind];
      if (state.layer !== "" && !layers.has(state.layer)) state.layer = [...layers.keys()][layers.size - 1];
      const heads = Math.max(...[...layers].filter(([name]) => state.layer === "" || name === state.layer).map(([, layer]) => layer.heads));
      if (!(state.head < heads)) state.head = -1;
      if (!this.#tokens.stored.words) state.unit = "tokens";
    }
    this.#state = state;
    this.#render();
  }

  /**
   * Change some of what is shown.
   * @param {Partial<State>} change
   */
  show(change) {
    this.state = /** @type {State} */ ({ ...this.#state, ...change });
  }

  /** @returns {State} */
  get state() {
    return { ...this.#state };
  }

  /**
   * Mark target tokens that differ from another translation, and source tokens that are masked.
   * @param {{rows?: number[], masked?: number[]}} marks Numbers of tokens, from 0.
   */
  set marks({ rows = [], masked = [] }) {
    this.#marks = { rows, masked };
    this.#render();
  }

  /**
   * Light up the words of some characters: columns of the source, as another map's cursor does, or rows of the target.
   * @param {Span | null} span
   * @param {"source" | "target"} of
   */
  point(span, of = "source") {
    if (!this.#tokens || this.#state.kind !== "weights") return;
    const axis = of === "source" ? 1 : 0;
    const { rows, columns } = this.#axes();
    this.#heads[axis].forEach((head, i) => {
      const [start, end] = (axis ? columns : rows).spans[this.#corner[axis] + i] ?? [0, 0];
      const same = span !== null && (start < span[1] && end > span[0] || (start === span[0] && end === span[1]));
      head.toggleAttribute("data-lit", same);
    });
    this.#lit = this.#heads.flat().filter((head) => head.hasAttribute("data-lit"));
  }

  /** @returns {string} The map as SVG: the matrix, in light colors. */
  svg() {
    const { rows, columns, matrix } = this.#axes();
    return matrixSvg(matrix, rows.labels, columns.labels, this.#state, this.#title(), this.#t().description);
  }

  /** @returns {Promise<Blob>} The same picture as PNG, twice as large. */
  async png() {
    const image = new Image();
    image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(this.svg())}`;
    await image.decode();
    const canvas = made("canvas", { width: 2 * image.width, height: 2 * image.height });
    const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    context.drawImage(image, 0, 0, canvas.width, canvas.height);
    return new Promise((resolve, reject) => canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("no picture")))));
  }

  /** @returns {string} The trace, as `AttentionTrace.load` reads it. */
  json() {
    const trace = /** @type {Trace} */ (this.#tokens);
    /** @type {(kind: Kind) => Record<string, number[][][]>} */
    const nested = (kind) =>
      Object.fromEntries(
        [...trace.kinds[kind]].map(([name, { heads, rows, columns, data }]) => [
          name,
          Array.from({ length: heads }, (_, h) =>
            Array.from({ length: rows }, (__, r) => Array.from(data.subarray((h * rows + r) * columns, (h * rows + r + 1) * columns))),
          ),
        ]),
      );
    const { words, name, ...fields } = trace.stored;
    return JSON.stringify({ schema: 3, candidates: [], score: null, ...fields, weights: nested("weights"), encoder_self: nested("encoder_self"), decoder_self: nested("decoder_self") });
  }

  #t() {
    const lang = this.getAttribute("lang") ?? this.closest("[lang]")?.getAttribute("lang") ?? "en";
    return lang.startsWith("zh") ? TEXTS.zh : TEXTS.en;
  }

  #dark() {
    const theme = this.getAttribute("theme");
    return theme ? theme === "dark" : (this.#scheme?.matches ?? false);
  }

  #trace() {
    return /** @type {Trace} */ (this.#state.unit === "words" ? this.#words : this.#tokens);
  }

  /** @returns {{rows: Side, columns: Side, matrix: Matrix}} */
  #axes() {
    const { source, target, kinds } = this.#trace();
    const { kind, layer, head } = this.#state;
    const rows = kind === "encoder_self" ? source : target;
    const begin = { labels: [BEGIN, ...target.labels], spans: /** @type {Span[]} */ ([[0, 0], ...target.spans]) };
    const columns = kind === "decoder_self" ? begin : source;
    return { rows, columns, matrix: matrixOf(kinds[kind], layer, head) };
  }

  #title() {
    const { stored } = this.#trace();
    const name = stored.name ? `${stored.name}: ` : "";
    return `${name}${stored.source} → ${stored.target}`;
  }

  /** @param {Partial<State>} change */
  #choose(change) {
    const controls = [...(this.#panel?.querySelectorAll("select, input, button") ?? [])];
    const focused = controls.indexOf(/** @type {Element} */ (this.shadowRoot?.activeElement));
    if (change.kind || change.unit) this.#cursor = this.#corner = [0, 0];
    this.show(change);
    const after = this.#panel?.querySelectorAll("select, input, button")[focused];
    if (after instanceof HTMLElement) after.focus();
    this.dispatchEvent(new CustomEvent("attention-map-state", { bubbles: true, detail: this.state }));
  }

  #render() {
    if (!this.#panel) return;
    if (this.#fault !== null) {
      this.#panel.replaceChildren(made("p", { role: "alert" }, this.#t().bad(this.#fault)));
      return;
    }
    if (!this.#tokens) {
      this.#panel.replaceChildren();
      return;
    }
    const { view } = this.#state;
    /** @type {Element[]} */
    const parts = [this.#controls()];
    if (view === "heads") {
      parts.push(this.#thumbnails());
    } else {
      const status = made("p", { class: "status" });
      const live = made("div", { class: "unseen", "aria-live": "polite" });
      const grid = this.#grid(status, live);
      if (view === "lines") {
        // The grid stays for the keyboard and for screen readers. The lines show where its cursor is.
        grid.classList.add("unseen");
        parts.push(this.#lines());
      }
      parts.push(grid, status, live);
    }
    this.#panel.replaceChildren(...parts);
  }

  #controls() {
    const t = this.#t();
    const state = this.#state;
    const { kinds, stored } = /** @type {Trace} */ (this.#tokens);
    /** @type {(name: keyof State, text: string, options: [string, string][], hidden?: boolean) => HTMLElement} */
    const select = (name, text, options, hidden = false) => {
      const field = made("select", { name });
      for (const [value, shown] of options) field.append(made("option", { value, selected: String(state[name]) === value }, shown));
      field.addEventListener("change", () => {
        this.#choose({ [name]: name === "head" ? Number(field.value) : field.value });
      });
      return made("label", { hidden }, text, field);
    };
    const layers = [...kinds[state.kind].keys()];
    const heads = Math.max(...[...kinds[state.kind].values()].map((layer) => layer.heads));
    const threshold = made("input", { type: "range", min: 0, max: 0.5, step: 0.01, value: state.threshold });
    const output = made("output", {}, state.threshold.toFixed(2));
    threshold.addEventListener("input", () => {
      output.textContent = Number(threshold.value).toFixed(2);
    });
    threshold.addEventListener("change", () => this.#choose({ threshold: Number(threshold.value) }));
    const numbers = made("input", { type: "checkbox", checked: state.numbers });
    numbers.addEventListener("change", () => this.#choose({ numbers: numbers.checked }));
    const inMatrix = state.view === "matrix";
    const present = KINDS.filter((kind) => kinds[kind].size);
    return made(
      "div",
      { class: "controls", role: "group", "aria-label": t.controls },
      select("view", t.view, [["matrix", t.matrix], ["lines", t.lines], ["heads", t.heads]]),
      select("kind", t.kind, present.map((kind) => [kind, t[kind]]), present.length < 2),
      select("layer", t.layer, [...layers.map((name) => /** @type {[string, string]} */ ([name, name])), ["", t.mean]], layers.length < 2 || state.view === "heads"),
      select("head", t.head, [["-1", t.mean], ...Array.from({ length: heads }, (_, i) => /** @type {[string, string]} */ ([String(i), String(i)]))], heads < 2 || state.view === "heads"),
      select("unit", t.unit, [["words", t.words], ["tokens", t.tokens]], !stored.words),
      select("scale", t.scale, [["fixed", t.fixed], ["row", t.row], ["map", t.map]], state.view === "lines"),
      made("label", {}, t.threshold, threshold, output),
      made("label", { hidden: !inMatrix }, numbers, t.numbers),
      made("span", { role: "group", "aria-label": t.save }, ...["PNG", "SVG", "JSON"].map((format) => this.#saver(format))),
    );
  }

  /** @param {string} format */
  #saver(format) {
    const button = made("button", { type: "button", "aria-label": `${this.#t().save} ${format}` }, format);
    button.addEventListener("click", async () => {
      const content = format === "PNG" ? await this.png() : new Blob([format === "SVG" ? this.svg() : this.json()], { type: format === "SVG" ? "image/svg+xml" : "application/json" });
      const address = URL.createObjectURL(content);
      const link = made("a", { href: address, download: `attention.${format.toLowerCase()}` });
      link.click();
      setTimeout(() => URL.revokeObjectURL(address), 10000);
    });
    return button;
  }

  /**
   * @param {HTMLElement} status
   * @param {HTMLElement} live
   * @returns {HTMLElement}
   */
  #grid(status, live) {
    const t = this.#t();
    const { rows, columns, matrix } = this.#axes();
    if (!matrix.data.length) return made("p", {}, t.nothing);
    const state = this.#state;
    const [top, left] = this.#corner;
    const [bottom, right] = [Math.min(matrix.rows, top + WINDOW), Math.min(matrix.columns, left + WINDOW)];
    const shades = darkness(matrix, state.scale, state.threshold);
    const dark = this.#dark();
    const [rowNames, columnNames] = [rows.labels.map(label), columns.labels.map(label)];
    const [rowLanguage, columnLanguage] = [languageOf(rowNames.join("")), languageOf(columnNames.join(""))];
    const cellName = state.kind === "weights" ? t.cell : t.cell_self;
    const table = made("table", {
      role: "grid",
      "aria-label": `${t.attention}: ${label(this.#title())}`,
      "aria-readonly": "true",
      "aria-rowcount": matrix.rows + 1,
      "aria-colcount": matrix.columns + 1,
    });
    const masked = new Set(this.#marked(columns, this.#marks.masked, "source"));
    const differs = new Set(this.#marked(rows, this.#marks.rows, "target"));
    this.#heads = [[], []];
    this.#cells = [];
    const head = made("tr", { role: "row", "aria-rowindex": 1 }, made("th", { role: "columnheader", "aria-colindex": 1 }, made("span", { class: "unseen" }, t.attention)));
    for (let column = left; column < right; column++) {
      const name = columnNames[column];
      const turned = widthOf(name) !== Array.from(name).length;
      const cell = made("th", { role: "columnheader", "aria-colindex": column + 2, lang: columnLanguage || false, "data-masked": masked.has(column) }, made("span", { dir: "auto", class: turned ? "turned" : "stacked", title: name }, name));
      this.#heads[1].push(cell);
      head.append(cell);
    }
    const body = made("tbody", { role: "rowgroup" });
    for (let row = top; row < bottom; row++) {
      const line = made("tr", { role: "row", "aria-rowindex": row + 2 });
      const name = made("th", { role: "rowheader", "aria-colindex": 1, lang: rowLanguage || false, dir: "auto", title: rowNames[row], "data-differs": differs.has(row) }, rowNames[row]);
      this.#heads[0].push(name);
      line.append(name);
      const places = ranks(matrix, row);
      /** @type {HTMLTableCellElement[]} */
      const cells = [];
      for (let column = left; column < right; column++) {
        const place = row * matrix.columns + column;
        const weight = matrix.data[place];
        const cell = document.createElement("td");
        cell.setAttribute("role", "gridcell");
        cell.setAttribute("aria-colindex", String(column + 2));
        cell.setAttribute("aria-label", cellName([rowNames[row], columnNames[column], weight.toFixed(2), String(places[column])]));
        cell.tabIndex = -1;
        const { rgb, ink } = colorOf(shades[place], dark);
        cell.style.backgroundColor = `rgb(${rgb})`;
        if (state.numbers) {
          cell.style.color = ink;
          if (weight >= Math.max(0.005, state.threshold)) cell.textContent = short(weight);
        }
        cells.push(cell);
      }
      line.append(...cells);
      this.#cells.push(cells);
      body.append(line);
    }
    table.append(made("thead", { role: "rowgroup" }, head), body);
    const at = this.#cellAt(this.#cursor);
    if (at) at.tabIndex = 0;
    /** @type {(event: Event) => [number, number] | null} */
    const placeOf = (event) => {
      const cell = /** @type {Element} */ (event.target).closest("td");
      if (!cell) return null;
      const line = /** @type {HTMLTableRowElement} */ (cell.parentElement);
      return [Number(line.getAttribute("aria-rowindex")) - 2, Number(cell.getAttribute("aria-colindex")) - 2];
    };
    /** @type {(place: [number, number]) => void} */
    const show = ([row, column]) => {
      status.textContent = this.#cellAt([row, column])?.getAttribute("aria-label") ?? "";
      this.#light(row, column);
    };
    /** @type {(place: [number, number]) => void} */
    const go = (place) => {
      const [before] = this.#cursor;
      const old = this.#cellAt(this.#cursor);
      this.#cursor = place;
      if (!this.#cellAt(place)) {
        this.#corner = /** @type {[number, number]} */ (place.map((at, axis) => Math.max(0, Math.min(at - WINDOW / 2, (axis ? matrix.columns : matrix.rows) - WINDOW))));
        this.#render();
        this.#cellAt(place)?.focus();
        return;
      }
      if (old) old.tabIndex = -1;
      const cell = /** @type {HTMLElement} */ (this.#cellAt(place));
      cell.tabIndex = 0;
      cell.focus();
      if (place[0] !== before) {
        const weights = matrix.data.subarray(place[0] * matrix.columns, (place[0] + 1) * matrix.columns);
        const best = weights.indexOf(Math.max(...weights));
        live.textContent = t.strongest([rowNames[place[0]], columnNames[best], weights[best].toFixed(2)]);
      }
    };
    table.addEventListener("keydown", (event) => {
      const place = moved(event, this.#cursor, matrix.rows, matrix.columns);
      if (!place || event.altKey || event.metaKey) return;
      event.preventDefault();
      go(place);
    });
    table.addEventListener("focusin", (event) => {
      const place = placeOf(event);
      if (!place) return;
      show(place);
      const span = columns.spans[place[1]] ?? null;
      this.dispatchEvent(new CustomEvent("attention-map-move", { bubbles: true, detail: { row: place[0], column: place[1], span: state.kind === "decoder_self" ? null : span } }));
    });
    table.addEventListener("mousedown", (event) => {
      const place = placeOf(event);
      if (!place) return;
      event.preventDefault();
      go(place);
    });
    table.addEventListener("mouseover", (event) => {
      const place = placeOf(event);
      if (place) show(place);
    });
    table.addEventListener("mouseleave", () => {
      if (this.#panel?.contains(this.shadowRoot?.activeElement ?? null)) show(this.#cursor);
      else this.#light(-1, -1);
    });
    const scroll = made("div", { class: "scroll" }, table);
    if (matrix.rows <= WINDOW && matrix.columns <= WINDOW) return scroll;
    return made("div", {}, made("p", {}, t.part([top + 1, bottom, matrix.rows, left + 1, right, matrix.columns])), scroll);
  }

  /**
   * Return the rows or columns that hold marked tokens: themselves, or the words with their characters.
   * @param {Side} side
   * @param {number[]} tokens
   * @param {"source" | "target"} of
   * @returns {number[]}
   */
  #marked(side, tokens, of) {
    const { stored } = this.#trace();
    if (this.#state.unit === "tokens") return tokens;
    const spans = tokens.map((token) => stored[of === "source" ? "source_spans" : "target_spans"][token] ?? [0, 0]);
    return side.spans.flatMap(([start, end], i) => (spans.some(([first, last]) => first < end && last > start) ? [i] : []));
  }

  /** @param {[number, number]} place */
  #cellAt([row, column]) {
    return this.#cells[row - this.#corner[0]]?.[column - this.#corner[1]];
  }

  /**
   * @param {number} row
   * @param {number} column
   */
  #light(row, column) {
    for (const head of this.#lit) head.removeAttribute("data-lit");
    this.#lit = [this.#heads[0][row - this.#corner[0]], this.#heads[1][column - this.#corner[1]]].filter(Boolean);
    for (const head of this.#lit) head.setAttribute("data-lit", "");
    if (this.#state.view !== "lines") return;
    this.#panel?.querySelectorAll(".lines [data-row], .lines [data-column]").forEach((part) => {
      const [ofRow, ofColumn] = [part.getAttribute("data-row"), part.getAttribute("data-column")];
      const isLine = ofRow !== null && ofColumn !== null;
      if (isLine) part.toggleAttribute("data-dim", row >= 0 && ofRow !== String(row));
      else part.toggleAttribute("data-lit", ofRow === String(row) || ofColumn === String(column));
    });
  }

  #lines() {
    const { rows, columns, matrix } = this.#axes();
    const { threshold } = this.#state;
    const fitting = (/** @type {string} */ text) => {
      const chars = Array.from(label(text));
      while (widthOf(chars.join("")) > 10) chars.pop();
      return chars.length < Array.from(label(text)).length ? `${chars.join("")}…` : chars.join("");
    };
    // As wide as its words need, so that they stay readable on a narrow page.
    const widest = (/** @type {Side} */ side) => 15 * Math.max(1, ...side.labels.map((text) => widthOf(fitting(text)))) + 6;
    const [step, gap, left] = [24, 110, widest(columns)];
    const width = left + gap + widest(rows);
    const height = step * Math.max(matrix.rows, matrix.columns) + 8;
    const namespace = "http://www.w3.org/2000/svg";
    const picture = document.createElementNS(namespace, "svg");
    picture.setAttribute("viewBox", `0 0 ${width} ${height}`);
    picture.setAttribute("width", String(width));
    picture.setAttribute("class", "lines");
    picture.setAttribute("aria-hidden", "true");
    /** @type {(name: string, attributes: Record<string, string | number>, text?: string) => void} */
    const add = (name, attributes, text = "") => {
      const part = document.createElementNS(namespace, name);
      for (const [key, value] of Object.entries(attributes)) part.setAttribute(key, String(value));
      part.textContent = text;
      picture.append(part);
    };
    const y = (/** @type {number} */ place) => step * place + step / 2 + 4;
    for (let row = 0; row < matrix.rows; row++) {
      for (let column = 0; column < matrix.columns; column++) {
        const weight = matrix.data[row * matrix.columns + column];
        if (weight < Math.max(threshold, LINE_FLOOR)) continue;
        const [from, to] = [left + 6, left + gap - 6];
        const middle = (from + to) / 2;
        add("path", {
          d: `M${from} ${y(column)}C${middle} ${y(column)} ${middle} ${y(row)} ${to} ${y(row)}`,
          "stroke-width": (1 + 3 * Math.min(1, weight)).toFixed(2),
          "stroke-opacity": Math.min(1, 0.1 + 0.9 * weight).toFixed(2),
          "data-row": row,
          "data-column": column,
        });
      }
    }
    columns.labels.forEach((text, i) => add("text", { x: left, y: y(i) + 5, "text-anchor": "end", "data-column": i }, fitting(text)));
    rows.labels.forEach((text, i) => add("text", { x: left + gap, y: y(i) + 5, "data-row": i }, fitting(text)));
    picture.addEventListener("mouseover", (event) => {
      const row = /** @type {Element} */ (event.target).getAttribute("data-row");
      this.#light(row === null ? -1 : Number(row), -1);
    });
    picture.addEventListener("mouseleave", () => this.#light(-1, -1));
    return picture;
  }

  #thumbnails() {
    const t = this.#t();
    const layers = this.#trace().kinds[this.#state.kind];
    const all = made("div", { class: "thumbs" });
    for (const [name, layer] of layers) {
      const row = made("div", { role: "group", "aria-label": name }, made("p", {}, name));
      for (let head = layer.heads > 1 ? -1 : 0; head < layer.heads; head++) {
        const matrix = matrixOf(layers, name, head);
        const bits = entropy(matrix).toFixed(2);
        const of = head < 0 ? t.mean : t.head_number(head);
        const button = made("button", { type: "button" }, this.#picture(matrix), made("span", { class: "unseen" }, `${name}, `), made("span", {}, of), made("span", {}, t.entropy(bits)));
        button.addEventListener("click", () => {
          this.#choose({ view: "matrix", layer: name, head: layer.heads > 1 ? head : -1 });
          this.#panel?.querySelector("select")?.focus();
        });
        row.append(button);
      }
      all.append(row);
    }
    return all;
  }

  /** @param {Matrix} matrix */
  #picture(matrix) {
    const canvas = made("canvas", { width: Math.max(1, matrix.columns), height: Math.max(1, matrix.rows) });
    const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    const image = context.createImageData(canvas.width, canvas.height);
    const dark = this.#dark();
    darkness(matrix, this.#state.scale, this.#state.threshold).forEach((shade, i) => {
      image.data.set([...colorOf(shade, dark).rgb, 255], 4 * i);
    });
    context.putImageData(image, 0, 0);
    return canvas;
  }
}

if (globalThis.customElements && !customElements.get("attention-map")) customElements.define("attention-map", AttentionMap);
