// @ts-check
/**
 * Greedy and beam search, as `attentio.search` does them, for one sentence.
 *
 * At every step the model runs once for each open hypothesis. A sentence is done when it has as many finished hypotheses
 * as the beam is wide and no open one outranks the worst of them, or at its maximal length.
 */

import { BOS, EOS } from "./tokenizer.js";
import { logSumExp } from "./product.js";

/** @typedef {import("./family.js").Model} Model */
/** @typedef {import("./family.js").State} State */
/** @typedef {import("./family.js").Attended} Attended */
/** @typedef {{before: Written | null, token: number, logProb: number, attended: Attended, logits: Float32Array}} Written One token of a hypothesis, and those before it. */
/** @typedef {{recent: number[], same: number[]}} Loops The last tokens, newest first, and how many in a row equal those 1, 2, … before. */
/** @typedef {{state: State, total: number, written: Written | null, loops: Loops, wanted: Set<number> | null}} Open */
/** @typedef {{tokens: number[], logProbs: number[], score: number, steps: Written[]}} Hypothesis */
/** @typedef {{size: number, lengthPenalty: number}} Beam `size` 1 is greedy search. */
/** @typedef {{wanted: number[], never: number[]} | null} Once Tokens that are written exactly once, and those that never are beside them. */

const LONGEST_LOOP = 16;

/** Which tokens would write a run over and over. */
export class NoLoops {
  /** @param {string[]} tokens */
  constructor(tokens) {
    this.alone = tokens.map((token) => (/\p{L}/u.test(token) ? 3 : 8));
    this.most = Array.from({ length: LONGEST_LOOP }, (_, i) => (i + 1) * (i + 1 <= 3 ? 3 : 2) - 1);
  }

  /** @returns {Loops} */
  start() {
    return { recent: new Array(LONGEST_LOOP).fill(-1), same: new Array(LONGEST_LOOP).fill(0) };
  }

  /**
   * @param {Loops} loops
   * @param {number} token
   * @returns {Loops}
   */
  advance({ recent, same }, token) {
    return { recent: [token, ...recent.slice(0, -1)], same: recent.map((one, i) => (one === token ? same[i] + 1 : 0)) };
  }

  /**
   * @param {Loops} loops
   * @returns {number[]}
   */
  banned({ recent, same }) {
    return recent.filter((_, i) => {
      const most = i ? this.most[i] : (this.alone[recent[0]] ?? 1) - 1;
      // A run of one token again and again is judged as that token.
      return same[i] >= Math.max(1, most) && (i === 0 || same[0] < i);
    });
  }
}

/**
 * Return the hypotheses of a source, best first. None where no translation writes what is wanted.
 * @param {Model} model
 * @param {number[]} source Ids without eos.
 * @param {Beam} beam
 * @param {NoLoops} noLoops
 * @param {Once} [once]
 * @returns {{hypotheses: Hypothesis[], attended: Attended}}
 */
export function search(model, source, { size, lengthPenalty }, noLoops, once = null) {
  const longest = 3 * source.length + 10;
  const { state, attended } = model.start(source);
  const rank = (/** @type {number} */ total, /** @type {number} */ length) => total / Math.max(1, length) ** lengthPenalty;
  /** @type {Open[]} */
  let open = [{ state, total: 0, written: null, loops: noLoops.start(), wanted: once && new Set(once.wanted) }];
  /** @type {Hypothesis[]} */
  let found = [];
  for (let length = 1; length <= longest; length++) {
    const choices = continuations(model, open, size, longest - length, noLoops, once);
    for (const { row, token, logProb, total, stays } of choices) {
      if (token !== EOS && !(stays && length === longest)) continue;
      found.push(read({ ...row, token, logProb }, total, (all) => rank(all, length)));
      found.sort((a, b) => b.score - a.score);
    }
    found = found.slice(0, size);
    const staying = choices.filter(({ stays }) => stays);
    if (!staying.length || (found.length === size && found[size - 1].score >= rank(staying[0].total, length))) break;
    open = staying.map(({ row, after, token, logProb, total, loops, wanted }) => ({
      state: after,
      total,
      written: { ...row, token, logProb },
      loops: noLoops.advance(loops, token),
      wanted: wanted && new Set([...wanted].filter((one) => one !== token)),
    }));
  }
  return { hypotheses: found, attended };
}

/** @typedef {{row: Omit<Written, "token" | "logProb">, after: State, loops: Loops, wanted: Set<number> | null, token: number, logProb: number, total: number, stays: boolean}} Choice */

/**
 * Return what is finished or stays open after one step, likeliest first.
 * @param {Model} model
 * @param {Open[]} open
 * @param {number} size
 * @param {number} left Tokens that may follow.
 * @param {NoLoops} noLoops
 * @param {Once} once
 * @returns {Choice[]}
 */
function continuations(model, open, size, left, noLoops, once) {
  /** @type {(Choice & {stage: number})[]} */
  const all = [];
  for (const { state, total, written, loops, wanted } of open) {
    const { logits, state: after, attended } = model.step(written ? written.token : BOS, state);
    const sum = logSumExp(logits);
    const banned = new Set(noLoops.banned(loops));
    if (once && wanted) {
      for (const token of [...once.never, ...once.wanted]) if (!wanted.has(token)) banned.add(token);
    }
    const row = { before: written, attended, logits };
    const missing = wanted?.size ?? 0;
    const stages = missing ? [(/** @type {number} */ token) => Number(wanted?.has(token)) === 0, (/** @type {number} */ token) => Boolean(wanted?.has(token))] : [() => true];
    for (const [place, belongs] of stages.entries()) {
      const stage = missing - place;
      if (stage > left) continue;
      const allowed = (/** @type {number} */ token) => !banned.has(token) && belongs(token) && !(token === EOS && stage > 0);
      for (const token of likeliest(logits, size === 1 ? 1 : 2 * size, allowed)) {
        const logProb = logits[token] - sum;
        all.push({ row, after, loops, wanted, token, logProb, total: total + logProb, stays: false, stage });
      }
    }
  }
  all.sort((a, b) => b.total - a.total);
  return once ? sharedOut(all, size) : taken(all, size);
}

/**
 * Return what a beam takes: of the 2 K likeliest those of the first K that end, and the first K that do not end.
 * @param {Choice[]} all
 * @param {number} size
 */
function taken(all, size) {
  const first = all.slice(0, size === 1 ? 1 : 2 * size);
  let places = size;
  for (const choice of first) if (choice.token !== EOS && places > 0) [choice.stays, places] = [true, places - 1];
  return first.filter((choice, i) => choice.stays || (choice.token === EOS && i < size));
}

/**
 * Return what a beam takes where tokens are wanted: the best of each stage first, then the second of each (Post 2018).
 * @param {(Choice & {stage: number})[]} all
 * @param {number} size
 */
function sharedOut(all, size) {
  const count = Math.max(0, ...all.map(({ stage }) => stage)) + 1;
  /** @type {[number, Choice][]} */
  const turns = [];
  /** @type {Choice[]} */
  const ended = [];
  for (let stage = 0; stage < count; stage++) {
    const best = all.filter((choice) => choice.stage === stage).slice(0, 2 * size);
    ended.push(...best.filter(({ token }, i) => token === EOS && i < size));
    best.filter(({ token }) => token !== EOS).forEach((choice, rank) => turns.push([rank, choice]));
  }
  // Of the same rank, those that miss least come first: sorting keeps their order.
  const staying = turns.sort((a, b) => a[0] - b[0]).slice(0, size).map(([, choice]) => choice);
  for (const choice of staying) choice.stays = true;
  return [...ended, ...staying.sort((a, b) => b.total - a.total)];
}

/**
 * Return the tokens with the highest logits, highest first.
 * @param {Float32Array} logits
 * @param {number} count
 * @param {(token: number) => boolean} [allowed]
 * @returns {number[]}
 */
export function likeliest(logits, count, allowed = () => true) {
  /** @type {number[]} */
  const best = [];
  let least = -Infinity;
  for (let token = 0; token < logits.length; token++) {
    const logit = logits[token];
    if (logit === -Infinity || (best.length === count && logit <= least) || !allowed(token)) continue;
    let place = best.length;
    while (place > 0 && logits[best[place - 1]] < logit) place -= 1;
    best.splice(place, 0, token);
    if (best.length > count) best.pop();
    least = logits[best[best.length - 1]];
  }
  return best;
}

/**
 * Return the hypothesis that ends with a token.
 * @param {Written} last
 * @param {number} total
 * @param {(total: number) => number} rank
 * @returns {Hypothesis}
 */
function read(last, total, rank) {
  /** @type {Written[]} */
  const steps = [];
  for (let at = /** @type {Written | null} */ (last); at; at = at.before) steps.unshift(at);
  return { tokens: steps.map(({ token }) => token), logProbs: steps.map(({ logProb }) => logProb), score: rank(total), steps };
}
