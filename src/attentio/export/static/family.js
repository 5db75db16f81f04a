// @ts-check
/** What every family of models offers, and the model that puts the output layer on top. */

import { cnn } from "./cnn.js";
import { rnn } from "./rnn.js";
import { transformer } from "./transformer.js";
import { EOS, BOS, PAD } from "./tokenizer.js";

/** @typedef {import("./product.js").Weights} Weights */
/** @typedef {import("./attention.js").Memory} Memory */
/** @typedef {import("./attention.js").AttentionSettings} AttentionSettings */
/** @typedef {Omit<AttentionSettings, "querySize" | "keySize">} AttentionChoice */
/** @typedef {{model: Record<string, any>, attention: AttentionChoice, selfAttention: AttentionChoice, decoderSelfAttention: AttentionChoice}} Architecture */
/** @typedef {{position: number, memories: Memory[], carried: any[]}} State What a decoder carries. It is never changed, so that hypotheses share it. */
/** @typedef {Record<string, Float32Array>} Attended Name of an attention -> weights (H * S), in the encoder (H * S * S). */
/**
 * @typedef {object} Family
 * @property {string[]} attentions Names of the attentions to the source, lowest first.
 * @property {(ids: number[]) => {state: State, attended: Attended}} start The state before the first token, for source ids with eos.
 * @property {(token: number, state: State) => {features: Float32Array, state: State, attended: Attended}} step
 */
/** @typedef {(weights: Weights, architecture: Architecture) => Family} Build */
/** @typedef {{logits: Float32Array, state: State, attended: Attended}} Step */

/** @type {Record<string, Build>} */
export const FAMILIES = { rnn, cnn, transformer };

/** A family with its output layer. */
export class Model {
  /**
   * @param {Weights} weights
   * @param {Architecture} architecture
   */
  constructor(weights, architecture) {
    this.weights = weights;
    this.family = FAMILIES[architecture.model.family](weights, architecture);
    this.output = { matrix: weights.matrix("decoder.output"), bias: weights.numbers("decoder.bias") };
    this.attentions = this.family.attentions;
  }

  /**
   * Return the state before the first token, and what the encoder attended to.
   * @param {number[]} source Ids without eos.
   */
  start(source) {
    return this.family.start([...source, EOS]);
  }

  /**
   * Return the logits after a token. Padding and begin are never written.
   * @param {number} token
   * @param {State} state
   * @returns {Step}
   */
  step(token, state) {
    const { features, state: after, attended } = this.family.step(token, state);
    const logits = this.weights.apply(this.output, features);
    logits[PAD] = logits[BOS] = -Infinity;
    return { logits, state: after, attended };
  }
}
