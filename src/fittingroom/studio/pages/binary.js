// Arrays as the studio packs them (`packed` in studio/understanding.py): a JSON header, and typed arrays where it says.

const KINDS = { int8: Int8Array, uint8: Uint8Array, uint16: Uint16Array, int32: Int32Array, float32: Float32Array };

export const unpacked = (buffer) => {
  const length = new DataView(buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  const arrays = {};
  for (const { name, type, shape, start } of header.arrays) {
    const count = shape.reduce((one, other) => one * other, 1);
    arrays[name] = new KINDS[type](buffer, 4 + length + start, count);
    arrays[name].shape = shape;
  }
  return { ...header, arrays };
};
