// @ts-check
/**
 * Text as the model reads it: cleaned, with placeholders, cut into sentences. What Python does to a text in `text`, this
 * does to it, too. Tests hold that both give the same.
 *
 * Places in a text are counted in code points, as Python does.
 */

/** @typedef {[number, number]} Span First character and the one after the last, in code points. */
/** @typedef {{han: boolean, script: {from: string, to: string} | null}} CleanerSettings What one side is cleaned by. */
/** @typedef {{han: string, kana: string, fullWidth: string, punctuation: string, placeholders: string}} Ranges */
/** @typedef {{text: string, kept: Map<string, string>}} Masked */
/** @typedef {{text: string, starts: number[], ends: number[]}} Restored */
/** @typedef {{text: string, kept: boolean}} Written A character, or what stands behind a placeholder. */
/** @typedef {{texts: string[], spaces: string[]}} Sentences The spaces are one more than the texts. */

// White space as Python understands it. JavaScript leaves some of it out, and takes U+FEFF for it.
export const WHITE = "\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
const EDGES = new RegExp(`^[${WHITE}]+|[${WHITE}]+$`, "gu");
const LINES = new RegExp(`([${WHITE}]*\\n[${WHITE}]*)`, "u");
const SPACES = new RegExp(`[${WHITE}]+`, "u");
const FLAG_LETTERS = /[\u{1f1e6}-\u{1f1ff}]/u;
const MODIFIERS = /[\u200d\u{1f3fb}-\u{1f3ff}\u{e0020}-\u{e007f}]/u; // they change the emoji before them
const CLAUSES = new RegExp(`(?<=[,;:])[${WHITE}]+|(?<=[，；：、])`, "u");
const OTHER_LINE_ENDS = /[\x0b\x0c\x1c-\x1e\x85\u2028\u2029]|\r(?!\n)/gu;
const CONTROL = /[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]/gu;
const INVISIBLE = /[\xad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff\ufff9-\ufffb]/gu;
const SPACE = /[\t\x0b\x0c\r\x1c-\x1f\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]/gu;
const APOSTROPHE = /(?<=[A-Za-z\u00c0-\u024f])\u2019(?=[A-Za-z\u00c0-\u024f])/gu;
/** @type {Record<string, string>} */
const WIDE = { ",": "，", "?": "？", "!": "！", " ": "" };

/** @param {string} text */
export const strip = (text) => text.replace(EDGES, "");

const ADDRESS = /^(?:(?:https?|ftp):\/\/|www\.|[A-Za-z0-9._%+\-]+@[A-Za-z0-9])/;

/**
 * Return whether the one cannot be told from the other where nothing stands between them.
 * @param {Written} one
 * @param {Written} other
 */
function runsInto(one, other) {
  const [first, second] = [one, other].map((each) => each.kept && ADDRESS.test(each.text));
  if (first || second) return (first || /[\p{L}\p{N}]$/u.test(one.text)) && (second || /^[\p{L}\p{N}]/u.test(other.text));
  return (one.kept || other.kept) && /\p{Nd}$/u.test(one.text) && /^\p{Nd}/u.test(other.text);
}

/** Cleans one side, knows its script, and hides what a translation must keep. */
export class Text {
  /** @param {Ranges} ranges */
  constructor(ranges) {
    const hanLike = ranges.han + ranges.kana;
    const wide = ranges.fullWidth;
    this.placeholders = ranges.placeholders;
    this.period = new RegExp(`(?<=[${hanLike}]) *\\.(?![\\p{L}\\p{N}_.])`, "gu");
    this.marks = new RegExp(`(?<=[${hanLike}${wide}])(?: *[,?!])+|[,?!](?: *[,?!])* *(?=[${hanLike}])`, "gu");
    this.hanSpace = new RegExp(`(?<=[${hanLike}]) +(?=[${hanLike}])|(?<=[${wide}]) +| +(?=[${wide}])`, "gu");
    this.endsWide = new RegExp(`[${hanLike}${wide}]$`, "u");
    this.alone = new RegExp(`^[${hanLike}]$`, "u");
    this.taken = new RegExp(`[${ranges.placeholders}]`, "gu");
  }

  /**
   * Return a text cleaned.
   * @param {string} text
   * @param {CleanerSettings} settings
   */
  clean(text, settings) {
    text = text.replace(/\n/g, " ").replace(CONTROL, "").replace(INVISIBLE, "").replace(SPACE, " ");
    text = text.normalize("NFC").replace(APOSTROPHE, "'");
    if (settings.han && /[ ,.?!]/.test(text)) {
      text = text.replace(this.period, "。").replace(this.marks, (found) => found.replace(/[ ,?!]/g, (one) => WIDE[one]));
      text = text.replace(this.hanSpace, "");
    }
    text = text.replace(/ {2,}/g, " ").replace(/^ +| +$/g, "");
    if (settings.han && settings.script) text = converted(text, settings.script);
    return text;
  }

  /**
   * Return a text in which everything that must be kept is one character.
   * @param {string} text
   * @returns {Masked}
   */
  mask(text) {
    text = text.replace(this.taken, "\ufffd");
    /** @type {Map<string, string>} */
    const kept = new Map();
    const masked = text.replace(KEPT, (found) => {
      if (kept.size === this.placeholders.length) return found;
      const placeholder = this.placeholders[kept.size];
      kept.set(placeholder, found);
      return placeholder;
    });
    return { text: masked, kept };
  }

  /**
   * Return a text with what stood behind its placeholders. `starts`, `ends`: where each character of the masked text now
   * begins and ends. `starts` has one more: the end of all.
   * @param {string} text
   * @param {Map<string, string> | null} kept Null where nothing is ever hidden.
   * @param {{apart?: boolean}} [how] Apart: a space stands where letters would run into a URL or an e-mail address, or
   *   digits into a number.
   * @returns {Restored}
   */
  restore(text, kept, { apart = false } = {}) {
    /** @type {[number[], number[]]} */
    const [starts, ends] = [[], []];
    let [restored, place, last] = ["", 0, { text: "", kept: false }];
    for (const char of text) {
      const hidden = kept !== null && this.placeholders.includes(char);
      const part = { text: hidden ? (kept.get(char) ?? "") : char, kept: hidden };
      if (apart && part.text && runsInto(last, part)) {
        restored += " ";
        place += 1;
      }
      starts.push(place);
      restored += part.text;
      ends.push((place += lengthOf(part.text)));
      if (part.text) last = part;
    }
    return { text: restored, starts: [...starts, place], ends };
  }

  /**
   * Return the words of a text. Han and kana are words by themselves, and so is what makes one picture.
   * @param {string} text
   * @returns {Span[]}
   */
  words(text) {
    const chars = Array.from(text);
    const isWord = (/** @type {string | undefined} */ char) => char !== undefined && /[\p{L}\p{M}\p{N}]/u.test(char) && !this.alone.test(char);
    /** @type {Span[]} */
    const spans = [];
    for (let end = 0; end < chars.length; ) {
      const start = end++;
      const first = chars[start];
      if (SPACES.test(first)) continue;
      const goesOn = () => {
        const [before, char] = [chars[end - 1], chars[end]];
        if (isWord(first)) return isWord(char) || ("'’-\u200c\u200d".includes(char) && isWord(chars[end + 1]));
        if (/\p{M}/u.test(char) || this.alone.test(first)) return /\p{M}/u.test(char);
        if (FLAG_LETTERS.test(first)) return end === start + 1 && FLAG_LETTERS.test(char);
        return (before === first && char === first) || MODIFIERS.test(char) || (before === "\u200d" && !SPACES.test(char));
      };
      while (end < chars.length && goesOn()) end += 1;
      spans.push([start, end]);
    }
    return spans;
  }

  /**
   * Return the sentences of a text, with the white space around them. A line ends one, too.
   *
   * Sentences end where the browser says so, except after a short abbreviation. Python asks another library, so that
   * rare cases differ.
   * @param {string} text
   * @param {string} language Its code, "" where it is not known.
   * @returns {Sentences}
   */
  sentences(text, language) {
    /** @type {string[]} */
    const texts = [];
    const spaces = [""];
    text.replace(OTHER_LINE_ENDS, " ").split(LINES).forEach((line, number) => {
      if (number % 2) {
        spaces[spaces.length - 1] += line;
        return;
      }
      for (const part of sentencesOf(line, language)) {
        const bare = strip(part);
        const at = bare ? part.indexOf(bare) : part.length;
        spaces[spaces.length - 1] += part.slice(0, at);
        if (bare) {
          texts.push(bare);
          spaces.push(part.slice(at + bare.length));
        }
      }
    });
    return { texts, spaces };
  }

  /**
   * Return a text of other sentences, with the white space of these. Single spaces are written as their language does.
   * @param {Sentences} sentences
   * @param {string[]} texts
   */
  join({ spaces }, texts) {
    let joined = spaces[0];
    texts.forEach((text, i) => {
      let space = spaces[i + 1];
      if (i + 1 < texts.length && (space === "" || space === " ") && text) space = this.endsWide.test(text) ? "" : " ";
      joined += text + space;
    });
    return joined;
  }

  /**
   * Return parts of a sentence side by side, without a space after a full-width character.
   * @param {string[]} parts
   */
  joinParts(parts) {
    return parts.reduce((text, part) => {
      const apart = !this.endsWide.test(text) || (/[\p{L}\p{N}]$/u.test(text) && ADDRESS.test(part));
      return text + (text && part && apart ? ` ${part}` : part);
    }, "");
  }

  /**
   * Return a sentence in parts that fit, cut after clauses, else between words, else between characters.
   * @param {string} sentence
   * @param {(text: string) => boolean} fits
   * @returns {string[]}
   */
  cut(sentence, fits) {
    if (fits(sentence)) return [sentence];
    const kept = keptSpans(sentence);
    for (const cuts of [CLAUSES, SPACES]) {
      const pieces = piecesBetween(sentence, cuts, kept);
      if (pieces.length < 2) continue;
      /** @type {string[]} */
      const parts = [];
      for (const piece of pieces) {
        const joined = parts.length ? this.joinParts([parts[parts.length - 1], piece]) : "";
        if (parts.length && fits(joined)) parts[parts.length - 1] = joined;
        else parts.push(piece);
      }
      return parts.flatMap((part) => this.cut(part, fits));
    }
    if (kept.length) return cutAround(sentence).flatMap((part, i) => (!part ? [] : i % 2 ? [part] : this.cut(part, fits)));
    const chars = Array.from(sentence);
    /** @type {string[]} */
    const parts = [];
    for (let start = 0; start < chars.length; ) {
      const left = chars.length - start;
      const begins = (/** @type {number} */ size) => fits(chars.slice(start, start + size).join(""));
      let [low, high] = [1, 2];
      while (high <= left && begins(high)) [low, high] = [high, 2 * high];
      high = Math.min(high, left + 1); // the first length that is known to be too much
      while (high - low > 1) {
        const middle = (low + high) >> 1;
        if (begins(middle)) low = middle;
        else high = middle;
      }
      parts.push(chars.slice(start, start + low).join(""));
      start += low;
    }
    return parts;
  }
}

/**
 * Return the parts of a sentence between cuts that are not inside what is kept.
 * @param {string} sentence
 * @param {RegExp} cuts
 * @param {Span[]} kept In UTF-16 units, as all places here.
 */
function piecesBetween(sentence, cuts, kept) {
  const places = [0];
  for (const found of sentence.matchAll(new RegExp(cuts, "gu"))) {
    const [start, end] = [found.index, found.index + found[0].length];
    const before = kept.filter(([first]) => first < end).pop(); // the last that begins before the end of the cut
    if (!before || before[1] <= start) places.push(start, end);
  }
  places.push(sentence.length);
  const pieces = [];
  for (let i = 0; i < places.length; i += 2) pieces.push(sentence.slice(places[i], places[i + 1]));
  return pieces.filter(Boolean);
}

// What a translation must keep: addresses, numbers, tags, emoji, and variables such as {name} and %s.
const TAIL = " \\t\\n\\r\\f\\v<>\"'，。！？；：、）】》」』”";
const EMOJI =
  "(?:[\\u{1f1e6}-\\u{1f1ff}]{2}|[#*0-9]\\ufe0f?\\u20e3" +
  "|[\\u00a9\\u00ae\\u203c\\u2049\\u2122\\u2139\\u2194-\\u21aa\\u231a-\\u23ff\\u25aa-\\u27bf\\u2934-\\u2b55\\u{1f000}-\\u{1faff}]" +
  "[\\ufe0e\\ufe0f\\u{1f3fb}-\\u{1f3ff}]*(?:\\u200d[\\u2640-\\u27bf\\u{1f000}-\\u{1faff}][\\ufe0e\\ufe0f\\u{1f3fb}-\\u{1f3ff}]*)*" +
  "[\\u{e0020}-\\u{e007f}]*)";
const KEPT = new RegExp(
  `(?:https?|ftp)://[^${TAIL}]*[^${TAIL}.,;:!?)\\]}]` +
    "|www\\.[\\w\\-]+(?:\\.[\\w\\-]+)+(?:/[\\w\\-./?%&=#~+]*[\\w/])?" +
    "|[A-Za-z0-9._%+\\-]+@[A-Za-z0-9\\-]+(?:\\.[A-Za-z0-9\\-]+)*\\.[A-Za-z]{2,}" +
    "|\\$?\\{\\{?[^{}\\n]{0,60}\\}\\}?" +
    "|%(?:\\([^()\\n]{1,40}\\))?[\\-+0#]?\\d*(?:\\.\\d+)?[sdifgrxXc@](?![A-Za-z])" +
    "|</?[A-Za-z][^<>\\n]{0,200}>" +
    "|&(?:[A-Za-z]{2,10}|#\\d{1,6}|#x[0-9A-Fa-f]{1,6});" +
    `|${EMOJI}` +
    "|(?<![^\\W_])[0-9]+(?:[.,:/\\-][0-9]+)*%?",
  "gu",
);

/**
 * Return where the parts of a text stand that a translation must keep, in UTF-16 units.
 * @param {string} text
 * @returns {Span[]}
 */
const keptSpans = (text) => [...text.matchAll(KEPT)].map((found) => [found.index, found.index + found[0].length]);

/**
 * Return a text in parts: every second one is to be kept. Those between may be empty.
 * @param {string} text
 */
export function cutAround(text) {
  const places = [0, ...keptSpans(text).flat(), text.length];
  return places.slice(1).map((end, i) => text.slice(places[i], end));
}

/**
 * Return the parts of a source to keep that its translation has less often, each once.
 *
 * A number counts where no other digit is beside it.
 * @param {string} source
 * @param {string} text
 */
export function unkept(source, text) {
  /** @type {Map<string, number>} */
  const counts = new Map();
  for (const part of cutAround(source).filter((_, i) => i % 2)) counts.set(part, (counts.get(part) ?? 0) + 1);
  const times = (/** @type {string} */ part) => {
    if (!/^[0-9]/.test(part)) return text.split(part).length - 1;
    return (text.match(new RegExp(`(?<![0-9])${part.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&")}(?![0-9])`, "g")) ?? []).length;
  };
  return [...counts].filter(([part, count]) => times(part) < count).map(([part]) => part);
}

/**
 * Return a text without the parts that a translation must keep.
 * @param {string} text
 */
export const withoutKept = (text) => text.replace(KEPT, "");

/**
 * Return the placeholders of `kept` that a masked text does not hold exactly once.
 * @param {string} text
 * @param {Map<string, string>} kept
 */
export const missing = (text, kept) => [...kept.keys()].filter((placeholder) => text.split(placeholder).length !== 2);

/**
 * Return the number of code points.
 * @param {string} text
 */
export function lengthOf(text) {
  let length = 0;
  for (const _ of text) length += 1;
  return length;
}

/**
 * Return a text with each character of one script replaced by that of another.
 * @param {string} text
 * @param {{from: string, to: string}} script Characters, and what becomes of each.
 */
function converted(text, script) {
  let table = tables.get(script);
  if (!table) {
    const to = Array.from(script.to);
    table = new Map(Array.from(script.from, (char, i) => [char, to[i]]));
    tables.set(script, table);
  }
  let done = "";
  for (const char of text) done += table.get(char) ?? char;
  return done;
}

/** @type {WeakMap<object, Map<string, string>>} */
const tables = new WeakMap();

// After these a sentence goes on, though they end in a point.
const ABBREVIATION =
  /(?:^|[\s("“‘])(?:\p{L}|Mr|Mrs|Ms|Dr|Prof|St|Jr|Sr|vs|Mt|Gen|Col|Capt|Lt|Rev|Hon|No|Nr|Hr|Fr|bzw|usw|ca|etc|e\.g|i\.e|z\.B|d\.h|u\.a|Sra?|Dra|Mme|Mlle|[aApP]\.m)\.[\s]*$/u;

/**
 * @param {string} line
 * @param {string} language
 * @returns {string[]}
 */
function sentencesOf(line, language) {
  if (!line) return [];
  let found = [line];
  if (globalThis.Intl && "Segmenter" in Intl) {
    let locale = "en";
    try {
      [locale = "en"] = Intl.getCanonicalLocales(language || "en");
    } catch {
      // The code of a language that the browser does not know: as English.
    }
    found = [...new Intl.Segmenter(locale, { granularity: "sentence" }).segment(line)].map(({ segment }) => segment);
  }
  /** @type {string[]} */
  const sentences = [];
  let opening = "";
  for (const whole of found) {
    const part = opening + whole;
    // An opening quotation mark belongs to the sentence that follows.
    opening = /(?<=[。！？.!?\s])[“「『‘（《]+$/u.exec(part)?.[0] ?? "";
    if (opening.length === part.length || whole === found[found.length - 1]) opening = "";
    const kept = part.slice(0, part.length - opening.length);
    if (sentences.length && ABBREVIATION.test(sentences[sentences.length - 1])) sentences[sentences.length - 1] += kept;
    else sentences.push(kept);
  }
  return sentences;
}
