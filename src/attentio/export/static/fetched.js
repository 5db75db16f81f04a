// @ts-check
/** Where the models are: in files beside the page. */

/**
 * Return model number `number`: its description, and its weights.
 * @param {number} number
 * @returns {Promise<[import("./translator.js").StoredModel, ArrayBuffer]>}
 */
export async function storedModel(number) {
  const [model, weights] = await Promise.all(["json", "bin"].map((kind) => fetch(`model-${number}.${kind}`)));
  for (const { ok, status } of [model, weights]) if (!ok) throw new Error(`the server answered ${status}`);
  return [await model.json(), await weights.arrayBuffer()];
}
