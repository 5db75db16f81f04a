// @ts-check
/**
 * Text to token ids and back: words, characters and SentencePiece, each the same as in Python. And what imported models
 * have: words between spaces, and SentencePiece whose tokens another vocabulary numbers.
 *
 * SentencePiece models are byte-pair encodings or unigram models. A character that is no token falls back to its bytes.
 */

import { lengthOf, WHITE } from "./text.js";

/** @typedef {import("./text.js").Span} Span */
/**
 * @typedef {object} StoredTokenizer
 * @property {"word" | "char" | "sentencepiece" | "space" | "numbered"} kind
 * @property {string[]} tokens The token of each id.
 * @property {"bpe" | "unigram"} [model]
 * @property {number[]} [scores]
 * @property {number[]} [bytes] Ids of the 256 bytes, empty where there are none.
 * @property {number[]} [whole] Ids of tokens that are taken whole wherever they stand: user-defined ones.
 * @property {number[]} [unused] Ids that are never taken: control tokens, unknown, and unused ones.
 * @property {number[]} [control] Those among them that write nothing.
 * @property {boolean} [lowercase]
 * @property {boolean} [dummyPrefix] Whether a text begins with a space.
 * @property {boolean} [removeSpaces] Whether spaces at the edges, and repeated ones, are left out.
 * @property {string} [rules] What is replaced before, as SentencePiece stores it, in base64. Empty for nothing.
 * @property {StoredTokenizer} [cut] SentencePiece that cuts the text, where `tokens` only number what it cuts.
 * @property {string} [before] The token that every text begins with, where it begins with none like it.
 */
/**
 * @typedef {object} Tokenizer
 * @property {string[]} tokens
 * @property {number} reach Characters that one token covers at most.
 * @property {(text: string) => number[]} encode Ids of the tokens, without begin and end.
 * @property {(ids: Iterable<number>) => string} decode The text. Padding, begin and end are left out.
 * @property {(text: string) => Span[]} spans For each id of `encode`, the characters it covers.
 * @property {(text: string) => string[]} unseen Words or characters that training never saw, each once.
 */

export const PAD = 0;
export const BOS = 1;
export const EOS = 2;
export const UNK = 3;
const UNKNOWN = "\ufffd";
const UNKNOWN_ID = -1; // of what SentencePiece cuts, while it is cut
const MARK = "\u2581"; // SentencePiece's space
const BETWEEN_SPACES = new RegExp(`[^${WHITE}]+`, "gu");
const CODE = new RegExp(`^(>>[^${WHITE}]+?<<) *`, "u");

/**
 * @param {StoredTokenizer} stored
 * @param {import("./text.js").Ranges} ranges
 * @returns {Tokenizer}
 */
export function openTokenizer(stored, ranges) {
  if (stored.kind === "sentencepiece") return new SentencePieceTokenizer(stored);
  if (stored.kind === "numbered") return new NumberedTokenizer(stored);
  if (stored.kind === "word") return new WordTokenizer(stored.tokens, ranges);
  if (stored.kind === "space") return new UnitTokenizer(stored.tokens, BETWEEN_SPACES, Infinity, " ");
  return new UnitTokenizer(stored.tokens, /./gsu, 1);
}

/** One token for each match of a pattern: a character, or what stands between spaces. */
class UnitTokenizer {
  /**
   * @param {string[]} tokens
   * @param {RegExp} pattern
   * @param {number} reach
   * @param {string} [glue] What stands between units.
   */
  constructor(tokens, pattern, reach, glue = "") {
    this.tokens = tokens;
    this.pattern = pattern;
    this.reach = reach;
    this.glue = glue;
    this.ids = new Map(tokens.map((token, id) => [token, id]));
  }

  /**
   * @param {string} text
   * @returns {string[]}
   */
  units(text) {
    return text.match(this.pattern) ?? [];
  }

  /** @param {string[]} units */
  join(units) {
    return units.join(this.glue);
  }

  /** @param {string} text */
  encode(text) {
    return this.units(text).map((unit) => this.ids.get(unit) ?? UNK);
  }

  /** @param {Iterable<number>} ids */
  decode(ids) {
    return this.join([...ids].filter((id) => id > EOS).map((id) => (id === UNK ? UNKNOWN : this.tokens[id])));
  }

  /**
   * @param {string} text
   * @returns {Span[]}
   */
  spans(text) {
    let [place, at] = [0, 0]; // in code points, and in UTF-16 units
    return [...text.matchAll(this.pattern)].map(({ 0: unit, index }) => {
      const start = place + lengthOf(text.slice(at, index));
      [place, at] = [start + lengthOf(unit), index + unit.length];
      return [start, place];
    });
  }

  /** @param {string} text */
  unseen(text) {
    return [...new Set(this.units(text).filter((unit) => !this.ids.has(unit)))];
  }
}

const NO_SPACE_BEFORE = new Set(".,!?;:)]}%…。，！？；：、）】》」』”");
const NO_SPACE_AFTER = new Set("([{（【《「『“¿¡");

class WordTokenizer extends UnitTokenizer {
  /**
   * @param {string[]} tokens
   * @param {import("./text.js").Ranges} ranges
   */
  constructor(tokens, ranges) {
    const alone = ranges.punctuation + ranges.placeholders;
    const inside = `[^${WHITE}${alone}]+`;
    super(tokens, new RegExp(`${inside}(?:(?:['’\\-]|(?<=\\p{Nd})[.,:](?=\\p{Nd}))${inside})*|[${alone}]`, "gu"), Infinity);
  }

  /** @param {string} text */
  units(text) {
    const ascii = /^[\x00-\x7f]*$/.test(text);
    return ascii ? super.units(text.toLowerCase()) : super.units(text).map((word) => word.toLowerCase());
  }

  /** @param {string[]} words */
  join(words) {
    let [text, glue] = ["", true];
    for (const word of words) {
      text += (glue || NO_SPACE_BEFORE.has(word) ? "" : " ") + word;
      glue = NO_SPACE_AFTER.has(word);
    }
    return text;
  }
}

/** A part of a text while it is cut: where it stands in the text, and whether it is a token that stays whole. */
/** @typedef {{text: string, start: number, end: number, whole: boolean}} Part */

class SentencePieceTokenizer {
  /** @param {StoredTokenizer} stored */
  constructor(stored) {
    this.stored = stored;
    this.tokens = stored.tokens;
    this.scores = Float32Array.from(stored.scores ?? []);
    this.bytes = stored.bytes ?? [];
    this.byteOf = new Map(this.bytes.map((id, byte) => [id, byte]));
    const hidden = new Set([...(stored.unused ?? []), ...this.bytes]);
    this.whole = new Set(stored.whole ?? []);
    /** @type {Map<string, number>} */
    this.ids = new Map();
    this.tokens.forEach((token, id) => void (hidden.has(id) || this.ids.set(token, id)));
    this.wholeTokens = [...this.whole].map((id) => this.tokens[id]).sort((a, b) => b.length - a.length);
    this.longest = [...this.ids.keys()].reduce((most, token) => Math.max(most, lengthOf(token)), 1);
    const known = this.tokens.filter((_, id) => id > UNK && !this.byteOf.has(id)).join("");
    this.known = new Set(`${known} `);
    const taken = [...this.ids.values()].filter((id) => !this.whole.has(id)).map((id) => this.scores[id]);
    this.lowest = taken.reduce((a, b) => Math.min(a, b), Infinity);
    this.highest = taken.reduce((a, b) => Math.max(a, b), 0); // SentencePiece, too, begins at 0
    this.rules = stored.rules ? new Rules(stored.rules) : null;
    // A rule may make one character of several, and without bytes all unknown ones side by side are one token.
    this.reach = this.rules || !this.bytes.length ? Infinity : this.longest;
  }

  /** @param {string} text */
  encode(text) {
    return this.pieces(text).map(([id]) => (id === UNKNOWN_ID ? UNK : id));
  }

  /**
   * @param {string} text
   * @returns {Span[]}
   */
  spans(text) {
    const chars = Array.from(text);
    const pieces = this.pieces(text);
    let after = 0;
    for (let i = pieces.length - 1; i >= 0; i--) {
      const [id, start, end] = pieces[i];
      // Of a character that a rule made into several, each byte covers all of it.
      pieces[i][2] = after = this.byteOf.has(id) && start === end ? after : end;
    }
    return pieces.map(([, start, end]) => {
      let bare = start;
      while (bare < end && SPACE_ONLY.test(chars[bare])) bare += 1;
      return [bare < end ? bare : start, end];
    });
  }

  /** @param {string} text */
  unseen(text) {
    const chars = Array.from(text);
    const read = Array.from(this.read(text));
    return [...new Set(chars.filter((_, i) => !this.known.has(read[i])))];
  }

  /**
   * Return the text whose tokens are taken, as long as `text`.
   * @param {string} text
   */
  read(text) {
    return this.stored.lowercase ? lowered(text) : text;
  }

  /**
   * Return the tokens of a text with the characters of it that each covers, and what they are as text.
   * @param {string} text
   * @returns {[number, number, number, string][]}
   */
  pieces(text) {
    const parts = this.normalized(Array.from(this.read(text)));
    const cut = this.stored.model === "unigram" ? this.likeliest(parts) : this.merged(parts);
    /** @type {[number, number, number, string][]} */
    const found = [];
    for (const { text: piece, start, end } of cut) {
      const id = this.ids.get(piece);
      const last = found[found.length - 1];
      if (id !== undefined) found.push([id, start, end, piece]);
      else if (this.bytes.length) for (const byte of utf8(piece)) found.push([this.bytes[byte], start, end, this.tokens[this.bytes[byte]]]);
      else if (last?.[0] === UNKNOWN_ID) [last[2], last[3]] = [end, last[3] + piece];
      else found.push([UNKNOWN_ID, start, end, piece]);
    }
    return found;
  }

  /**
   * Return the characters that are cut into tokens: rules applied, spaces marked, user-defined tokens whole.
   * @param {string[]} chars
   * @returns {Part[]}
   */
  normalized(chars) {
    const { dummyPrefix, removeSpaces } = this.stored;
    /** @type {Part[]} */
    const parts = [];
    let begun = false;
    let afterSpace = Boolean(removeSpaces);
    for (let place = 0; place < chars.length; ) {
      const whole = this.wholeTokens.find((token) => chars.slice(place, place + lengthOf(token)).join("") === token);
      let [written, length] = [whole ?? chars[place], whole === undefined ? 1 : lengthOf(whole)];
      if (whole === undefined && this.rules) [written, length] = this.rules.apply(chars, place);
      if (removeSpaces && !begun && written === " ") {
        place += length;
        continue;
      }
      if (!begun && dummyPrefix) parts.push({ text: MARK, start: place, end: place, whole: false });
      begun = true;
      if (afterSpace) written = written.replace(/^ +/, "");
      if (written) {
        if (whole !== undefined && this.stored.model === "bpe") {
          parts.push({ text: written.replaceAll(" ", MARK), start: place, end: place + length, whole: true });
        } else {
          const all = Array.from(written, (char) => ({ text: char === " " ? MARK : char, start: place, end: place, whole: false }));
          all[all.length - 1].end = place + length;
          parts.push(...all);
        }
        afterSpace = Boolean(removeSpaces) && written.endsWith(" ");
      }
      place += length;
    }
    if (removeSpaces) while (parts.length && parts[parts.length - 1].text === MARK) parts.pop();
    return parts;
  }

  /**
   * Return the parts merged, the pair with the highest score first, of equals the left one (Sennrich 2016).
   * @param {Part[]} parts
   * @returns {Part[]}
   */
  merged(parts) {
    const now = [...parts];
    const worth = (/** @type {number} */ left) => {
      if (left < 0 || left + 1 >= now.length || now[left].whole || now[left + 1].whole) return -Infinity;
      const id = this.ids.get(now[left].text + now[left + 1].text);
      return id === undefined ? -Infinity : this.scores[id];
    };
    const scores = now.map((_, i) => worth(i));
    for (;;) {
      let best = -1;
      for (let i = 0; i < scores.length; i++) if (scores[i] > (best < 0 ? -Infinity : scores[best])) best = i;
      if (best < 0) return now;
      const [left, right] = [now[best], now[best + 1]];
      now.splice(best, 2, { text: left.text + right.text, start: left.start, end: right.end, whole: false });
      scores.splice(best, 2, worth(best));
      if (best > 0) scores[best - 1] = worth(best - 1);
    }
  }

  /**
   * Return the likeliest way to cut the parts into tokens (Kudo 2018).
   * @param {Part[]} parts
   * @returns {Part[]}
   */
  likeliest(parts) {
    const round = Math.fround;
    const unknown = round(this.lowest - 10);
    const best = Array.from({ length: parts.length + 1 }, () => ({ from: -1, score: 0 }));
    for (let start = 0; start < parts.length; start++) {
      const before = best[start].score;
      const reach = (/** @type {number} */ end, /** @type {number} */ score) => {
        const total = round(score + before);
        if (best[end].from < 0 || total > best[end].score) best[end] = { from: start, score: total };
      };
      let [text, single] = ["", false];
      for (let end = start + 1; end <= Math.min(parts.length, start + this.longest); end++) {
        text += parts[end - 1].text;
        const id = this.ids.get(text);
        if (id !== undefined) {
          reach(end, this.whole.has(id) ? round(utf8(text).length * this.highest - 0.1) : this.scores[id]);
          single ||= end === start + 1;
        }
      }
      if (!single) reach(start + 1, unknown);
    }
    /** @type {Part[]} */
    const cut = [];
    for (let end = parts.length; end > 0; ) {
      const { from } = best[end];
      const text = parts.slice(from, end).map((part) => part.text).join("");
      cut.push({ text, start: parts[from].start, end: parts[end - 1].end, whole: false });
      end = from;
    }
    return cut.reverse();
  }

  /** @param {Iterable<number>} ids */
  decode(ids) {
    return this.joined([...ids].filter((id) => id > EOS).map((id) => (id === UNK ? null : id)));
  }

  /**
   * Return the text of ids. Null stands for what is unknown, and a text for itself.
   * @param {(number | string | null)[]} ids
   */
  joined(ids) {
    let [text, beginSeen] = ["", false];
    /** @type {number[]} */
    let bytes = [];
    const flush = () => {
      text += fromUtf8(bytes);
      bytes = [];
    };
    for (const id of ids) {
      const byte = typeof id === "number" ? this.byteOf.get(id) : undefined;
      if (byte !== undefined) {
        bytes.push(byte);
        continue;
      }
      flush();
      if (typeof id === "string") {
        text += id;
        continue;
      }
      let token = id === null ? " \u2047 " : this.tokens[id];
      if (!beginSeen && !text && (this.stored.dummyPrefix || this.stored.removeSpaces) && token.startsWith(MARK)) {
        token = token.slice(1);
        beginSeen = !this.stored.removeSpaces;
      }
      text += token.replaceAll(MARK, " ");
    }
    flush();
    return text;
  }
}

/** SentencePiece cuts the text, and a vocabulary of its own numbers the tokens: of imported models. */
class NumberedTokenizer {
  /** @param {StoredTokenizer} stored */
  constructor(stored) {
    this.tokens = stored.tokens;
    this.before = stored.before ?? "";
    this.ids = new Map(stored.tokens.map((token, id) => [token, id]));
    this.cutter = new SentencePieceTokenizer(/** @type {StoredTokenizer} */ (stored.cut));
    const { tokens, bytes, stored: held } = this.cutter;
    const controls = new Set(held.control ?? []);
    const byteNames = new Set(bytes.map((id) => tokens[id]));
    /** @type {Map<string, number | string>} */
    this.written = new Map(tokens.map((token, id) => [token, controls.has(id) ? "" : id]));
    this.known = new Set(stored.tokens.filter((token, id) => id > UNK && !byteNames.has(token)).join("") + " ");
    this.reach = this.cutter.reach;
  }

  /**
   * Return the token that a text begins with, or what stands for it, and where the rest begins.
   * @param {string} text
   * @returns {[string, number]}
   */
  begin(text) {
    const code = text.match(CODE);
    return code && this.ids.has(code[1]) ? [code[1], code[0].length] : [this.before, 0];
  }

  /** @param {string} text */
  encode(text) {
    const [first, place] = this.begin(text);
    const pieces = this.cutter.pieces(text.slice(place)).map(([, , , piece]) => piece);
    return (first ? [first, ...pieces] : pieces).map((piece) => this.ids.get(piece) ?? UNK);
  }

  /**
   * @param {string} text
   * @returns {Span[]}
   */
  spans(text) {
    const [first, place] = this.begin(text);
    const start = lengthOf(text.slice(0, place));
    const spans = this.cutter.spans(text.slice(place)).map(([a, b]) => /** @type {Span} */ ([a + start, b + start]));
    return first ? [[0, lengthOf(text.slice(0, place).trimEnd())], ...spans] : spans;
  }

  /** @param {string} text */
  unseen(text) {
    return [...new Set(Array.from(text.slice(this.begin(text)[1])).filter((char) => !this.known.has(char)))];
  }

  /** @param {Iterable<number>} ids */
  decode(ids) {
    const named = [...ids].filter((id) => id > EOS).map((id) => (id === UNK ? UNKNOWN : this.tokens[id]));
    const text = this.cutter.joined(named.map((token) => this.written.get(token) ?? token));
    return text.replaceAll(MARK, " ").trim(); // left where SentencePiece does not know the token
  }
}

/**
 * What SentencePiece replaces before it cuts: a trie of bytes as a double array (Aoe 1989), in the layout of darts-clone,
 * and texts that end in 0.
 */
class Rules {
  /** @param {string} base64 */
  constructor(base64) {
    const binary = atob(base64);
    const bytes = Uint8Array.from(binary, (char) => char.charCodeAt(0));
    const size = new DataView(bytes.buffer).getUint32(0, true);
    this.units = new Uint32Array(bytes.buffer.slice(4, 4 + size));
    this.texts = bytes.subarray(4 + size);
  }

  /**
   * Return what is written for the longest match at a place, and how many characters it takes.
   * @param {string[]} chars
   * @param {number} place
   * @returns {[string, number]}
   */
  apply(chars, place) {
    const { units, texts } = this;
    /** @type {[string, number]} */
    let best = [chars[place], 1];
    let node = offsetOf(units[0]);
    for (let end = place; end < chars.length; end++) {
      for (const byte of utf8(chars[end])) {
        node ^= byte;
        const unit = units[node] ?? 0;
        if ((unit & 0x800000ff) !== byte) return best;
        node ^= offsetOf(unit);
        if (!((unit >>> 8) & 1)) continue;
        const start = units[node] & 0x7fffffff;
        best = [decoder.decode(texts.subarray(start, texts.indexOf(0, start))), end + 1 - place];
      }
    }
    return best;
  }
}

const offsetOf = (/** @type {number} */ unit) => (unit >>> 10) << ((unit & 0x200) >>> 6);

const decoder = new TextDecoder();
const SPACE_ONLY = new RegExp(`^[${WHITE}]$`, "u");
const encoder = new TextEncoder();

/** @param {string} text */
const utf8 = (text) => encoder.encode(text);

/**
 * Return the text of bytes. Each byte that belongs to no character becomes U+FFFD.
 * @param {number[]} bytes
 */
export function fromUtf8(bytes) {
  let text = "";
  for (let place = 0; place < bytes.length; ) {
    const first = bytes[place];
    const size = first < 0x80 ? 1 : first >= 0xc2 && first < 0xe0 ? 2 : first >= 0xe0 && first < 0xf0 ? 3 : first >= 0xf0 && first < 0xf5 ? 4 : 0;
    const rest = bytes.slice(place + 1, place + size);
    let point = size === 1 ? first : first & (0x7f >> size);
    for (const byte of rest) point = (point << 6) | (byte & 0x3f);
    const whole = size > 0 && rest.length === size - 1 && rest.every((byte) => byte >= 0x80 && byte < 0xc0);
    const least = [0, 0, 0x80, 0x800, 0x10000][size];
    const right = whole && point >= least && point <= 0x10ffff && !(point >= 0xd800 && point < 0xe000);
    text += right ? String.fromCodePoint(point) : UNKNOWN;
    place += right ? size : 1;
  }
  return text;
}

/**
 * Return a text in lower case and as long as it was. A character whose lower case is longer stays.
 * @param {string} text
 */
export function lowered(text) {
  let done = "";
  for (const char of text) {
    const lower = char.toLowerCase();
    done += lengthOf(lower) === 1 ? lower : char;
  }
  return done;
}
