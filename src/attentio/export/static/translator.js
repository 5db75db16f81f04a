// @ts-check
/** Text in, text out, with what the model attended to: as `attentio.translator`, for the model that a page holds. */

import { Model } from "./family.js";
import { Weights } from "./product.js";
import { likeliest, NoLoops, search } from "./search.js";
import { cutAround, lengthOf, missing, strip, Text, unkept, WHITE, withoutKept } from "./text.js";
import { openTokenizer } from "./tokenizer.js";

/** @typedef {import("./text.js").Span} Span */
/** @typedef {import("./search.js").Beam} Beam */
/** @typedef {import("./search.js").Hypothesis} Hypothesis */
/** @typedef {{language: string | null, cleaner: import("./text.js").CleanerSettings, tokenizer: import("./tokenizer.js").StoredTokenizer}} StoredSide */
/**
 * @typedef {object} StoredModel What a page holds beside the weights.
 * @property {string} name
 * @property {import("./family.js").Architecture} architecture
 * @property {StoredSide} source
 * @property {StoredSide} target
 * @property {import("./text.js").Ranges} ranges
 * @property {number} longestSource Longer sentences are translated in parts.
 * @property {boolean} placeholders Whether what must be kept is hidden.
 * @property {import("./product.js").StoredTensor[]} tensors
 */
/** @typedef {Record<string, number[][][]>} Layers Name of an attention -> weights by head, row and column. */
/**
 * @typedef {object} Trace What `<attention-map>` shows.
 * @property {string} source
 * @property {string} target
 * @property {string[]} source_tokens
 * @property {string[]} target_tokens
 * @property {Span[]} source_spans
 * @property {Span[]} target_spans
 * @property {Layers} weights
 * @property {Layers} encoder_self
 * @property {Layers} decoder_self
 * @property {number[]} token_log_probs
 * @property {[string, number][][]} candidates
 * @property {number} score
 * @property {{source: Span[], target: Span[]}} words
 * @property {string} name
 */
/**
 * @typedef {object} Part A sentence, or a part of one that is too long.
 * @property {string} source
 * @property {string} text
 * @property {number} score
 * @property {{text: string, score: number}[]} nbest
 * @property {string[]} unseen
 * @property {string[]} lost
 * @property {string[]} around What it was cut at, so that it is kept.
 * @property {((n: number) => Trace) | null} trace What hypothesis number n attended to. Null where nothing did.
 * @property {Part[]} leaves What was translated at once: the part itself, or what stands between what is kept.
 */
/** @typedef {{text: string, score: number, parts: Part[], unseen: string[], lost: string[], around: string[], cut: boolean}} Translation */
/** @typedef {{masked: string, kept: Map<string, string>, sentence: number}} Piece */

const CANDIDATES = 5;
const SEARCH_AGAIN = 5; // the least beam, where something that must be kept is lost
const EOS_TOKEN = "</s>";

const ENDS = new RegExp(`[${WHITE}]*[.!?。！？…]+$`, "u");

/**
 * Return a part that is nothing but what must be kept as its own translation.
 * @param {string} text
 * @returns {Part}
 */
const copied = (text) => ({ source: text, text, score: 0, nbest: [{ text, score: 0 }], unseen: [], lost: [], around: [], trace: null, leaves: [] });

/** Translates with one model. */
export class Translator {
  /**
   * @param {StoredModel} stored
   * @param {ArrayBuffer} bytes The weights.
   * @param {boolean} [plain] Whether products are computed without WebAssembly.
   */
  constructor(stored, bytes, plain = false) {
    this.stored = stored;
    this.weights = new Weights(stored.tensors, bytes, plain);
    this.model = new Model(this.weights, stored.architecture);
    this.text = new Text(stored.ranges);
    this.source = openTokenizer(stored.source.tokenizer, stored.ranges);
    this.target = openTokenizer(stored.target.tokenizer, stored.ranges);
    this.noLoops = new NoLoops(this.target.tokens);
  }

  /**
   * Translate a text. `split`: its sentences one by one.
   * @param {string} text
   * @param {Partial<Beam> & {split?: boolean}} [asked]
   * @returns {Translation}
   */
  translate(text, asked = {}) {
    const steps = this.translateInSteps(text, asked);
    for (;;) {
      const { done, value } = steps.next();
      if (done) return value;
    }
  }

  /**
   * As `translate`, but give after each part how many there are and are done, so that a page can go on in between.
   * @param {string} text
   * @param {Partial<Beam> & {split?: boolean}} [asked]
   * @returns {Generator<[number, number], Translation>}
   */
  *translateInSteps(text, { size = 1, lengthPenalty = 1, split = true } = {}) {
    const sentences = split
      ? this.text.sentences(text, this.stored.source.language ?? "")
      : { texts: [oneLine(text)], spaces: ["", ""] };
    const pieces = sentences.texts.flatMap((sentence, number) => this.pieces(sentence, number));
    /** @type {Part[]} */
    const parts = [];
    for (const piece of pieces) {
      parts.push(this.mended(this.part(piece, { size, lengthPenalty }), { size, lengthPenalty }));
      yield [parts.length, pieces.length];
    }
    const bySentence = sentences.texts.map((_, number) => parts.filter((_part, i) => pieces[i].sentence === number));
    return {
      text: parts.length ? this.text.join(sentences, bySentence.map((group) => this.text.joinParts(group.map((part) => part.text)))) : "",
      score: parts.reduce((sum, part) => sum + part.score, 0) / Math.max(1, parts.length),
      parts,
      around: parts.flatMap((part) => part.around),
      unseen: [...new Set(parts.flatMap((part) => part.unseen))],
      lost: parts.flatMap((part) => part.lost),
      cut: bySentence.some((group) => group.length > 1),
    };
  }

  /**
   * Return whether a text has no more tokens than any source in training. Much longer ones are not counted.
   * @param {string} text
   */
  fits(text) {
    const most = this.stored.longestSource;
    return lengthOf(text) <= most * this.source.reach && this.source.encode(text).length <= most;
  }

  /**
   * Return what the model reads at once of a sentence, masked and cleaned.
   * @param {string} sentence
   * @param {number} number
   * @returns {Piece[]}
   */
  pieces(sentence, number) {
    const { text, kept } = this.stored.placeholders ? this.text.mask(sentence) : { text: sentence, kept: new Map() };
    const cleaned = this.text.clean(text, this.stored.source.cleaner);
    if (!strip(cleaned)) return [];
    return this.text.cut(cleaned, (part) => this.fits(part)).map((masked) => {
      return { masked, kept: new Map([...kept].filter(([placeholder]) => masked.includes(placeholder))), sentence: number };
    });
  }

  /**
   * Return what the model makes of what it reads at once. A part that is nothing but what must be kept is copied.
   * @param {Piece} piece
   * @param {Beam} beam
   * @returns {Part}
   */
  part({ masked, kept }, beam) {
    const hidden = this.stored.placeholders ? kept : null;
    const read = this.text.restore(masked, hidden).text;
    const rest = kept.size ? masked.replace(this.text.taken, "") : withoutKept(masked);
    if (rest !== masked && !/[\p{L}\p{N}]/u.test(rest)) return copied(read);
    const source = this.source.encode(masked);
    let { hypotheses, attended } = search(this.model, source, beam, this.noLoops);
    const lostOf = (/** @type {Hypothesis} */ one) => missing(this.target.decode(one.tokens), kept);
    let lost = lostOf(hypotheses[0]);
    if (lost.length) {
      // Search again, with each placeholder wanted exactly once.
      const ids = (/** @type {Iterable<string>} */ all) => [...all].map((one) => this.target.tokens.indexOf(one));
      const once = { wanted: ids(kept.keys()), never: ids(this.stored.ranges.placeholders) };
      const wider = { ...beam, size: Math.max(beam.size, SEARCH_AGAIN) };
      const again = search(this.model, source, wider, this.noLoops, once);
      if (again.hypotheses.length && lostOf(again.hypotheses[0]).length < lost.length) {
        hypotheses = again.hypotheses.slice(0, hypotheses.length);
        lost = lostOf(hypotheses[0]);
      }
    }
    const nbest = hypotheses.map(({ tokens, score }) => ({ text: this.text.restore(this.target.decode(tokens), hidden, { apart: true }).text, score }));
    /** @type {Part} */
    const part = {
      source: read,
      text: nbest[0].text,
      score: nbest[0].score,
      nbest,
      unseen: this.source.unseen(masked),
      lost: lost.map((placeholder) => /** @type {string} */ (kept.get(placeholder))),
      around: [],
      trace: (n) => this.trace(masked, source, hypotheses[n], attended, hidden),
      leaves: [],
    };
    part.leaves.push(part);
    return part;
  }

  /**
   * Return a part with what it must keep: where some is lost, what stands between is translated by itself.
   *
   * A model without placeholders may write numbers that it has seen in training in another way.
   * @param {Part} part
   * @param {Beam} beam
   * @returns {Part}
   */
  mended(part, beam) {
    const lacking = unkept(part.source, part.text);
    if (!lacking.length) return part;
    const unseen = new Set(Array.from(part.unseen.join("")));
    const known = (/** @type {string} */ one) => /^[0-9]/.test(one) && !Array.from(one).some((char) => unseen.has(char));
    if (!this.stored.placeholders && lacking.every(known)) return { ...part, lost: lacking };
    const cut = cutAround(part.source);
    /** @type {Part[]} */
    const leaves = [];
    let text = "";
    cut.forEach((between, i) => {
      const bare = strip(between);
      if (i % 2 || !/\p{L}/u.test(between)) {
        text += between;
        return;
      }
      const group = this.text.cut(bare, (one) => this.fits(one)).map((masked) => this.part({ masked, kept: new Map(), sentence: 0 }, beam));
      leaves.push(...group);
      let written = this.text.joinParts(group.map((one) => one.text));
      if (!ENDS.test(bare)) written = written.replace(ENDS, ""); // a model ends whatever it is given
      const start = between.indexOf(bare);
      text += between.slice(0, start) + written + between.slice(start + bare.length);
    });
    const score = leaves.reduce((sum, leaf) => sum + leaf.score, 0) / Math.max(1, leaves.length);
    const around = cut.filter((_, i) => i % 2);
    const traced = leaves.flatMap((leaf) => leaf.leaves);
    return { ...part, text: strip(text), score, nbest: [{ text: strip(text), score }], lost: [], around, trace: null, leaves: traced };
  }

  /**
   * Return what a hypothesis attended to.
   * @param {string} masked
   * @param {number[]} source
   * @param {Hypothesis} hypothesis
   * @param {import("./family.js").Attended} attended What the encoder attended to.
   * @param {Map<string, string> | null} hidden
   * @returns {Trace}
   */
  trace(masked, source, { tokens, logProbs, score, steps }, attended, hidden) {
    const decoded = this.target.decode(tokens);
    const [read, written] = [this.text.restore(masked, hidden), this.text.restore(decoded, hidden, { apart: true })];
    const placed = (/** @type {Span[]} */ spans, /** @type {import("./text.js").Restored} */ { starts, ends }) =>
      spans.map(([start, end]) => /** @type {Span} */ ([starts[start], end > start ? ends[end - 1] : starts[start]]));
    const end = lengthOf(read.text);
    const length = source.length + 1;
    const [across, encoder, decoder] = /** @type {Layers[]} */ ([{}, {}, {}]);
    for (const name of this.model.attentions) across[name] = byHead(steps.map((step) => step.attended[name]), length);
    for (const name of Object.keys(steps[0].attended)) {
      if (name in across) continue;
      // A token sees those before it: its row is filled up with zeros.
      const heads = steps[0].attended[name].length; // the first token sees the beginning alone
      decoder[name] = Array.from({ length: heads }, (_, head) =>
        steps.map(({ attended: seen }, t) => [...seen[name].subarray(head * (t + 1), (head + 1) * (t + 1)), ...new Array(steps.length - t).fill(0)]),
      );
    }
    for (const [name, weights] of Object.entries(attended)) {
      const heads = weights.length / length / length;
      encoder[name] = Array.from({ length: heads }, (_, head) =>
        Array.from({ length }, (_row, i) => [...weights.subarray((head * length + i) * length, (head * length + i + 1) * length)]),
      );
    }
    return {
      source: read.text,
      target: written.text,
      source_tokens: [...source.map((id) => this.source.tokens[id]), EOS_TOKEN],
      target_tokens: tokens.map((id) => this.target.tokens[id]),
      source_spans: [...placed(this.source.spans(masked), read), [end, end]],
      target_spans: placed(this.spansOf(tokens, decoded), written),
      weights: across,
      encoder_self: encoder,
      decoder_self: decoder,
      token_log_probs: logProbs,
      candidates: steps.map(({ logits }) => this.candidates(logits)),
      score,
      words: { source: this.text.words(read.text), target: this.text.words(written.text) },
      name: this.stored.name,
    };
  }

  /**
   * Return the likeliest tokens with their probabilities.
   * @param {Float32Array} logits
   * @returns {[string, number][]}
   */
  candidates(logits) {
    const best = likeliest(logits, CANDIDATES);
    const sum = logits.reduce((all, logit) => all + Math.exp(logit - logits[best[0]]), 0);
    return best.map((token) => [this.target.tokens[token], Math.exp(logits[token] - logits[best[0]]) / sum]);
  }

  /**
   * Return the characters of `text` that each token added. One that shows nothing has an empty span.
   * @param {number[]} tokens
   * @param {string} text
   * @returns {Span[]}
   */
  spansOf(tokens, text) {
    const chars = Array.from(text);
    let end = 0;
    return tokens.map((_, i) => {
      const prefix = this.target.decode(tokens.slice(0, i + 1));
      const reached = text.startsWith(prefix) ? lengthOf(prefix) : end;
      let start = end;
      while (start < reached && !strip(chars[start])) start += 1;
      end = Math.max(end, reached);
      return /** @type {Span} */ ([start, Math.max(start, reached)]);
    });
  }
}

/**
 * Return rows (H * S) of T steps by head.
 * @param {Float32Array[]} rows
 * @param {number} length S
 * @returns {number[][][]}
 */
function byHead(rows, length) {
  const heads = rows[0].length / length;
  return Array.from({ length: heads }, (_, head) => rows.map((row) => [...row.subarray(head * length, (head + 1) * length)]));
}

/** @param {string} text */
const oneLine = (text) => strip(text.replace(/[\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+/gu, " "));

/**
 * Return the bytes of a text in base64.
 * @param {string} text
 * @returns {ArrayBuffer}
 */
export function fromBase64(text) {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes.buffer;
}

/**
 * Return what a model makes of sentences, with the weights of every attention: for comparing it with Python.
 * @param {string} model As JSON.
 * @param {string} weights In base64.
 * @param {string[]} sentences
 * @param {number} size Of the beam.
 */
export function answersOf(model, weights, sentences, size) {
  const translator = new Translator(JSON.parse(model), fromBase64(weights));
  return sentences.map((sentence) => {
    const { text, score, parts } = translator.translate(sentence, { size, split: false });
    const trace = parts.length === 1 ? parts[0].trace?.(0) : null;
    return { text, score, weights: { ...trace?.weights, ...trace?.encoder_self, ...trace?.decoder_self } };
  });
}
