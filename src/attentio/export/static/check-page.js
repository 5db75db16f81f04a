// @ts-check
// Runs the program of a page in a browser, for comparing: the answers are written into this page.
const { program, model, weights, sentences, beam } = JSON.parse(document.getElementById("asked")?.textContent ?? "");
const made = document.createElement("pre");

try {
  const { answersOf } = await import(URL.createObjectURL(new Blob([program], { type: "text/javascript" })));
  made.textContent = JSON.stringify(answersOf(model, weights, sentences, beam));
  made.id = "answers";
} catch (error) {
  made.textContent = String(error);
  made.id = "fault";
}
document.body.replaceChildren(made);
export {};
