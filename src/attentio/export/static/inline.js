// @ts-check
/** Where the models are: in the page itself. */

import { fromBase64 } from "./translator.js";

/**
 * Return what the page holds of model number `number`: its description, and its weights. They leave the page with it.
 * @param {number} number
 * @returns {Promise<[import("./translator.js").StoredModel, ArrayBuffer]>}
 */
export async function storedModel(number) {
  const [model, weights] = ["model", "weights"].map((name) => document.getElementById(`${name}-${number}`));
  const found = /** @type {[import("./translator.js").StoredModel, ArrayBuffer]} */ ([JSON.parse(model?.textContent ?? ""), fromBase64(weights?.textContent ?? "")]);
  weights?.remove();
  return found;
}
