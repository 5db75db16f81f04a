// @ts-check
// Runs the program of a page in node, for comparing: reads what is asked from standard input, and writes the answers.
import { readFileSync } from "node:fs";

const { program, model, weights, sentences, beam } = JSON.parse(readFileSync(0, "utf8"));

try {
  const source = `data:text/javascript;base64,${Buffer.from(program).toString("base64")}`;
  const { answersOf } = await import(source);
  process.stdout.write(JSON.stringify(answersOf(model, weights, sentences, beam)));
} catch (error) {
  process.stderr.write(String(error)); // without where: that would be the whole program
  process.exitCode = 1;
}
