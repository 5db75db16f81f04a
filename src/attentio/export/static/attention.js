// @ts-check
/**
 * Attention with any score, normalizer and window, one query at a time, for one sentence: no batch and no padding.
 *
 * The formulas are those of `attentio.attention`, and tests hold that both give the same. S keys, H heads. A vector of
 * all heads holds one head after the other.
 */

import { sigmoid } from "./product.js";

/** @typedef {import("./product.js").Weights} Weights */
/** @typedef {{name: string, options: Record<string, any>}} Choice A kind with its options. */
/** @typedef {{score: Choice, normalize: Choice, window: Choice[], heads: number, querySize: number, keySize: number}} AttentionSettings Sizes are totals. */
/** @typedef {{keys: Float32Array[], values: Float32Array[]}} Memory One prepared key and one value for each position. */
/** @typedef {{position: number, scored: Float64Array | null, stopped: Float64Array | null}} AttentionState Position of the next query, and what kinds with a past remember, (H * S). */
/** @typedef {{context: Float32Array, weights: Float32Array, state: AttentionState}} Attended `weights` are (H * S). */
/**
 * @typedef {object} Score
 * @property {(key: Float32Array) => Float32Array} prepare A key, before any query is known.
 * @property {(query: Float32Array, keys: Float32Array[], past: Float64Array | null) => Float64Array} compare The scores (H * S).
 * @property {((keys: Float32Array[], past: Float64Array, weights: Float32Array) => Float64Array)} [remember] What is remembered after these weights.
 */
/** @typedef {{mask: Uint8Array | null, bias: Float64Array | null, factor: Float64Array | null}} Seen (H * S) each, null changes nothing. */
/** @typedef {(query: Float32Array, length: number, position: number) => Seen} Window */
/** @typedef {(scores: Float64Array, mask: Uint8Array | null) => Float64Array} Normalizer One row of S scores. */
/** @typedef {{heads: number, query: number, key: number}} Sizes Those of one head. */

const EVERYTHING = Object.freeze({ mask: null, bias: null, factor: null });

/** Attends with the parameters of one module of the model. */
export class Attention {
  /**
   * @param {Weights} weights
   * @param {string} name Of the module.
   * @param {AttentionSettings} settings
   */
  constructor(weights, name, settings) {
    this.heads = settings.heads;
    const sizes = { heads: settings.heads, query: settings.querySize / settings.heads, key: settings.keySize / settings.heads };
    const { score, normalize } = settings;
    const paired = normalize.name === "mocha";
    this.score = SCORES[score.name](weights, `${name}.score${paired ? ".first" : ""}`, score.options, sizes);
    this.second = paired ? SCORES[score.name](weights, `${name}.score.second`, score.options, sizes) : null;
    this.monotonic = ["monotonic", "mocha"].includes(normalize.name) ? weights.numbers(`${name}.normalize.bias`)[0] : null;
    this.chunk = normalize.options.width ?? 4;
    this.normalize = this.monotonic === null ? NORMALIZERS[normalize.name](normalize.options) : null;
    const windows = settings.window;
    this.windows = windows.map(({ name: kind, options }, i) =>
      WINDOWS[kind](weights, windows.length > 1 ? `${name}.window.windows.${i}` : `${name}.window`, options, sizes),
    );
  }

  /**
   * Return what is kept of a key and a value.
   * @param {Float32Array} key
   * @param {Float32Array} value
   * @returns {[Float32Array, Float32Array]}
   */
  prepare(key, value) {
    if (!this.second) return [this.score.prepare(key), value];
    const [first, second] = [this.score.prepare(key), this.second.prepare(key)];
    const both = new Float32Array(first.length + second.length);
    both.set(first);
    both.set(second, first.length);
    return [both, value];
  }

  /**
   * Return the memory of keys and values.
   * @param {Float32Array[]} keys
   * @param {Float32Array[]} values
   * @returns {Memory}
   */
  remember(keys, values) {
    const prepared = keys.map((key, i) => this.prepare(key, values[i]));
    return { keys: prepared.map(([key]) => key), values: prepared.map(([, value]) => value) };
  }

  /**
   * Return the state before the first query.
   * @param {number} length Number of keys.
   * @returns {AttentionState}
   */
  start(length) {
    const stopped = this.monotonic === null ? null : new Float64Array(this.heads * length);
    if (stopped) for (let head = 0; head < this.heads; head++) stopped[head * length] = 1;
    return { position: 0, scored: this.score.remember ? new Float64Array(this.heads * length) : null, stopped };
  }

  /**
   * Return what a query attends to.
   * @param {Float32Array} query
   * @param {Memory} memory
   * @param {AttentionState} state
   * @returns {Attended}
   */
  attend(query, { keys, values }, state) {
    const [length, heads] = [keys.length, this.heads];
    const half = this.second ? keys.map((key) => key.subarray(0, key.length / 2)) : keys;
    const scores = this.score.compare(query, half, state.scored);
    const chunks = this.second?.compare(query, keys.map((key) => key.subarray(key.length / 2)), null) ?? null;
    const seen = this.windows.map((window) => window(query, length, state.position));
    /** @type {Uint8Array | null} */
    let mask = null;
    for (const one of seen) {
      if (one.mask) mask = mask ? mask.map((value, i) => value & /** @type {Uint8Array} */ (one.mask)[i]) : one.mask;
      if (one.bias) for (let i = 0; i < scores.length; i++) scores[i] += one.bias[i];
    }
    const weights = new Float32Array(heads * length);
    const stopped = state.stopped && new Float64Array(heads * length);
    for (let head = 0; head < heads; head++) {
      const [from, to] = [head * length, (head + 1) * length];
      const [row, allowed] = [scores.subarray(from, to), mask?.subarray(from, to) ?? null];
      if (this.normalize) weights.set(zeroMasked(this.normalize(row, allowed), allowed), from);
      else {
        const before = /** @type {Float64Array} */ (state.stopped).subarray(from, to);
        const stops = stopsOf(row, /** @type {number} */ (this.monotonic), allowed, before);
        stopped?.set(stops, from);
        weights.set(chunks ? spread(stops, chunks.subarray(from, to), allowed, this.chunk) : stops, from);
      }
    }
    for (const { factor } of seen) if (factor) for (let i = 0; i < weights.length; i++) weights[i] *= factor[i];
    const size = values[0].length / heads;
    const context = new Float32Array(values[0].length);
    for (let head = 0; head < heads; head++) {
      for (let j = 0; j < length; j++) {
        const weight = weights[head * length + j];
        if (weight) for (let i = head * size; i < (head + 1) * size; i++) context[i] += weight * values[j][i];
      }
    }
    const scored = state.scored && this.score.remember ? this.score.remember(keys, state.scored, weights) : null;
    return { context, weights, state: { position: state.position + 1, scored, stopped } };
  }
}

/**
 * Return scores q . k of every pair, (H * S).
 * @param {Float32Array} query
 * @param {Float32Array[]} keys
 * @param {number} heads
 */
function innerProducts(query, keys, heads) {
  const [length, size] = [keys.length, query.length / heads];
  const scores = new Float64Array(heads * length);
  for (let head = 0, start = 0; head < heads; head++, start += size) {
    for (let j = 0; j < length; j++) {
      const key = keys[j];
      let sum = 0;
      for (let i = start; i < start + size; i++) sum += query[i] * key[i];
      scores[head * length + j] = sum;
    }
  }
  return scores;
}

/**
 * Return scores v . tanh(q + k) of every pair, (H * S). A term (H * S) -> (D) may enter inside the tanh.
 * @param {Float32Array} query (H * D)
 * @param {Float32Array[]} keys (H * D') each, D' at least D
 * @param {Float32Array} direction (H * D)
 * @param {number} heads
 * @param {((head: number, key: number, i: number) => number) | null} term
 */
function additive(query, keys, direction, heads, term) {
  const [length, size] = [keys.length, query.length / heads];
  const width = keys[0].length / heads;
  const scores = new Float64Array(heads * length);
  for (let head = 0; head < heads; head++) {
    for (let j = 0; j < length; j++) {
      const key = keys[j];
      let sum = 0;
      for (let i = 0; i < size; i++) {
        const at = head * size + i;
        sum += direction[at] * Math.tanh(query[at] + key[head * width + i] + (term ? term(head, j, i) : 0));
      }
      scores[head * length + j] = sum;
    }
  }
  return scores;
}

/**
 * Return each head of a vector with length 1, times a factor of the head.
 * @param {Float32Array} vector
 * @param {number} heads
 * @param {(head: number) => number} factor
 */
function unit(vector, heads, factor) {
  const size = vector.length / heads;
  const made = new Float32Array(vector.length);
  for (let head = 0; head < heads; head++) {
    let squares = 0;
    for (let i = head * size; i < (head + 1) * size; i++) squares += vector[i] * vector[i];
    const scale = factor(head) / Math.max(Math.sqrt(squares), 1e-6);
    for (let i = head * size; i < (head + 1) * size; i++) made[i] = vector[i] * scale;
  }
  return made;
}

/** @type {(query: Float32Array) => Float32Array} */
const asItIs = (vector) => vector;

/**
 * The additive family: W q and U k, and v.
 * @param {Weights} weights
 * @param {string} name
 * @param {Sizes} sizes
 */
function hiddenLayer(weights, name, { heads }) {
  const [query, key] = [weights.linear(`${name}.query`), weights.linear(`${name}.key`)];
  return {
    project: (/** @type {Float32Array} */ q) => weights.applyHeads(query, q, heads),
    prepare: (/** @type {Float32Array} */ k) => weights.applyHeads(key, k, heads),
    v: weights.numbers(`${name}.v`),
  };
}

/** @type {Record<string, (weights: Weights, name: string, options: Record<string, any>, sizes: Sizes) => Score>} */
export const SCORES = {
  dot: (_, _name, _options, { heads }) => ({ prepare: asItIs, compare: (q, keys) => innerProducts(q, keys, heads) }),
  scaled_dot: (_, _name, _options, { heads, query }) => {
    const scale = 1 / Math.sqrt(query);
    return { prepare: asItIs, compare: (q, keys) => innerProducts(q.map((value) => value * scale), keys, heads) };
  },
  bilinear: (weights, name, _options, { heads }) => {
    const key = weights.linear(`${name}.key`);
    return { prepare: (k) => weights.applyHeads(key, k, heads), compare: (q, keys) => innerProducts(q, keys, heads) };
  },
  cosine: (weights, name, _options, { heads }) => {
    const temperature = weights.numbers(`${name}.log_temperature`).map((value) => Math.exp(Math.min(value, Math.log(100))));
    return {
      prepare: (k) => unit(k, heads, () => 1),
      compare: (q, keys) => innerProducts(unit(q, heads, (head) => temperature[head]), keys, heads),
    };
  },
  linear_concat: (weights, name, _options, { heads }) => {
    const [query, key] = [weights.linear(`${name}.query`), weights.linear(`${name}.key`)];
    return {
      prepare: (k) => weights.applyHeads(key, k, heads),
      compare: (q, keys) => {
        const own = weights.applyHeads(query, q, heads);
        return Float64Array.from({ length: heads * keys.length }, (_, i) => {
          const head = Math.floor(i / keys.length);
          return own[head] + keys[i % keys.length][head];
        });
      },
    };
  },
  location: (weights, name, _options, { heads }) => {
    const position = weights.linear(`${name}.position`);
    const most = position.matrix.rows / heads;
    return {
      prepare: (k) => k.subarray(0, 0),
      compare: (q, keys) => {
        if (keys.length > most) throw new RangeError(`this model reads ${most} tokens at most, not ${keys.length}`);
        const all = weights.applyHeads(position, q, heads);
        return Float64Array.from({ length: heads * keys.length }, (_, i) => all[Math.floor(i / keys.length) * most + (i % keys.length)]);
      },
    };
  },
  additive: (weights, name, _options, sizes) => {
    const { project, prepare, v } = hiddenLayer(weights, name, sizes);
    return { prepare, compare: (q, keys) => additive(project(q), keys, v, sizes.heads, null) };
  },
  normed_additive: (weights, name, _options, sizes) => {
    const { project, prepare, v } = hiddenLayer(weights, name, sizes);
    const g = weights.numbers(`${name}.g`);
    const size = v.length / sizes.heads;
    const direction = v.map((value, i) => {
      const head = v.subarray(Math.floor(i / size) * size, (Math.floor(i / size) + 1) * size);
      return (value * g[Math.floor(i / size)]) / Math.max(Math.hypot(...head), 1e-12);
    });
    return { prepare, compare: (q, keys) => additive(project(q), keys, direction, sizes.heads, null) };
  },
  coverage: (weights, name, _options, sizes) => {
    const { project, prepare, v } = hiddenLayer(weights, name, sizes);
    const term = weights.numbers(`${name}.history.term.weight`);
    return {
      prepare,
      compare: (q, keys, past) => additive(project(q), keys, v, sizes.heads, termOf(term, /** @type {Float64Array} */ (past), 1, keys.length, v.length / sizes.heads)),
      remember: (_keys, past, found) => past.map((value, i) => value + found[i]),
    };
  },
  fertility_coverage: (weights, name, options, sizes) => {
    const { project, prepare, v } = hiddenLayer(weights, name, sizes);
    const fertility = weights.linear(`${name}.fertility`);
    const term = weights.numbers(`${name}.history.term.weight`);
    const [most, size] = [options.max_fertility ?? 2, v.length / sizes.heads];
    return {
      prepare: (k) => {
        const [keys, shares] = [prepare(k), weights.applyHeads(fertility, k, sizes.heads)];
        const made = new Float32Array(keys.length + sizes.heads);
        for (let head = 0; head < sizes.heads; head++) {
          made.set(keys.subarray(head * size, (head + 1) * size), head * (size + 1));
          made[head * (size + 1) + size] = most * sigmoid(shares[head]);
        }
        return made;
      },
      compare: (q, keys, past) => additive(project(q), keys, v, sizes.heads, termOf(term, /** @type {Float64Array} */ (past), 1, keys.length, size)),
      remember: (keys, past, found) =>
        past.map((value, i) => {
          const [head, j] = [Math.floor(i / keys.length), i % keys.length];
          return value + found[i] / Math.max(keys[j][head * (size + 1) + size], 1e-4);
        }),
    };
  },
  location_aware: (weights, name, _options, sizes) => {
    const { project, prepare, v } = hiddenLayer(weights, name, sizes);
    const filters = weights.matrix(`${name}.history.filters`); // (H * C, width)
    const taps = weights.numbers(`${name}.history.filters`);
    const term = weights.numbers(`${name}.history.term.weight`); // (H, D, C)
    const [width, channels, size] = [filters.columns, filters.rows / sizes.heads, v.length / sizes.heads];
    return {
      prepare,
      compare: (q, keys, past) => {
        const length = keys.length;
        const before = /** @type {Float64Array} */ (past);
        const features = new Float64Array(sizes.heads * length * channels);
        for (let head = 0; head < sizes.heads; head++) {
          for (let j = 0; j < length; j++) {
            for (let channel = 0; channel < channels; channel++) {
              let sum = 0;
              for (let tap = 0; tap < width; tap++) {
                const key = j + tap - (width >> 1);
                if (key >= 0 && key < length) sum += taps[(head * channels + channel) * width + tap] * before[head * length + key];
              }
              features[(head * length + j) * channels + channel] = sum;
            }
          }
        }
        return additive(project(q), keys, v, sizes.heads, termOf(term, features, channels, length, size));
      },
      remember: (_keys, _past, found) => Float64Array.from(found),
    };
  },
};

/**
 * Return the term that features of the past, (H, S, C), add inside the tanh, by weights (H, D, C).
 * @param {Float32Array} weights
 * @param {Float64Array} features
 * @param {number} channels
 * @param {number} length
 * @param {number} size
 */
function termOf(weights, features, channels, length, size) {
  return (/** @type {number} */ head, /** @type {number} */ j, /** @type {number} */ i) => {
    let sum = 0;
    for (let channel = 0; channel < channels; channel++) {
      sum += weights[(head * size + i) * channels + channel] * features[(head * length + j) * channels + channel];
    }
    return sum;
  };
}

/**
 * @param {Float64Array} weights
 * @param {Uint8Array | null} mask
 */
const zeroMasked = (weights, mask) => (mask ? weights.map((weight, i) => (mask[i] ? weight : 0)) : weights);

/**
 * Return the highest score of the keys that are seen.
 * @param {Float64Array} scores
 * @param {Uint8Array | null} mask
 */
function highest(scores, mask) {
  let best = -Infinity;
  for (let i = 0; i < scores.length; i++) if ((!mask || mask[i]) && scores[i] > best) best = scores[i];
  return best;
}

/** @type {Normalizer} */
function softmax(scores, mask) {
  const best = highest(scores, mask);
  const weights = scores.map((score, i) => (!mask || mask[i] ? Math.exp(score - best) : 0));
  const sum = weights.reduce((a, b) => a + b, 0);
  return weights.map((weight) => (sum ? weight / sum : 0));
}

/** @type {Normalizer} */
function oneHot(scores, mask) {
  const best = highest(scores, mask);
  let chosen = false;
  return scores.map((score, i) => (!chosen && (!mask || mask[i]) && score === best && (chosen = true) ? 1 : 0));
}

/**
 * Return alpha-entmax, [(alpha - 1) e - tau]+ ^ (1 / (alpha - 1)): sparsemax for 2.
 * @param {number} alpha
 * @returns {Normalizer}
 */
function entmax(alpha) {
  return (scores, mask) => {
    const best = highest(scores, mask);
    if (best === -Infinity) return scores.map(() => 0);
    const seen = scores.map((score, i) => (!mask || mask[i] ? (alpha - 1) * (score - best) : -2));
    const tau = alpha === 1.5 || alpha === 2 ? sortedThreshold(seen, alpha) : bisectedThreshold(seen, alpha);
    const weights = seen.map((score) => Math.max(0, score - tau) ** (1 / (alpha - 1)));
    const sum = weights.reduce((a, b) => a + b, 0);
    return weights.map((weight) => (sum ? weight / sum : 0));
  };
}

/**
 * @param {Float64Array} scores
 * @param {number} alpha
 */
function sortedThreshold(scores, alpha) {
  const descending = Float64Array.from(scores).sort().reverse();
  let [sum, squares, found] = [0, 0, -1];
  for (let count = 1; count <= descending.length; count++) {
    const score = descending[count - 1];
    sum += score;
    squares += score * score;
    const mean = sum / count;
    const tau = alpha === 2 ? (sum - 1) / count : mean - Math.sqrt(Math.max(0, (1 - (squares - count * mean * mean)) / count));
    if (score > tau) found = tau;
  }
  return found;
}

/**
 * @param {Float64Array} scores
 * @param {number} alpha
 */
function bisectedThreshold(scores, alpha) {
  let low = -1;
  for (let width = 0.5; width > 2 ** -24; width /= 2) {
    const total = scores.reduce((sum, score) => sum + Math.max(0, score - low - width) ** (1 / (alpha - 1)), 0);
    if (total >= 1) low += width;
  }
  return low;
}

/** @type {Record<string, (options: Record<string, any>) => Normalizer>} */
export const NORMALIZERS = {
  softmax: () => softmax,
  sparsemax: () => entmax(2),
  entmax15: () => entmax(1.5),
  entmax: ({ alpha = 1.25 }) => entmax(alpha),
  hard_reinforce: () => oneHot,
  hard_marginal: () => oneHot,
  hard_straight_through: () => oneHot,
};

/**
 * Return at which key the process stops, 1 there and 0 elsewhere. It begins where the last query stopped (Raffel 2017).
 * @param {Float64Array} scores
 * @param {number} bias
 * @param {Uint8Array | null} mask
 * @param {Float64Array} before
 */
function stopsOf(scores, bias, mask, before) {
  let moving = 0;
  return scores.map((score, j) => {
    const stops = score + bias >= 0 && (!mask || mask[j]) ? 1 : 0;
    moving += before[j];
    const stopped = stops * moving;
    moving *= 1 - stops;
    return stopped;
  });
}

/**
 * Return each stop spread by softmax over the keys up to it (Chiu 2018).
 * @param {Float64Array} stops
 * @param {Float64Array} scores
 * @param {Uint8Array | null} mask
 * @param {number} width
 */
function spread(stops, scores, mask, width) {
  const weights = new Float64Array(stops.length);
  stops.forEach((stop, j) => {
    if (!stop) return;
    const first = Math.max(0, j - width + 1);
    const shares = softmax(scores.subarray(first, j + 1), mask?.subarray(first, j + 1) ?? null);
    shares.forEach((share, i) => void (weights[first + i] += stop * share));
  });
  return weights;
}

/**
 * Return what a rule for each key gives, the same in every head.
 * @param {number} heads
 * @param {number} length
 * @param {(key: number) => boolean} rule
 * @returns {Seen}
 */
function masking(heads, length, rule) {
  const mask = Uint8Array.from({ length: heads * length }, (_, i) => Number(rule(i % length)));
  return { mask, bias: null, factor: null };
}

/** @type {Record<string, (weights: Weights, name: string, options: Record<string, any>, sizes: Sizes) => Window>} */
export const WINDOWS = {
  full: () => () => EVERYTHING,
  causal: (_, _name, _options, { heads }) => (_query, length, position) =>
    length <= position + 1 ? EVERYTHING : masking(heads, length, (j) => j <= position),
  sliding: (_, _name, { radius = 10 }, { heads }) => (_query, length, position) =>
    masking(heads, length, (j) => Math.abs(j - position) <= radius),
  "local-m": (_, _name, { radius = 10 }, { heads }) => (_query, length, position) =>
    masking(heads, length, (j) => Math.abs(j - Math.min(position, length - 1)) <= radius),
  "local-p": (weights, name, { radius = 10, renormalize = false }, { heads }) => {
    const [hidden, center] = [weights.linear(`${name}.hidden`), weights.linear(`${name}.center`)];
    return (query, length) => {
      const shares = weights.applyHeads(center, weights.applyHeads(hidden, query, heads).map(Math.tanh), heads);
      const centers = shares.map((share) => Math.min(length * sigmoid(share), length - 1));
      const away = (/** @type {number} */ i) => (i % length) - centers[Math.floor(i / length)];
      const mask = Uint8Array.from({ length: heads * length }, (_, i) => Number(Math.abs(away(i)) <= radius));
      const gaussian = Float64Array.from(mask, (_, i) => -2 * (away(i) / radius) ** 2);
      return renormalize ? { mask, bias: gaussian, factor: null } : { mask, bias: null, factor: gaussian.map(Math.exp) };
    };
  },
  relative: (weights, name, { max_distance: most = 16 }, { heads }) => {
    const table = weights.numbers(`${name}.bias`);
    return (_query, length, position) => {
      const of = (/** @type {number} */ i) => Math.max(-most, Math.min(most, (i % length) - position)) + most;
      const bias = Float64Array.from({ length: heads * length }, (_, i) => table[Math.floor(i / length) * (2 * most + 1) + of(i)]);
      return { mask: null, bias, factor: null };
    };
  },
};
