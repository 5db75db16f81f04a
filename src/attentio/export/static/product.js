// @ts-check
/**
 * The weights of a model, and the product of a matrix and a vector. Nearly all the time of a model goes here.
 *
 * All numbers lie in one buffer, so that WebAssembly can read them. Rows are padded to a multiple of four numbers.
 */

import { vectorKernel } from "./wasm.js";

/** @typedef {{name: string, shape: number[], at: number, scales?: number}} StoredTensor `scales`: where those of 8-bit rows are. */
/** @typedef {{data: Float32Array, rows: number, columns: number, stride: number}} Matrix Row r begins at r * stride. */
/** @typedef {{matrix: Matrix, bias: Float32Array | null}} Linear */
/** @typedef {(weights: Float32Array, x: Float32Array, y: Float32Array, rows: number, stride: number) => void} Kernel */

const PAD_TO = 4;

/** @param {number} size */
const padded = (size) => Math.ceil(size / PAD_TO) * PAD_TO;

/**
 * Compute y = W x for weights of `rows` rows, in JavaScript alone.
 * @type {Kernel}
 */
export function plainKernel(weights, x, y, rows, stride) {
  let row = 0;
  for (; row + 3 < rows; row += 4) {
    let [a, b, c, d] = [0, 0, 0, 0];
    let at = row * stride;
    for (let i = 0; i < stride; i++, at++) {
      const value = x[i];
      a += weights[at] * value;
      b += weights[at + stride] * value;
      c += weights[at + 2 * stride] * value;
      d += weights[at + 3 * stride] * value;
    }
    y[row] = a;
    y[row + 1] = b;
    y[row + 2] = c;
    y[row + 3] = d;
  }
  for (; row < rows; row++) {
    let sum = 0;
    for (let i = 0, at = row * stride; i < stride; i++, at++) sum += weights[at] * x[i];
    y[row] = sum;
  }
}

/** The tensors of a model by name, and products with them. */
export class Weights {
  /**
   * @param {StoredTensor[]} index
   * @param {ArrayBuffer} bytes What the index points into.
   * @param {boolean} [plain] Whether the product is computed in JavaScript alone.
   */
  constructor(index, bytes, plain = false) {
    const widest = Math.max(1, ...index.map(({ shape }) => padded(shape[shape.length - 1] ?? 1)));
    const tallest = Math.max(1, ...index.map(({ shape }) => rowsOf(shape)));
    const sizes = index.map(({ shape }) => rowsOf(shape) * padded(shape[shape.length - 1] ?? 1));
    const room = padded(widest) + padded(tallest) + sizes.reduce((a, b) => a + padded(b), 0);
    const vectors = plain ? null : vectorKernel(4 * room);
    this.buffer = vectors?.buffer ?? new ArrayBuffer(4 * room);
    this.free = 0;
    this.kernel = vectors?.kernel ?? plainKernel;
    this.input = this.take(widest);
    this.output = this.take(tallest);
    /** @type {Map<string, Matrix>} */
    this.matrices = new Map();
    /** @type {Map<number, Matrix>} */
    const known = new Map(); // shared tensors are read once
    for (const stored of index) {
      const matrix = known.get(stored.at) ?? this.read(stored, bytes);
      known.set(stored.at, matrix);
      this.matrices.set(stored.name, matrix);
    }
  }

  /** @param {number} size */
  take(size) {
    const taken = new Float32Array(this.buffer, this.free, size);
    this.free += 4 * padded(size);
    return taken;
  }

  /**
   * @param {StoredTensor} stored
   * @param {ArrayBuffer} bytes
   * @returns {Matrix}
   */
  read({ shape, at, scales }, bytes) {
    const [rows, columns] = [rowsOf(shape), shape[shape.length - 1] ?? 1];
    const stride = padded(columns);
    const data = this.take(rows * stride);
    if (scales === undefined) {
      const from = new Float32Array(bytes, at, rows * columns);
      for (let row = 0; row < rows; row++) data.set(from.subarray(row * columns, (row + 1) * columns), row * stride);
      return { data, rows, columns, stride };
    }
    const [from, scale] = [new Int8Array(bytes, at, rows * columns), new Float32Array(bytes, scales, rows)];
    for (let row = 0; row < rows; row++) {
      for (let i = 0; i < columns; i++) data[row * stride + i] = from[row * columns + i] * scale[row];
    }
    return { data, rows, columns, stride };
  }

  /** @param {string} name */
  has(name) {
    return this.matrices.has(name);
  }

  /**
   * @param {string} name
   * @returns {Matrix}
   */
  matrix(name) {
    const found = this.matrices.get(name);
    if (!found) throw new Error(`the model has no ${name}`);
    return found;
  }

  /**
   * Return the numbers of a tensor without gaps.
   * @param {string} name
   * @returns {Float32Array}
   */
  numbers(name) {
    const { data, rows, columns, stride } = this.matrix(name);
    if (stride === columns) return data;
    const packed = new Float32Array(rows * columns);
    for (let row = 0; row < rows; row++) packed.set(data.subarray(row * stride, row * stride + columns), row * columns);
    return packed;
  }

  /**
   * Return the linear map of this name: its weight, and its bias where there is one.
   * @param {string} name
   * @returns {Linear}
   */
  linear(name) {
    return { matrix: this.matrix(`${name}.weight`), bias: this.has(`${name}.bias`) ? this.numbers(`${name}.bias`) : null };
  }

  /**
   * Return weight and bias of this name as numbers: of a layer normalization.
   * @param {string} name
   * @returns {[Float32Array, Float32Array]}
   */
  linearNumbers(name) {
    return [this.numbers(`${name}.weight`), this.numbers(`${name}.bias`)];
  }

  /**
   * Return W x + b, for `count` rows of W from number `first` on.
   * @param {Linear} linear
   * @param {ArrayLike<number>} x
   * @param {number} [first]
   * @param {number} [count]
   * @returns {Float32Array}
   */
  apply({ matrix, bias }, x, first = 0, count = matrix.rows) {
    const { data, stride, columns } = matrix;
    this.input.set(x);
    if (stride > columns) this.input.fill(0, columns, stride);
    this.kernel(first ? data.subarray(first * stride) : data, this.input, this.output, count, stride);
    const y = this.output.slice(0, count);
    if (bias) for (let i = 0; i < count; i++) y[i] += bias[first + i];
    return y;
  }

  /**
   * Return the products of each head: of row h of W, (heads * O, I), with slice h of x, (heads * I).
   * @param {Linear} linear
   * @param {Float32Array} x
   * @param {number} heads
   * @returns {Float32Array}
   */
  applyHeads(linear, x, heads) {
    if (heads === 1) return this.apply(linear, x);
    const [size, width] = [linear.matrix.rows / heads, x.length / heads];
    const y = new Float32Array(heads * size);
    for (let head = 0; head < heads; head++) {
      y.set(this.apply(linear, x.subarray(head * width, (head + 1) * width), head * size, size), head * size);
    }
    return y;
  }
}

/** @param {number[]} shape */
const rowsOf = (shape) => shape.slice(0, -1).reduce((a, b) => a * b, 1);

/**
 * Return (scores) with what `softmax` makes of them.
 * @param {Float64Array | Float32Array} scores -Infinity where nothing is.
 */
export function logSumExp(scores) {
  let highest = -Infinity;
  for (const score of scores) if (score > highest) highest = score;
  let sum = 0;
  for (const score of scores) sum += Math.exp(score - highest);
  return highest + Math.log(sum);
}

export const sigmoid = (/** @type {number} */ x) => 1 / (1 + Math.exp(-x));

/**
 * Return the sum of vectors.
 * @param {Float32Array} a
 * @param {Float32Array} b
 */
export function add(a, b) {
  const sum = new Float32Array(a.length);
  for (let i = 0; i < a.length; i++) sum[i] = a[i] + b[i];
  return sum;
}

/**
 * Return vectors end to end.
 * @param {Float32Array[]} vectors
 */
export function joined(...vectors) {
  const all = new Float32Array(vectors.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const vector of vectors) {
    all.set(vector, at);
    at += vector.length;
  }
  return all;
}

/**
 * Return a vector with mean 0 and variance 1, times a weight, plus a bias (Ba 2016).
 * @param {Float32Array} vector
 * @param {[Float32Array, Float32Array]} numbers
 * @param {number} [epsilon]
 */
export function layerNorm(vector, [weight, bias], epsilon = 1e-5) {
  let [sum, squares] = [0, 0];
  for (const value of vector) sum += value;
  const mean = sum / vector.length;
  for (const value of vector) squares += (value - mean) ** 2;
  const scale = 1 / Math.sqrt(squares / vector.length + epsilon);
  return vector.map((value, i) => (value - mean) * scale * weight[i] + bias[i]);
}
