// Arrays and JSON from the page's own text, as `page_archive.py` has written them.

const TYPES = {
  uint8: Uint8Array, int8: Int8Array, uint16: Uint16Array, int16: Int16Array, uint32: Uint32Array, int32: Int32Array, float32: Float32Array, float64: Float64Array,
};
const START = 8; // bytes that say how long the JSON is

const bytesOf = (base64) => {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(base64);
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < bytes.length; at += 1) bytes[at] = text.charCodeAt(at);
  return bytes;
};

const TOO_OLD = "This browser is too old for the page. Chrome 117, Firefox 121 and Safari 16.4 can show it, and all later ones.";

const inflated = async (bytes) => {
  if (!globalThis.DecompressionStream) throw new Error(TOO_OLD);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
};

const arrayOf = (bytes, { type, shape, start }) => {
  const Type = TYPES[type];
  const length = shape.reduce((product, side) => product * side, 1);
  const wide = Type.BYTES_PER_ELEMENT;
  if (wide === 1) return { shape, data: new Type(bytes.buffer, start, length) };
  const joined = new Uint8Array(length * wide);
  for (let plane = 0; plane < wide; plane += 1) {
    for (let at = 0, from = start + plane * length; at < length; at += 1) joined[at * wide + plane] = bytes[from + at];
  }
  return { shape, data: new Type(joined.buffer) };
};

// unpacked(base64) → {facts, arrays: {name: {shape, data}}}.
export const unpacked = async (base64) => {
  const bytes = await inflated(bytesOf(base64));
  const length = new DataView(bytes.buffer).getUint32(0, true);
  const { facts, arrays } = JSON.parse(new TextDecoder().decode(bytes.subarray(START, START + length)));
  const content = bytes.slice(START + length);
  // Arrays of the same place are one, so that weights of several views are known to be the same.
  const known = new Map();
  const one = (entry) => {
    const key = `${entry.start} ${entry.type} ${entry.shape}`;
    if (!known.has(key)) known.set(key, arrayOf(content, entry));
    return known.get(key);
  };
  return { facts, arrays: Object.fromEntries(Object.entries(arrays).map(([name, entry]) => [name, one(entry)])) };
};
