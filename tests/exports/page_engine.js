// What the tests of the page's engine ask of it.

import { unpacked } from "./archive.js";
import { network } from "./engine.js";
import { instructions } from "./kernels.js";

const plain = (value) => (Number.isFinite(value) ? value : String(value));

globalThis.answers = async (text, images, length, vectors) => {
  const { facts, arrays } = await unpacked(text);
  const answer = network(facts, arrays, instructions({ vectors }));
  const several = Float32Array.from(images);
  return Array.from({ length: several.length / length }, (_, at) => {
    const found = Object.entries(answer(several.subarray(at * length, (at + 1) * length)));
    return Object.fromEntries(found.map(([name, values]) => [name, Array.from(values, plain)]));
  });
};

globalThis.contents = async (text) => {
  const { facts, arrays } = await unpacked(text);
  const plainArrays = Object.entries(arrays).map(([name, { shape, data }]) => [name, { shape, kind: data.constructor.name, data: Array.from(data, plain) }]);
  return { facts, arrays: Object.fromEntries(plainArrays) };
};
