// @ts-check
/** The Transformer (Vaswani 2017), as `attentio.model.transformer` computes it, with any attention in its place. */

import { Attention } from "./attention.js";
import { add, layerNorm, sigmoid } from "./product.js";

/** @typedef {import("./attention.js").Memory} Memory */
/** @typedef {import("./attention.js").AttentionState} AttentionState */
/** @typedef {import("./family.js").Family} Family */
/** @typedef {import("./family.js").AttentionChoice} AttentionChoice */
/** @typedef {{target: Memory, attention: AttentionState}} LayerState Keys and values of the target so far, and where a layer attends in the source. */
/** @typedef {(part: (input: Float32Array) => Float32Array, states: Float32Array) => Float32Array} Residual */

const ERF_STEP = 1 / 64;
const ERF_REACH = 6; // beyond it erf is 1 in double precision
const slopeOfErf = (/** @type {number} */ x) => (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x);

/** Values of erf at multiples of the step, summed by Simpson's rule. */
const ERF_TABLE = (() => {
  const table = new Float64Array(ERF_REACH / ERF_STEP + 1);
  for (let i = 1; i < table.length; i++) {
    const from = (i - 1) * ERF_STEP;
    const slopes = slopeOfErf(from) + 4 * slopeOfErf(from + ERF_STEP / 2) + slopeOfErf(from + ERF_STEP);
    table[i] = table[i - 1] + (ERF_STEP / 6) * slopes;
  }
  return table;
})();

/**
 * Return the error function, within 1e-8: a cubic between values of a table that has its slopes, too.
 * @param {number} x
 * @returns {number}
 */
export function erf(x) {
  if (x < 0) return -erf(-x);
  if (x >= ERF_REACH) return 1;
  const place = Math.floor(x / ERF_STEP);
  const t = x / ERF_STEP - place;
  const [a, b] = [ERF_TABLE[place], ERF_TABLE[place + 1] ?? 1];
  const [da, db] = [slopeOfErf(place * ERF_STEP) * ERF_STEP, slopeOfErf((place + 1) * ERF_STEP) * ERF_STEP];
  const change = b - a;
  return a + t * (da + t * (3 * change - 2 * da - db + t * (da + db - 2 * change)));
}

const silu = (/** @type {number} */ x) => x * sigmoid(x);
/** @type {Record<string, (x: number) => number>} */
const ACTIVATIONS = {
  relu: (x) => Math.max(0, x),
  gelu: (x) => 0.5 * x * (1 + erf(x * Math.SQRT1_2)),
  silu,
  swiglu: silu,
};

/**
 * Return the frequency of pair number `pair` of a vector of `size`, rounded as in Python.
 * @param {number} pair
 * @param {number} size
 */
const frequency = (pair, size) => Math.fround(Math.exp(Math.fround(2 * pair * Math.fround(-Math.log(10000) / size))));

/**
 * Return the frequency of pair number `pair` where the longest wavelength is 10000 times the shortest one.
 * @param {number} pair
 * @param {number} size
 */
function timescale(pair, size) {
  const step = Math.fround(-Math.log(10000) / Math.max(1, (size >> 1) - 1));
  return Math.fround(Math.exp(Math.fround(pair * step)));
}

/**
 * Return the sines and cosines of a position (Vaswani 2017, section 3.5): side by side, or in two halves.
 * @param {number} position
 * @param {number} size
 * @param {string} kind
 */
function sinusoid(position, size, kind) {
  const made = new Float32Array(size);
  const t2t = kind === "sinusoidal_t2t";
  const pairs = t2t ? size >> 1 : (size + 1) >> 1;
  for (let pair = 0; pair < pairs; pair++) {
    const angle = Math.fround(position * (t2t ? timescale : frequency)(pair, size));
    const [sine, cosine] = kind === "sinusoidal" ? [2 * pair, 2 * pair + 1] : [pair, pairs + pair];
    made[sine] = Math.sin(angle);
    if (cosine < size) made[cosine] = Math.cos(angle);
  }
  return made;
}

/**
 * Return a query or key with its pairs (i, i + D/2) turned by its position (Su 2021).
 * @param {Float32Array} vector
 * @param {number} position
 * @param {number} heads
 */
function rotated(vector, position, heads) {
  const size = vector.length / heads;
  const turned = new Float32Array(vector.length);
  for (let i = 0; i < size / 2; i++) {
    const angle = Math.fround(position * frequency(i, size));
    const [cosine, sine] = [Math.cos(angle), Math.sin(angle)];
    for (let first = i; first < vector.length; first += size) {
      const second = first + size / 2;
      turned[first] = vector[first] * cosine - vector[second] * sine;
      turned[second] = vector[second] * cosine + vector[first] * sine;
    }
  }
  return turned;
}

/** @type {import("./family.js").Build} */
export function transformer(weights, { model, attention: cross, selfAttention, decoderSelfAttention }) {
  const { hidden_size: size } = model;
  const unread = model.source_end ? 0 : 1; // tokens at the end of a source that nothing attends to
  const [pre, rotary] = [model.norm === "pre", model.positions === "rotary"];
  const sized = (/** @type {AttentionChoice} */ choice) => ({ ...choice, querySize: size, keySize: size });
  /** @type {typeof layerNorm} */
  const normalized = (vector, numbers) => layerNorm(vector, numbers, model.norm_epsilon);

  /** @param {"encoder" | "decoder"} side */
  const embedder = (side) => {
    const table = weights.matrix(`${side}.embedding.table`);
    const places = model.positions === "learned" ? weights.matrix(`${side}.positions.table`) : null;
    const scale = model.scale_embeddings ? Math.sqrt(size) : 1;
    const below = model.embedding_norm ? weights.linearNumbers(`${side}.embedding_norm`) : null;
    const placed = (/** @type {Float32Array} */ made, /** @type {number} */ position) => {
      if (rotary) return made;
      if (!places) return add(made, sinusoid(position + model.first_position, size, model.positions));
      const start = Math.min(position, places.rows - 1) * places.stride;
      return add(made, places.data.subarray(start, start + size));
    };
    return (/** @type {number} */ token, /** @type {number} */ position) => {
      const made = new Float32Array(size);
      for (let i = 0; i < size; i++) made[i] = table.data[token * table.stride + i] * scale;
      return below ? normalized(placed(made, position), below) : placed(made, position);
    };
  };
  const [embedSource, embedTarget] = [embedder("encoder"), embedder("decoder")];
  /** @type {(name: string) => Residual} */
  const residual = (name) => {
    const norm = weights.linearNumbers(`${name}.norm`);
    return (part, states) => (pre ? add(states, part(normalized(states, norm))) : normalized(add(states, part(states)), norm));
  };
  const last = (/** @type {string} */ side) => {
    const norm = pre ? weights.linearNumbers(`${side}.norm`) : null;
    return (/** @type {Float32Array} */ states) => (norm ? normalized(states, norm) : states);
  };
  const feedForward = (/** @type {string} */ name) => {
    const [inner, output] = [weights.linear(`${name}.inner`), weights.linear(`${name}.output`)];
    const activation = ACTIVATIONS[model.activation];
    return (/** @type {Float32Array} */ states) => {
      const hidden = weights.apply(inner, states);
      if (model.activation !== "swiglu") return weights.apply(output, hidden.map(activation));
      const half = hidden.length / 2;
      return weights.apply(output, hidden.subarray(0, half).map((gate, i) => activation(gate) * hidden[half + i]));
    };
  };

  /**
   * @param {string} name
   * @param {AttentionChoice} choice
   */
  const own = (name, choice) => {
    const attention = new Attention(weights, `${name}.attention`, sized(choice));
    const [all, output] = [weights.linear(`${name}.query_key_value`), weights.linear(`${name}.output`)];
    /**
     * Return query, key and value of a state at a position.
     * @param {Float32Array} states
     * @param {number} position
     */
    const project = (states, position) => {
      const [query, key, value] = [0, 1, 2].map((n) => weights.apply(all, states, n * size, size));
      if (!rotary) return { query, key, value };
      return { query: rotated(query, position, choice.heads), key: rotated(key, position, choice.heads), value };
    };
    return { attention, project, output: (/** @type {Float32Array} */ context) => weights.apply(output, context) };
  };
  const below = Array.from({ length: model.encoder_layers }, (_, n) => {
    const name = `encoder.layers.${n}`;
    return {
      own: own(`${name}.self_attn`, selfAttention),
      feedForward: feedForward(`${name}.feed_forward`),
      norm: weights.linearNumbers(`${name}.self_residual.norm`),
      feedResidual: residual(`${name}.feed_forward_residual`),
    };
  });
  const layers = Array.from({ length: model.decoder_layers }, (_, n) => {
    const name = `decoder.layers.${n}`;
    return {
      own: own(`${name}.self_attn`, decoderSelfAttention),
      attention: new Attention(weights, `${name}.cross.attention`, sized(cross)),
      query: weights.linear(`${name}.cross.query`),
      keyValue: weights.linear(`${name}.cross.key_value`),
      output: weights.linear(`${name}.cross.output`),
      feedForward: feedForward(`${name}.feed_forward`),
      ownResidual: residual(`${name}.self_residual`),
      crossResidual: residual(`${name}.cross_residual`),
      feedResidual: residual(`${name}.feed_forward_residual`),
    };
  });
  const [endSource, endTarget] = [last("encoder"), last("decoder")];
  /**
   * Return weights of all heads with a zero for each token that is not read.
   * @param {Float32Array} weights
   * @param {number} heads
   */
  const widened = (weights, heads) => {
    if (!unread) return weights;
    const length = weights.length / heads;
    const wide = new Float32Array(weights.length + heads * unread);
    for (let head = 0; head < heads; head++) wide.set(weights.subarray(head * length, (head + 1) * length), head * (length + unread));
    return wide;
  };

  /** @type {Family} */
  return {
    attentions: layers.map((_, n) => `layer ${n + 1}`),
    start(ids) {
      let states = ids.map(embedSource);
      /** @type {Record<string, Float32Array>} */
      const attended = {};
      below.forEach((layer, n) => {
        const { attention, project, output } = layer.own;
        const projected = states.map((state, i) => project(pre ? normalized(state, layer.norm) : state, i));
        const [length, read] = [ids.length, ids.length - unread];
        const memory = attention.remember(projected.slice(0, read).map(({ key }) => key), projected.slice(0, read).map(({ value }) => value));
        const seen = (attended[`encoder self ${n + 1}`] = new Float32Array(attention.heads * length * length));
        states = states.map((state, i) => {
          const found = attention.attend(projected[i].query, memory, { position: i, scored: null, stopped: null });
          for (let head = 0; head < attention.heads; head++) {
            seen.set(found.weights.subarray(head * read, (head + 1) * read), (head * length + i) * length);
          }
          const summed = add(state, output(found.context));
          return layer.feedResidual(layer.feedForward, pre ? summed : normalized(summed, layer.norm));
        });
      });
      states = states.slice(0, ids.length - unread).map(endSource);
      const memories = layers.map(({ attention, keyValue }) => {
        const keys = states.map((state) => weights.apply(keyValue, state, 0, size));
        return attention.remember(keys, states.map((state) => weights.apply(keyValue, state, size, size)));
      });
      const carried = layers.map(({ attention }) => ({ target: { keys: [], values: [] }, attention: attention.start(states.length) }));
      return { state: { position: 0, memories, carried }, attended };
    },
    step(token, state) {
      let states = embedTarget(token, state.position);
      const [across, back] = /** @type {Record<string, Float32Array>[]} */ ([{}, {}]);
      const carried = layers.map((layer, n) => {
        const before = /** @type {LayerState} */ (state.carried[n]);
        let { target, attention } = before;
        const look = (/** @type {Float32Array} */ input) => {
          const { query, key, value } = layer.own.project(input, state.position);
          const [prepared, held] = layer.own.attention.prepare(key, value);
          target = { keys: [...target.keys, prepared], values: [...target.values, held] };
          const found = layer.own.attention.attend(query, target, { position: state.position, scored: null, stopped: null });
          back[`decoder self ${n + 1}`] = found.weights;
          return layer.own.output(found.context);
        };
        const ask = (/** @type {Float32Array} */ input) => {
          const found = layer.attention.attend(weights.apply(layer.query, input), state.memories[n], attention);
          across[`layer ${n + 1}`] = widened(found.weights, layer.attention.heads);
          attention = found.state;
          return weights.apply(layer.output, found.context);
        };
        states = layer.feedResidual(layer.feedForward, layer.crossResidual(ask, layer.ownResidual(look, states)));
        return { target, attention };
      });
      return { features: endTarget(states), state: { ...state, position: state.position + 1, carried }, attended: { ...across, ...back } };
    },
  };
}
