// What the program of the page computes, by hand: `node --test tests/export/`.
import assert from "node:assert/strict";
import { test } from "node:test";

const load = (name) => import(new URL(`../../src/attentio/export/static/${name}`, import.meta.url).href);
const { NORMALIZERS, SCORES, WINDOWS } = await load("attention.js");
const { Weights, layerNorm, logSumExp, plainKernel } = await load("product.js");
const { assemble, leb128, moduleBytes, vectorKernel } = await load("wasm.js");
const { erf } = await load("transformer.js");
const { fromUtf8, lowered } = await load("tokenizer.js");
const { likeliest, NoLoops } = await load("search.js");

const close = (found, wanted, within = 1e-6) => {
  assert.equal(found.length, wanted.length);
  wanted.forEach((value, i) => assert.ok(Math.abs(found[i] - value) < within, `${[...found]} is not ${wanted}`));
};
const row = (...values) => Float64Array.from(values);
const none = { heads: 1, query: 2, key: 2 };

test("rows of 8 bits have a scale each, and rows are padded to four", () => {
  const bytes = new ArrayBuffer(16);
  new Int8Array(bytes, 0, 6).set([1, 2, 3, -1, -2, -3]);
  new Float32Array(bytes, 8, 2).set([0.5, 2]);
  const weights = new Weights([{ name: "a.weight", shape: [2, 3], at: 0, scales: 8 }], bytes);
  close(weights.apply(weights.linear("a"), [1, 1, 1]), [3, -12]);
  close(weights.apply(weights.linear("a"), [0, 0, 1], 1, 1), [-6]);
  close([...weights.numbers("a.weight")], [0.5, 1, 1.5, -2, -4, -6]);
  assert.throws(() => weights.matrix("b"), /has no b/);
});

test("softmax, sparsemax, entmax: masked is exactly 0, a row that sees nothing is all 0", () => {
  const mask = Uint8Array.from([1, 1, 0]);
  close(NORMALIZERS.softmax({})(row(0, Math.log(3), 50), mask), [0.25, 0.75, 0]);
  close(NORMALIZERS.sparsemax({})(row(0, 0.5, 50), mask), [0.25, 0.75, 0]);
  close(NORMALIZERS.sparsemax({})(row(0, 2, 50), mask), [0, 1, 0]);
  close(NORMALIZERS.entmax15({})(row(1, 1, 50), mask), [0.5, 0.5, 0]);
  close(NORMALIZERS.entmax({ alpha: 2 })(row(0, 0.5), null), [0.25, 0.75]);
  close(NORMALIZERS.entmax({ alpha: 1.9999 })(row(0, 0.5), null), [0.25, 0.75], 1e-4);
  close(NORMALIZERS.hard_marginal({})(row(1, 3, 3), null), [0, 1, 0]);
  for (const name of ["softmax", "sparsemax", "entmax15", "hard_reinforce"]) {
    close(NORMALIZERS[name]({})(row(1, 2), Uint8Array.from([0, 0])), [0, 0]);
  }
});

test("windows around the position", () => {
  const seen = (name, options, length, position) => WINDOWS[name](null, "", options, none)(null, length, position).mask;
  assert.deepEqual([...seen("causal", {}, 4, 1)], [1, 1, 0, 0]);
  assert.equal(seen("causal", {}, 2, 1), null);
  assert.deepEqual([...seen("sliding", { radius: 1 }, 5, 3)], [0, 0, 1, 1, 1]);
  assert.deepEqual([...seen("local-m", { radius: 1 }, 4, 9)], [0, 0, 1, 1]);
});

test("scores by hand", () => {
  const [q, k] = [Float32Array.from([1, 2]), Float32Array.from([3, 4])];
  close(SCORES.dot(null, "", {}, none).compare(q, [k, q], null), [11, 5]);
  close(SCORES.scaled_dot(null, "", {}, none).compare(q, [k], null), [11 / Math.sqrt(2)]);
});

test("bytes that are no character become U+FFFD, one each", () => {
  assert.equal(fromUtf8([0xe4, 0xbd, 0xa0, 0x61]), "你a");
  assert.equal(fromUtf8([0xe4, 0xbd]), "\ufffd\ufffd");
  assert.equal(fromUtf8([0xc0, 0x80, 0xf0, 0x9f, 0x98, 0x80]), "\ufffd\ufffd😀");
  assert.equal(fromUtf8([0xed, 0xa0, 0x80]), "\ufffd\ufffd\ufffd");
});

test("lower case is as long as the text", () => {
  assert.equal(lowered("İSTANBUL ΣΑΣ"), "İstanbul σασ");
});

test("the likeliest tokens, without what is never written", () => {
  assert.deepEqual(likeliest(Float32Array.from([-Infinity, 2, 5, 5, 1]), 3), [2, 3, 1]);
  assert.deepEqual(likeliest(Float32Array.from([1, 2, 3]), 2, (token) => token !== 2), [1, 0]);
  close([logSumExp(Float32Array.from([-Infinity, 0, 0]))], [Math.log(2)]);
});

test("a token three times is enough, of those without letters eight", () => {
  const loops = new NoLoops(["a", "!", "b"]);
  const after = (...tokens) => [...new Set(loops.banned(tokens.reduce((state, token) => loops.advance(state, token), loops.start())))];
  assert.deepEqual(after(), []);
  assert.deepEqual(after(0, 0), []);
  assert.deepEqual(after(0, 0, 0), [0]);
  assert.deepEqual(after(1, 1, 1, 1), []);
    assert.deepEqual(after(0, 2, 0, 2, 0, 2), []);
  assert.deepEqual(after(0, 2, 0, 2, 0, 2, 0), [2]);
});

test("the product in WebAssembly is the product in JavaScript, whatever the sizes", () => {
  let seed = 1;
  const random = () => (seed = (seed * 16807) % 2147483647) / 2147483647 - 0.5;
  for (const [rows, columns] of [[1, 1], [4, 4], [7, 5], [9, 16], [64, 33], [130, 257]]) {
    const bytes = Float32Array.from({ length: rows * columns }, random).buffer;
    const x = Float32Array.from({ length: columns }, random);
    const index = [{ name: "a.weight", shape: [rows, columns], at: 0 }];
    const [fast, plain] = [false, true].map((one) => new Weights(index, bytes, one));
    assert.notEqual(fast.kernel, plainKernel);
    assert.equal(plain.kernel, plainKernel);
    const first = Math.floor(rows / 2);
    for (const part of [[0, rows], [first, rows - first]]) {
      const [found, wanted] = [fast, plain].map((one) => one.apply(one.linear("a"), x, ...part));
      close([...found], [...wanted], 1e-5);
    }
    close([...plain.apply(plain.linear("a"), x)], Array.from({ length: rows }, (_, row) => x.reduce((sum, value, i) => sum + value * new Float32Array(bytes)[row * columns + i], 0)), 1e-5);
  }
});

test("without WebAssembly the product is plain", () => {
  const { WebAssembly: there } = globalThis;
  try {
    for (const forbidden of [undefined, { Memory: class { constructor() { throw new Error("forbidden"); } } }]) {
      globalThis.WebAssembly = forbidden;
      assert.equal(vectorKernel(100), null);
    }
  } finally {
    globalThis.WebAssembly = there;
  }
});

test("the assembler, by hand", () => {
  assert.deepEqual([0, 1, 63, 64, -1, -64, -65, 300].map(leb128), [[0], [1], [63], [0xc0, 0], [0x7f], [0x40], [0xbf, 0x7f], [0xac, 2]]);
  assert.deepEqual(assemble("local.get b i32.const 16 i32.add local.tee a br_if 0 end", ["a", "b"]), [0x20, 1, 0x41, 16, 0x6a, 0x22, 0, 0x0d, 0, 0x0b]);
  assert.deepEqual(assemble("v128.load 0 f32x4.mul f32.store 12", []), [0xfd, 0, 4, 0, 0xfd, 0xe6, 1, 0x38, 2, 12]);
  assert.throws(() => assemble("i64.add", []), /no instruction i64.add/);
  assert.throws(() => assemble("local.get z", ["a"]), /no local z/);
  assert.ok(WebAssembly.validate(moduleBytes()));
});

test("erf and the parts of a Transformer", () => {
  for (const [x, wanted] of [[0, 0], [0.5, 0.5204998778130465], [-1, -0.8427007929497149], [2.345, 0.9990879220321647], [7, 1]]) close([erf(x)], [wanted], 1e-8);
  close([...layerNorm(Float32Array.from([1, 3]), [Float32Array.from([1, 2]), Float32Array.from([0, 1])])], [-1, 3], 1e-4);
});
