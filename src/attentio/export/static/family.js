// @ts-check
/** What every family of models offers, and the model that puts the output layer on top. */

import { cnn } from "./cnn.js";
import { rnn } from "./rnn.js";
import { transformer } from "./transformer.js";
import { logSumExp } from "./product.js";
import { EOS, BOS, PAD } from "./tokenizer.js";

/** @typedef {import("./product.js").Weights} Weights */
/** @typedef {import("./attention.js").Memory} Memory */
/** @typedef {import("./attention.js").AttentionSettings} AttentionSettings */
/** @typedef {Omit<AttentionSettings, "querySize" | "keySize">} AttentionChoice */
/** @typedef {{model: Record<string, any>, attention: AttentionChoice, selfAttention: AttentionChoice, decoderSelfAttention: AttentionChoice}} Architecture */
/** @typedef {{position: number, memories: Memory[], carried: any[], source?: number[]}} State What a decoder carries. `source`: the ids that a lexicon is asked about. It is never changed, so that hypotheses share it. */
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
    this.lexicon = architecture.model.lexicon ? { tokens: weights.numbers("lexicon.tokens"), after: weights.numbers("lexicon.after"), shares: weights.numbers("lexicon.shares") } : null;
    this.most = this.lexicon ? this.lexicon.tokens.length / weights.matrix("encoder.embedding.table").rows : 0;
  }

  /**
   * Return the state before the first token, and what the encoder attended to.
   * @param {number[]} source Ids without eos.
   */
  start(source) {
    const ids = [...source, EOS];
    const { state, attended } = this.family.start(ids);
    return { state: { ...state, source: ids }, attended };
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
    if (this.lexicon && state.source) this.mix(logits, token, state.source, attended[this.attentions[this.attentions.length - 1]]);
    logits[PAD] = logits[BOS] = -Infinity;
    return { logits, state: { ...after, source: state.source }, attended };
  }

  /**
   * Mix what a lexicon knows of source tokens into logits, as `attentio.model.lexicon` does. They are log-probabilities then.
   * @param {Float32Array} logits
   * @param {number} before The target token before.
   * @param {number[]} source
   * @param {Float32Array} weights Of each head in turn (H * S).
   */
  mix(logits, before, source, weights) {
    const { tokens, after, shares } = /** @type {{tokens: Float32Array, after: Float32Array, shares: Float32Array}} */ (this.lexicon);
    const heads = weights.length / source.length;
    /** @type {Map<number, number>} */
    const said = new Map();
    let all = 0;
    source.forEach((id, place) => {
      let weight = 0;
      for (let head = 0; head < heads; head++) weight += weights[head * source.length + place] / heads;
      const begun = tokens.subarray(id * this.most, (id + 1) * this.most).includes(before);
      for (let at = id * this.most; at < (id + 1) * this.most; at++) {
        if (shares[at] === 0 || after[at] !== (begun ? before : 0)) continue;
        said.set(tokens[at], (said.get(tokens[at]) ?? 0) + weight * shares[at]);
        all += weight * shares[at];
      }
    });
    const alone = Math.log1p(-all) - logSumExp(logits);
    for (let token = 0; token < logits.length; token++) logits[token] += alone;
    for (const [token, share] of said) logits[token] = Math.log(Math.exp(logits[token]) + share);
  }
}
