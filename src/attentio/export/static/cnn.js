// @ts-check
/** The convolutional family (Gehring 2017), as `attentio.model.cnn` computes it, one token after the other. */

import { Attention } from "./attention.js";
import { joined, sigmoid } from "./product.js";

/** @typedef {import("./attention.js").AttentionState} AttentionState */
/** @typedef {import("./family.js").Family} Family */
/** @typedef {{attention: AttentionState, inputs: Float32Array[]}} Carried Where a layer attends, and its last inputs. */

const HALF = Math.SQRT1_2;

/**
 * Return (a + b) sqrt(1/2).
 * @param {Float32Array} a
 * @param {Float32Array} b
 */
function halved(a, b) {
  const sum = new Float32Array(a.length);
  for (let i = 0; i < a.length; i++) sum[i] = (a[i] + b[i]) * HALF;
  return sum;
}

/**
 * Return a * sigmoid(b) for [a; b].
 * @param {Float32Array} both
 */
function gated(both) {
  const size = both.length / 2;
  const passed = new Float32Array(size);
  for (let i = 0; i < size; i++) passed[i] = both[i] * sigmoid(both[size + i]);
  return passed;
}

/** @type {import("./family.js").Build} */
export function cnn(weights, { model, attention }) {
  const { embedding_size: width, hidden_size: hidden, kernel_size: kernel } = model;
  const zero = new Float32Array(hidden);
  const scale = width ** 0.25;

  /** @param {"encoder" | "decoder"} side */
  const embedder = (side) => {
    const [table, places] = [weights.matrix(`${side}.embedding.table`), weights.matrix(`${side}.positions.table`)];
    return (/** @type {number} */ token, /** @type {number} */ position) => {
      const [word, place] = [token * table.stride, Math.min(position, places.rows - 1) * places.stride];
      const embedded = new Float32Array(width);
      for (let i = 0; i < width; i++) embedded[i] = table.data[word + i] * scale + places.data[place + i];
      return embedded;
    };
  };
  const embedSource = embedder("encoder");
  const embedTarget = embedder("decoder");
  const encoder = {
    toHidden: weights.linear("encoder.to_hidden"),
    layers: Array.from({ length: model.encoder_layers }, (_, n) => weights.linear(`encoder.layers.${n}.convolution.linear`)),
    toWidth: weights.linear("encoder.to_width"),
  };
  const toHidden = weights.linear("decoder.to_hidden");
  const toWidth = weights.linear("decoder.to_width");
  const layers = Array.from({ length: model.decoder_layers }, (_, n) => {
    const name = `decoder.layers.${n}`;
    return {
      convolution: weights.linear(`${name}.convolution.linear`),
      query: weights.linear(`${name}.query`),
      context: weights.linear(`${name}.context`),
      attention: new Attention(weights, `${name}.attention`, { ...attention, querySize: width, keySize: width }),
    };
  });

  /** @type {Family} */
  return {
    attentions: layers.map((_, n) => `layer ${n + 1}`),
    start(ids) {
      const embedded = ids.map(embedSource);
      let states = embedded.map((vector) => weights.apply(encoder.toHidden, vector));
      const side = kernel >> 1;
      for (const convolution of encoder.layers) {
        const below = states;
        states = below.map((state, at) => {
          const around = Array.from({ length: kernel }, (_, k) => below[at + k - side] ?? zero);
          return halved(state, gated(weights.apply(convolution, joined(...around))));
        });
      }
      const keys = states.map((state) => weights.apply(encoder.toWidth, state));
      const grown = Math.sqrt(ids.length);
      const values = keys.map((key, at) => halved(key, embedded[at]).map((value) => value * grown));
      const memories = layers.map((layer) => layer.attention.remember(keys, values));
      const carried = layers.map((layer) => ({ attention: layer.attention.start(ids.length), inputs: Array.from({ length: kernel - 1 }, () => zero) }));
      return { state: { position: 0, memories, carried }, attended: {} };
    },
    step(token, state) {
      const embedded = embedTarget(token, state.position);
      let states = weights.apply(toHidden, embedded);
      /** @type {Record<string, Float32Array>} */
      const attended = {};
      const carried = layers.map((layer, n) => {
        const before = /** @type {Carried} */ (state.carried[n]);
        const inputs = [...before.inputs, states];
        let hiddenState = gated(weights.apply(layer.convolution, joined(...inputs)));
        const query = halved(weights.apply(layer.query, hiddenState), embedded);
        const found = layer.attention.attend(query, state.memories[n], before.attention);
        hiddenState = halved(hiddenState, weights.apply(layer.context, found.context));
        states = halved(states, hiddenState);
        attended[`layer ${n + 1}`] = found.weights;
        return { attention: found.state, inputs: inputs.slice(1) };
      });
      return { features: weights.apply(toWidth, states), state: { ...state, position: state.position + 1, carried }, attended };
    },
  };
}
