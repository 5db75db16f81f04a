// @ts-check
/** The recurrent family, as `attentio.model.rnn` computes it: LSTM or GRU, and three decoders that ask differently. */

import { Attention } from "./attention.js";
import { add, joined, layerNorm, sigmoid } from "./product.js";

/** @typedef {import("./product.js").Weights} Weights */
/** @typedef {import("./attention.js").AttentionState} AttentionState */
/** @typedef {import("./family.js").Family} Family */
/** @typedef {{hidden: Float32Array, cell: Float32Array | null}} CellState `cell` is the LSTM's. */
/** @typedef {(input: Float32Array, state: CellState) => CellState} Cell */
/** @typedef {{attention: AttentionState, cells: CellState[], feed: Float32Array | null}} RecurrentState `feed` enters the cell with the next token. */

/**
 * Return one step of a recurrent layer of torch.
 * @param {Weights} weights
 * @param {string} name
 * @param {"lstm" | "gru"} kind
 * @returns {Cell}
 */
function cellOf(weights, name, kind) {
  const part = (/** @type {string} */ which) => ({
    matrix: weights.matrix(`${name}.layer.weight_${which}_l0`),
    bias: weights.numbers(`${name}.layer.bias_${which}_l0`),
  });
  const [ofInput, ofHidden] = [part("ih"), part("hh")];
  if (kind === "lstm") {
    return (input, state) => {
      const gates = add(weights.apply(ofInput, input), weights.apply(ofHidden, state.hidden));
      const size = gates.length / 4;
      const [hidden, cell] = [new Float32Array(size), new Float32Array(size)];
      const before = /** @type {Float32Array} */ (state.cell);
      for (let i = 0; i < size; i++) {
        const kept = sigmoid(gates[size + i]) * before[i];
        cell[i] = kept + sigmoid(gates[i]) * Math.tanh(gates[2 * size + i]);
        hidden[i] = sigmoid(gates[3 * size + i]) * Math.tanh(cell[i]);
      }
      return { hidden, cell };
    };
  }
  return (input, state) => {
    const [given, past] = [weights.apply(ofInput, input), weights.apply(ofHidden, state.hidden)];
    const size = given.length / 3;
    const hidden = new Float32Array(size);
    for (let i = 0; i < size; i++) {
      const [reset, update] = [sigmoid(given[i] + past[i]), sigmoid(given[size + i] + past[size + i])];
      const fresh = Math.tanh(given[2 * size + i] + reset * past[2 * size + i]);
      hidden[i] = fresh + update * (state.hidden[i] - fresh);
    }
    return { hidden, cell: null };
  };
}

/**
 * Return what joins recurrent layers: `below` what a layer reads, `above` what it hands on.
 * @param {Weights} weights
 * @param {string} name
 * @param {number} count Layers.
 * @param {Record<string, any>} model
 */
function stackingOf(weights, name, count, model) {
  const norms = model.layer_norm ? Array.from({ length: count }, (_, n) => weights.linearNumbers(`${name}.norms.${n}`)) : null;
  return {
    below: (/** @type {number} */ layer, /** @type {Float32Array} */ input) => (layer === 0 || !norms ? input : layerNorm(input, norms[layer - 1])),
    above: (/** @type {number} */ layer, /** @type {Float32Array} */ input, /** @type {Float32Array} */ output) => {
      const summed = model.residual && layer > 0 ? add(input, output) : output;
      return norms && layer === count - 1 ? layerNorm(summed, norms[layer]) : summed;
    },
  };
}

/** @type {import("./family.js").Build} */
export function rnn(weights, { model, attention: settings }) {
  const { hidden_size: size, cell: kind } = model;
  const bottom = model.attention_layer === "bottom";
  const current = model.query === "current";
  const asking = bottom ? 1 : model.decoder_layers; // layers below the attention
  /** @type {(width: number) => CellState} */
  const zeros = (width) => ({ hidden: new Float32Array(width), cell: kind === "lstm" ? new Float32Array(width) : null });
  const embedder = (/** @type {string} */ side) => {
    const { data, stride, columns } = weights.matrix(`${side}.embedding.table`);
    return (/** @type {number} */ token) => data.slice(token * stride, token * stride + columns);
  };
  const [embedSource, embedTarget] = [embedder("encoder"), embedder("decoder")];
  const readers = Array.from({ length: model.encoder_layers }, (_, n) => ({
    forwards: cellOf(weights, `encoder.layers.${n}.forwards`, kind),
    backwards: model.bidirectional ? cellOf(weights, `encoder.layers.${n}.backwards`, kind) : null,
  }));
  const width = model.bidirectional ? size / 2 : size; // of what one direction reads
  const reading = stackingOf(weights, "encoder.stacking", model.encoder_layers, model);
  const lexical = weights.has("encoder.lexical.weight") ? weights.linear("encoder.lexical") : null;
  const cells = Array.from({ length: model.decoder_layers }, (_, n) => cellOf(weights, `decoder.cells.${n}`, kind));
  const writing = stackingOf(weights, "decoder.stacking", model.decoder_layers, model);
  const firstState = weights.linear("decoder.first_state");
  const attention = new Attention(weights, "decoder.attention", { ...settings, querySize: size, keySize: size });
  const combine = weights.linear(current || bottom ? "decoder.combine" : "decoder.readout");

  /**
   * Return the outputs of one direction of a layer.
   * @param {Cell} cell
   * @param {Float32Array[]} inputs
   */
  const run = (cell, inputs) => {
    let state = zeros(width);
    return inputs.map((input) => (state = cell(input, state)).hidden);
  };

  /**
   * Run an input through the layers from number `first` on. Each reads the context, if given, beside what comes from below.
   * @param {Float32Array} input
   * @param {CellState[]} states
   * @param {number} first
   * @param {Float32Array | null} context
   * @returns {[Float32Array, CellState[]]}
   */
  const runCells = (input, states, first, context) => {
    const after = states.map((state, i) => {
      const below = writing.below(first + i, input);
      const made = cells[first + i](context ? joined(below, context) : below, state);
      input = writing.above(first + i, input, made.hidden);
      return made;
    });
    return [input, after];
  };
  const tanh = (/** @type {Float32Array} */ vector) => vector.map(Math.tanh);

  /** @type {Family} */
  return {
    attentions: ["attention"],
    start(ids) {
      const embedded = ids.map(embedSource);
      /** @type {Float32Array[]} */
      let states = embedded;
      readers.forEach(({ forwards, backwards }, n) => {
        const inputs = states.map((state) => reading.below(n, state));
        const ahead = run(forwards, inputs);
        const back = backwards && run(backwards, [...inputs].reverse()).reverse();
        states = states.map((state, i) => reading.above(n, state, back ? joined(ahead[i], back[i]) : ahead[i]));
      });
      if (model.lexical_memory) states = states.map((state, i) => add(state, lexical ? weights.apply(lexical, embedded[i]) : embedded[i]));
      const summary = joined(states[states.length - 1].subarray(0, width), states[0].subarray(width));
      const first = tanh(weights.apply(firstState, summary));
      const parts = Array.from({ length: first.length / size }, (_, i) => first.slice(i * size, (i + 1) * size));
      const started = cells.map((_, n) => (kind === "lstm" ? { hidden: parts[2 * n], cell: parts[2 * n + 1] } : { hidden: parts[n], cell: null }));
      const feed = model.input_feeding ? new Float32Array(combine.matrix.rows) : null;
      const carried = [{ attention: attention.start(ids.length), cells: started, feed }];
      return { state: { position: 0, memories: [attention.remember(states, states)], carried }, attended: {} };
    },
    step(token, state) {
      const embedded = embedTarget(token);
      const before = /** @type {RecurrentState} */ (state.carried[0]);
      const attend = (/** @type {Float32Array} */ query) => attention.attend(query, state.memories[0], before.attention);
      let [found, features, after] = [/** @type {import("./attention.js").Attended | null} */ (null), embedded, before.cells];
      if (!current && !bottom) {
        found = attend(before.cells[before.cells.length - 1].hidden);
        const [hidden, made] = runCells(joined(embedded, found.context), before.cells, 0, null);
        [features, after] = [tanh(weights.apply(combine, joined(embedded, hidden, found.context))), made];
      } else {
        if (!current) found = attend(before.cells[0].hidden);
        const [hidden, below] = runCells(before.feed ? joined(embedded, before.feed) : embedded, before.cells.slice(0, asking), 0, null);
        found ??= attend(hidden);
        const [top, above] = runCells(hidden, before.cells.slice(asking), asking, found.context);
        [features, after] = [tanh(weights.apply(combine, joined(found.context, top))), [...below, ...above]];
      }
      const carried = [{ attention: found.state, cells: after, feed: before.feed && features }];
      return { features, state: { ...state, position: state.position + 1, carried }, attended: { attention: found.weights } };
    },
  };
}
