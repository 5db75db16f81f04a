// @ts-check
// Runs the program of a page in node, for comparing: reads what is asked from standard input, and writes the answers.
import { readFileSync } from "node:fs";

const { page, sentences, beam } = JSON.parse(readFileSync(0, "utf8"));
const text = readFileSync(page, "utf8");

/**
 * Return what stands in an element of the page.
 * @param {string} id
 */
const inside = (id) => {
  const place = text.indexOf(` id="${id}"`);
  const begin = text.indexOf(">", place) + 1;
  const end = text.indexOf("</script>", begin);
  if (place < 0 || end < 0) throw new Error(`the page has no ${id}`);
  return text.slice(begin, end);
};

async function answers() {
  const source = `data:text/javascript;base64,${Buffer.from(inside("program")).toString("base64")}`;
  const { Translator, fromBase64 } = await import(source);
  const translator = new Translator(JSON.parse(inside("model")), fromBase64(inside("weights")));
  return sentences.map((/** @type {string} */ sentence) => {
    const { text: translated, score, parts } = translator.translate(sentence, { size: beam, split: false });
    const trace = parts.length === 1 && parts[0].trace?.(0);
    const weights = trace ? { ...trace.weights, ...trace.encoder_self, ...trace.decoder_self } : {};
    return { text: translated, score, weights };
  });
}

try {
  process.stdout.write(JSON.stringify(await answers()));
} catch (error) {
  process.stderr.write(String(error)); // without where: that would be the whole program
  process.exitCode = 1;
}
