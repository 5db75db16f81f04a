// @ts-check
/**
 * The product of a matrix and a vector in WebAssembly, four numbers at once, and the small assembler that writes it.
 *
 * The assembler knows the instructions of this one function. Where WebAssembly or its vectors are missing, or are
 * forbidden, the product is computed in JavaScript.
 */

/** Instructions: their bytes, and what stands behind them. Vector instructions begin with 0xfd. */
const INSTRUCTIONS = /** @type {Record<string, {bytes: number[], operand?: "local" | "number" | "byte" | "memory" | "zeros"}>} */ ({
  block: { bytes: [0x02, 0x40] },
  loop: { bytes: [0x03, 0x40] },
  end: { bytes: [0x0b] },
  br: { bytes: [0x0c], operand: "byte" },
  br_if: { bytes: [0x0d], operand: "byte" },
  "local.get": { bytes: [0x20], operand: "local" },
  "local.set": { bytes: [0x21], operand: "local" },
  "local.tee": { bytes: [0x22], operand: "local" },
  "f32.store": { bytes: [0x38, 2], operand: "memory" },
  "i32.const": { bytes: [0x41], operand: "number" },
  "i32.eqz": { bytes: [0x45] },
  "i32.lt_s": { bytes: [0x48] },
  "i32.add": { bytes: [0x6a] },
  "i32.sub": { bytes: [0x6b] },
  "i32.shl": { bytes: [0x74] },
  "f32.add": { bytes: [0x92] },
  "v128.load": { bytes: [0xfd, 0, 4], operand: "memory" },
  "v128.zero": { bytes: [0xfd, 0x0c], operand: "zeros" },
  "f32x4.extract_lane": { bytes: [0xfd, 0x1f], operand: "byte" },
  "f32x4.add": { bytes: [0xfd, 0xe4, 0x01] },
  "f32x4.mul": { bytes: [0xfd, 0xe6, 0x01] },
});
const [I32, V128] = [0x7f, 0x7b];
const PARAMETERS = ["w", "x", "y", "rows", "stride"];
const LOCALS = ["bytes", "i", "w1", "w2", "w3"];
const VECTORS = ["a", "b", "c", "d", "v"];

/**
 * Return a whole number as bytes of seven bits each, as WebAssembly writes signed ones.
 * @param {number} value
 * @returns {number[]}
 */
export function leb128(value) {
  const bytes = [];
  for (;;) {
    const low = value & 0x7f;
    value >>= 7;
    if ((value === 0 && !(low & 0x40)) || (value === -1 && low & 0x40)) return [...bytes, low];
    bytes.push(low | 0x80);
  }
}

/**
 * Return a number without a sign as such bytes.
 * @param {number} value
 */
const unsigned = (value) => {
  const bytes = [];
  for (; value > 0x7f; value >>= 7) bytes.push((value & 0x7f) | 0x80);
  return [...bytes, value];
};

/**
 * Return the bytes of instructions: words apart by white space, each instruction before its operand.
 * @param {string} text
 * @param {string[]} names Of the parameters and locals, in order.
 * @returns {number[]}
 */
export function assemble(text, names) {
  const words = text.trim().split(/\s+/);
  /** @type {number[]} */
  const bytes = [];
  for (let i = 0; i < words.length; i++) {
    const instruction = INSTRUCTIONS[words[i]];
    if (!instruction) throw new Error(`no instruction ${words[i]}`);
    bytes.push(...instruction.bytes);
    if (!instruction.operand) continue;
    if (instruction.operand === "zeros") {
      bytes.push(...new Array(16).fill(0));
      continue;
    }
    const word = words[++i];
    if (instruction.operand === "local") {
      if (!names.includes(word)) throw new Error(`no local ${word}`);
      bytes.push(names.indexOf(word));
    } else bytes.push(...(instruction.operand === "number" ? leb128(Number(word)) : unsigned(Number(word))));
  }
  return bytes;
}

/** Add up the four numbers of a vector, and store the sum. */
const stored = (/** @type {string} */ vector, /** @type {number} */ offset) => `
  local.get y
  local.get ${vector} f32x4.extract_lane 0 local.get ${vector} f32x4.extract_lane 1 f32.add
  local.get ${vector} f32x4.extract_lane 2 local.get ${vector} f32x4.extract_lane 3 f32.add
  f32.add f32.store ${offset}`;

/** Add the product of four weights with four inputs to a vector. */
const product = (/** @type {string} */ vector, /** @type {string} */ row) => `
  local.get ${vector} local.get ${row} local.get i i32.add v128.load 0 local.get v f32x4.mul f32x4.add local.set ${vector}`;

const zeroed = (/** @type {string} */ vector) => `v128.zero local.set ${vector} `;

const inputs = "local.get x local.get i i32.add v128.load 0 local.set v";
const onwards = "local.get i i32.const 16 i32.add local.tee i local.get bytes i32.lt_s br_if 0";
const after = (/** @type {string} */ row, /** @type {string} */ next) => `local.get ${row} local.get bytes i32.add local.set ${next}`;

/** y = W x: four rows together, so that inputs are loaded once for all of them, then the rows that are left. */
const PROGRAM = `
  local.get stride i32.const 2 i32.shl local.set bytes
  block loop
    local.get rows i32.const 4 i32.lt_s br_if 1
    ${["a", "b", "c", "d"].map(zeroed).join("")}
    ${after("w", "w1")} ${after("w1", "w2")} ${after("w2", "w3")}
    i32.const 0 local.set i
    loop
      ${inputs} ${product("a", "w")} ${product("b", "w1")} ${product("c", "w2")} ${product("d", "w3")}
      ${onwards}
    end
    ${stored("a", 0)} ${stored("b", 4)} ${stored("c", 8)} ${stored("d", 12)}
    ${after("w3", "w")}
    local.get y i32.const 16 i32.add local.set y
    local.get rows i32.const 4 i32.sub local.set rows
    br 0
  end end
  block loop
    local.get rows i32.eqz br_if 1
    ${zeroed("a")} i32.const 0 local.set i
    loop
      ${inputs} ${product("a", "w")}
      ${onwards}
    end
    ${stored("a", 0)}
    ${after("w", "w")}
    local.get y i32.const 4 i32.add local.set y
    local.get rows i32.const 1 i32.sub local.set rows
    br 0
  end end
  end`;

/** Return the bytes of a module that imports a memory and exports the product. */
export function moduleBytes() {
  const code = assemble(PROGRAM, [...PARAMETERS, ...LOCALS, ...VECTORS]);
  const name = (/** @type {string} */ text) => [text.length, ...Array.from(text, (char) => char.charCodeAt(0))];
  const section = (/** @type {number} */ id, /** @type {number[]} */ content) => [id, ...unsigned(content.length), ...content];
  const body = [2, LOCALS.length, I32, VECTORS.length, V128, ...code];
  return Uint8Array.from([
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, [1, 0x60, PARAMETERS.length, ...PARAMETERS.map(() => I32), 0]), // the type of the function
    ...section(2, [1, ...name("e"), ...name("m"), 2, 0, 1]), // the memory
    ...section(3, [1, 0]),
    ...section(7, [1, ...name("p"), 0, 0]),
    ...section(10, [1, ...unsigned(body.length), ...body]),
  ]);
}

/**
 * Return a buffer of at least so many bytes, and the product of vectors in it. Null where that cannot be had.
 * @param {number} size
 * @returns {{buffer: ArrayBuffer, kernel: import("./product.js").Kernel} | null}
 */
export function vectorKernel(size) {
  try {
    const memory = new WebAssembly.Memory({ initial: Math.ceil(size / 65536) });
    const instance = new WebAssembly.Instance(new WebAssembly.Module(moduleBytes()), { e: { m: memory } });
    const run = /** @type {(...numbers: number[]) => void} */ (instance.exports.p);
    return {
      buffer: memory.buffer,
      kernel: (weights, x, y, rows, stride) => run(weights.byteOffset, x.byteOffset, y.byteOffset, rows, stride),
    };
  } catch {
    return null; // missing, without vectors, or forbidden
  }
}
