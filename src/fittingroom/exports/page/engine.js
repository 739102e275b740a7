// The network of the page: a `Graph` as `networks/graph.py` describes it, for one image at a time.
//
// All values lie in one block of memory, so that the inner loops can be WebAssembly where the browser has it. What an
// operation gives is written where something lies that nobody needs any more.

import { linear } from "./linear.js";
import { instructions } from "./kernels.js";
import { simple } from "./operations.js";

const IN_PLACE = new Set(["activation", "scale", "softmax", "log_softmax", "floor", "float16", "prelu"]); // each value by itself, or row by row
const ALIGNED = 4; // floats

export const sizeOf = (shape) => shape.reduce((product, side) => product * side, 1);

// network(graph, weights) → image => {name: Float32Array}, for each output of the graph. `image` is a typed array of the
// image as it is stored; what comes back is overwritten by the next call. Weights are {shape, data} by name.
export const network = (graph, weights, kernels = instructions()) => {
  const layout = new Layout(graph);
  const steps = graph.operations.map((operation) => {
    const own = Object.fromEntries(Object.entries(operation.weights ?? {}).map(([name, key]) => [name, weights[key]]));
    const inputs = operation.inputs.map((name) => layout.at(name));
    const output = layout.give(operation);
    const maker = linear[operation.kind] ?? simple[operation.kind];
    if (!maker) throw new Error(`The page does not know the operation ${operation.kind}.`);
    return { bind: maker, operation, inputs, output, weights: own, prepared: maker.prepare?.(operation, inputs, own, layout) };
  });
  const memory = kernels.reserve(layout.finish());
  const view = ({ offset, length }) => memory.subarray(offset, offset + length);
  layout.fill(view);
  const runs = steps.map(({ bind, operation, inputs, output, weights: own, prepared }) =>
    bind({ options: operation.options ?? {}, shape: operation.shape, shapes: inputs.map(({ shape }) => shape), weights: own, prepared, kernels, view, from: inputs[0], to: output }, view(output), ...inputs.map(view)),
  );
  const images = view(layout.at("images"));
  const outputs = Object.entries(graph.outputs).map(([name, value]) => [name, view(layout.at(value))]);
  return (image) => {
    images.set(image);
    for (const run of runs) run?.();
    return Object.fromEntries(outputs.map(([name, values]) => [name, values.slice()]));
  };
};

// Where each value lies. A place is free again when the last operation that reads it has its own.
class Layout {
  constructor(graph) {
    this.total = 0;
    this.free = new Map(); // length → offsets
    this.values = new Map();
    this.uses = new Map();
    this.constants = new Map(); // array → part → its place
    this.shared = null;
    for (const { inputs } of graph.operations) for (const name of inputs) this.uses.set(name, (this.uses.get(name) ?? 0) + 1);
    for (const name of Object.values(graph.outputs)) this.uses.set(name, Infinity);
    this.uses.set("images", Infinity); // is another one each time, and must not be written to
    this.values.set("images", this.place(graph.image_shape));
  }

  at(name) {
    const value = this.values.get(name);
    if (!value) throw new Error(`The page's network has no value ${name}.`);
    return value;
  }

  // The place of what an operation gives.
  give({ kind, inputs, output, shape }) {
    const [first] = inputs;
    const from = first && this.at(first);
    const over = from && from.length === sizeOf(shape) && (kind === "reshape" || IN_PLACE.has(kind));
    // Reshaped values are the same numbers, so their place has both readers.
    const mayWrite = over && (kind === "reshape" || (inputs.length === 1 && from.users.count === 1 && this.uses.get(first) === 1));
    let value;
    if (mayWrite) {
      value = { ...from, shape };
      value.users.count += this.uses.get(output) ?? 0;
    } else {
      value = this.place(shape, this.uses.get(output) ?? 0);
    }
    this.values.set(output, value);
    for (const name of inputs) this.release(this.at(name));
    return value;
  }

  release(value) {
    value.users.count -= 1;
    if (value.users.count > 0) return;
    const places = this.free.get(value.length) ?? [];
    places.push(value.offset);
    this.free.set(value.length, places);
  }

  place(shape, count = Infinity) {
    const length = sizeOf(shape);
    const offset = this.free.get(length)?.pop() ?? this.reserve(length).offset;
    return { offset, length, shape, users: { count } };
  }

  reserve(length) {
    const offset = this.total;
    this.total += Math.ceil(length / ALIGNED) * ALIGNED;
    return { offset, length };
  }

  // Numbers that stay, such as packed weights; those of one array, or one part of it, once for all views of an image.
  keep(array, make, part = 0) {
    if (!this.constants.has(array)) this.constants.set(array, new Map());
    const parts = this.constants.get(array);
    if (!parts.has(part)) {
      const values = make();
      parts.set(part, { ...this.reserve(values.length), values });
    }
    return parts.get(part);
  }

  // Room for what an operation needs only while it works; all share it.
  work(length) {
    this.shared ??= { offset: 0, length: 0 };
    this.shared.length = Math.max(this.shared.length, length);
    return this.shared;
  }

  // How many floats there are in all.
  finish() {
    if (this.shared) this.shared.offset = this.reserve(this.shared.length).offset;
    return this.total;
  }

  fill(view) {
    for (const parts of this.constants.values()) for (const kept of parts.values()) view(kept).set(kept.values);
    this.constants.clear();
  }
}
