// What the element computes, without a page: `node --test tests/view/attention-map.test.mjs`.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { pathToFileURL } from "node:url";

const address = pathToFileURL(new URL("../../src/attentio/view/static/attention-map.js", import.meta.url).pathname);
const { colorOf, darkness, entropy, halfToNumber, label, languageOf, matrixOf, matrixSvg, mergeWords, moved, ranks, readTrace, shares, tokenLabels, unpackHalf } = await import(address.href);

const matrix = (rows) => ({ rows: rows.length, columns: rows[0].length, data: Float32Array.from(rows.flat()) });
const close = (found, wanted) => {
  assert.equal(found.length, wanted.length);
  found.forEach((value, i) => assert.ok(Math.abs(value - wanted[i]) < 1e-6, `${found} is not ${wanted}`));
};
const TRACE = {
  source: "don't go",
  target: "aller vite",
  source_tokens: ["▁do", "n't", "▁go", "</s>"],
  target_tokens: ["▁al", "ler", "▁vite", "</s>"],
  source_spans: [[0, 2], [2, 5], [5, 8], [8, 8]],
  target_spans: [[0, 2], [2, 5], [5, 10], [10, 10]],
  weights: { cross: [[[0.1, 0.2, 0.3, 0.4], [0.5, 0.1, 0.2, 0.2], [0.0, 0.1, 0.8, 0.1], [0.0, 0.0, 0.0, 1.0]]] },
  words: { source: [[0, 5], [6, 8]], target: [[0, 5], [6, 10]] },
};

test("half-precision floats, by hand", () => {
  for (const [bits, value] of [[0x3c00, 1], [0x3800, 0.5], [0x0000, 0], [0x0001, 2 ** -24], [0xc000, -2], [0x7bff, 65504]]) {
    assert.equal(halfToNumber(bits), value);
  }
  assert.deepEqual([...unpackHalf(Buffer.from([0, 0x3c, 0, 0x38]).toString("base64"))], [1, 0.5]);
});

test("words: summed over what is looked at, averaged over what looks", () => {
  const words = mergeWords(readTrace(TRACE));
  assert.deepEqual(words.source.labels, ["don't", "go"]);
  assert.deepEqual(words.target.labels, ["aller", "vite"]);
  close([...matrixOf(words.kinds.weights, "cross", 0).data], [0.45, 0.25, 0.1, 0.8]);
});

test("a token over two words is shared by its characters, and a space goes to the word that follows", () => {
  assert.deepEqual(shares([[0, 3], [3, 4]], [[0, 1], [1, 3], [3, 4]], 4), [[1 / 3, 2 / 3, 0], [0, 0, 1]]);
  assert.deepEqual(shares([[1, 2], [3, 3]], [[0, 1], [2, 3]], 3), [[0, 1], [0, 0]]);
  assert.deepEqual(shares([[3, 4], [4, 4]], [[0, 1], [2, 3]], 4), [[0, 1], [0, 0]]);
});

test("one head, the mean of heads, the mean of layers", () => {
  const stored = { ...TRACE, words: undefined, source_tokens: ["a"], target_tokens: ["b"], weights: { x: [[[1]], [[0]]], y: [[[1]]] } };
  const { weights } = readTrace(stored).kinds;
  assert.equal(matrixOf(weights, "x", 1).data[0], 0);
  assert.equal(matrixOf(weights, "x", -1).data[0], 0.5);
  assert.equal(matrixOf(weights, "", -1).data[0], 0.75);
});

test("what contradicts itself is refused", () => {
  assert.throws(() => readTrace({ ...TRACE, weights: { cross: [[[1, 2]]] } }), /2 weights/);
  assert.throws(() => readTrace({ ...TRACE, weights: {} }), /no layer/);
});

test("entropy in bits: all alike, one alone, rows of zeros left out", () => {
  assert.equal(entropy(matrix([[0.25, 0.25, 0.25, 0.25], [0, 0, 0, 0]])), 2);
  assert.equal(entropy(matrix([[0, 1, 0, 0]])), 0);
  assert.equal(entropy(matrix([[0.4, 0.4, 0, 0]])), 1);
});

test("ranks count the larger ones", () => {
  assert.deepEqual(ranks(matrix([[0, 0, 0], [0.2, 0.7, 0.2]]), 1), [2, 1, 2]);
});

test("full color is 1, the largest of the row, the largest of the map", () => {
  const weights = matrix([[0.1, 0.2], [0.4, 0.0]]);
  close([...darkness(weights, "fixed", 0)], [0.1, 0.2, 0.4, 0]);
  close([...darkness(weights, "row", 0)], [0.5, 1, 1, 0]);
  close([...darkness(weights, "map", 0)], [0.25, 0.5, 1, 0]);
  close([...darkness(weights, "fixed", 0.15)], [0, 0.2, 0.4, 0]);
  close([...darkness(matrix([[-2, 4]]), "map", 0)], [0, 1]);
});

test("numbers are readable on every shade, light and dark", () => {
  for (const dark of [false, true]) {
    for (let step = 0; step <= 100; step++) assert.ok(colorOf(step / 100, dark).contrast >= 4.5);
  }
  assert.deepEqual(colorOf(0, false).rgb, [255, 255, 255]);
  assert.deepEqual([colorOf(0, false).ink, colorOf(1, false).ink], ["#000", "#fff"]);
  assert.deepEqual([colorOf(0, true).ink, colorOf(1, true).ink], ["#fff", "#000"]);
});

test("the keys of a grid", () => {
  const go = (key, at, ctrlKey = false) => moved({ key, ctrlKey }, at, 30, 7);
  assert.deepEqual(go("ArrowRight", [3, 6]), [3, 6]);
  assert.deepEqual(go("ArrowDown", [3, 6]), [4, 6]);
  assert.deepEqual(go("Home", [3, 6]), [3, 0]);
  assert.deepEqual(go("End", [3, 2], true), [29, 6]);
  assert.deepEqual(go("Home", [3, 2], true), [0, 0]);
  assert.deepEqual(go("PageDown", [25, 2]), [29, 2]);
  assert.deepEqual(go("PageUp", [25, 2]), [15, 2]);
  assert.equal(go("x", [0, 0]), null);
  assert.equal(go("toString", [0, 0]), null);
});

test("labels stay on a line, and hide what steers", () => {
  assert.equal(label("a\u0000b\u202ec\nd"), "a�b�c d");
  assert.equal(label("\u00a0"), "␣");
  assert.equal(label("\ud800x"), "�x");
  assert.equal(label("👩🏽\u200d💻"), "👩🏽\u200d💻");
  assert.deepEqual(["我们", "これは我", "한국", "cat"].map(languageOf), ["zh-Hans", "ja", "ko", ""]);
});

test("a placeholder is shown as what it stands for", () => {
  const spans = [[0, 1], [1, 4], [4, 5], [5, 5]];
  assert.deepEqual(tokenLabels(["😀", "\ue003", "▁a", "</s>"], spans, "😀12%a"), ["😀", "12%", "▁a", "</s>"]);
});

test("a picture holds its labels as text and no markup of a sentence", () => {
  const state = { scale: "fixed", threshold: 0, numbers: true };
  const svg = matrixSvg(matrix([[0.5, 0]]), ["<b>"], ["猫", 'a&"'], state, "<t>", "d");
  assert.ok(svg.includes("&#60;b&#62;") && svg.includes("猫") && svg.includes(">.50</text>"));
  assert.ok(!svg.includes("<b>") && !svg.includes("<t>"));
});

test("what Python makes of words, this makes of them, too", { skip: !process.env.TRACES }, () => {
  for (const [stored, wanted] of JSON.parse(readFileSync(process.env.TRACES, "utf8"))) {
    const words = mergeWords(readTrace(stored));
    assert.deepEqual(words.source.labels, wanted.source_tokens);
    assert.deepEqual(words.target.labels, wanted.target_tokens);
    for (const kind of ["weights", "encoder_self", "decoder_self"]) {
      for (const [name, layer] of words.kinds[kind]) close([...layer.data], wanted[kind][name].flat(2));
    }
  }
});
