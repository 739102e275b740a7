// Operations that are products with a matrix of weights. An image is brought into rows, one for each place of the result,
// that are multiplied with the kernel: `im2col`, some rows at a time.

import { packed, padded } from "./kernels.js";

const ROWS_AT_ONCE = 65_536; // floats of rows that are made at once
const LONG = 48; // floats from which on copying at once is faster than one by one

const last = (shape) => shape[shape.length - 1];

const dense = ({ prepared: { kernel, bias }, shapes: [shape], to, from, kernels, weights }) => {
  const [inner, columns] = weights.kernel.shape;
  const rows = from.length / inner;
  return () => kernels.multiply(from.offset, last(shape), kernel.offset, bias.offset, to.offset, columns, rows, inner, columns);
};
dense.prepare = (operation, inputs, { kernel, bias }, layout) => {
  const [inner, columns] = kernel.shape;
  return {
    kernel: layout.keep(kernel, () => packed(kernel.data, inner, columns)),
    bias: layout.keep(bias ?? `nothing ${columns}`, () => padded(bias?.data, columns)),
  };
};

const geometry = ({ options, shape }, [input], kernel) => {
  const [height, width, channels] = input.shape;
  const [kernelHeight, kernelWidth, inner, outer] = kernel.shape;
  const [[top], [left]] = options.padding ?? [[0, 0], [0, 0]];
  const [down, right] = options.strides ?? [1, 1];
  const [spreadDown, spreadRight] = options.dilation ?? [1, 1];
  const groups = options.groups ?? 1;
  const [rows, columns] = shape;
  return { height, width, channels, kernelHeight, kernelWidth, inner, outer, top, left, down, right, spreadDown, spreadRight, groups, rows, columns };
};

const isAsItIs = (g) => g.kernelHeight === 1 && g.kernelWidth === 1 && g.down === 1 && g.right === 1 && g.top === 0 && g.left === 0 && g.groups === 1 && g.rows === g.height && g.columns === g.width;
const isDepthwise = (g) => g.groups === g.channels && g.outer === g.channels && g.channels > 1;

const convolution = (context, output) => {
  const { prepared } = context;
  const { plan } = prepared;
  if (isDepthwise(plan)) return depthwise(context);
  const { kernels, from, to, view } = context;
  const length = plan.kernelHeight * plan.kernelWidth * plan.inner;
  const own = plan.outer / plan.groups;
  const places = plan.rows * plan.columns;
  if (isAsItIs(plan)) {
    return () => kernels.multiply(from.offset, length, prepared.kernels[0].offset, prepared.biases[0].offset, to.offset, plan.outer, places, length, plan.outer);
  }
  const [input, work] = [view(from), view(prepared.work)];
  const atOnce = Math.min(prepared.atOnce, places);
  return () => {
    for (let start = 0; start < places; start += atOnce) {
      const count = Math.min(atOnce, places - start);
      for (let group = 0; group < plan.groups; group += 1) {
        rowsOf(plan, input, work, start, count, group * plan.inner);
        const place = to.offset + start * plan.outer + group * own;
        kernels.multiply(prepared.work.offset, length, prepared.kernels[group].offset, prepared.biases[group].offset, place, plan.outer, count, length, own);
      }
    }
  };
};
convolution.prepare = (operation, inputs, { kernel, bias }, layout) => {
  const plan = geometry(operation, inputs, kernel);
  if (isDepthwise(plan)) return prepareDepthwise(plan, kernel, bias, layout);
  const { kernelHeight, kernelWidth, inner, outer, groups } = plan;
  const [length, own] = [kernelHeight * kernelWidth * inner, outer / groups];
  const each = Array.from({ length: groups }, (_, group) => group);
  const atOnce = Math.max(Math.floor(ROWS_AT_ONCE / length), 1);
  return {
    plan,
    kernels: each.map((group) => layout.keep(kernel, () => packed(kernel.data, length, own, (row, column) => row * outer + group * own + column), group)),
    biases: each.map((group) => layout.keep(bias ?? `nothing ${own}`, () => padded(bias?.data.subarray(group * own, group * own + own), own), bias ? group : 0)),
    atOnce,
    work: isAsItIs(plan) ? null : layout.work(length * Math.min(atOnce, plan.rows * plan.columns)),
  };
};

// What the kernel sees from each of some places of the result, a row each.
const rowsOf = (plan, input, work, start, count, firstChannel) => {
  const { height, width, channels, kernelHeight, kernelWidth, inner, top, left, down, right, spreadDown, spreadRight, columns } = plan;
  let to = 0;
  for (let place = start; place < start + count; place += 1) {
    const y = Math.floor(place / columns) * down - top;
    const x = (place % columns) * right - left;
    for (let row = 0; row < kernelHeight; row += 1) {
      const line = y + row * spreadDown;
      if (line < 0 || line >= height) {
        const end = to + kernelWidth * inner;
        while (to < end) work[to++] = 0;
        continue;
      }
      for (let column = 0; column < kernelWidth; column += 1) {
        const at = x + column * spreadRight;
        const end = to + inner;
        if (at < 0 || at >= width) {
          while (to < end) work[to++] = 0;
        } else {
          let from = (line * width + at) * channels + firstChannel;
          if (inner >= LONG) {
            work.set(input.subarray(from, from + inner), to);
            to = end;
          } else {
            while (to < end) work[to++] = input[from++];
          }
        }
      }
    }
  }
};

// Each channel by itself, on an image that has its padding around it.
const prepareDepthwise = (plan, kernel, bias, layout) => {
  const { kernelHeight, kernelWidth, channels } = plan;
  const high = Math.max((plan.rows - 1) * plan.down + (kernelHeight - 1) * plan.spreadDown + 1, plan.top + plan.height);
  const wide = Math.max((plan.columns - 1) * plan.right + (kernelWidth - 1) * plan.spreadRight + 1, plan.left + plan.width);
  return {
    plan,
    wide,
    kernel: layout.keep(kernel, () => Float32Array.from(kernel.data)), // (height, width, 1, channels) is what it takes
    bias: layout.keep(bias ?? `nothing ${channels}`, () => padded(bias?.data, channels)),
    work: layout.work(high * wide * channels),
  };
};

const depthwise = ({ prepared: { plan, wide, kernel, bias, work: place }, kernels, from, to, view }) => {
  const { height, width, channels, kernelHeight, kernelWidth, top, left, down, right, spreadDown, spreadRight, rows, columns } = plan;
  const [input, work] = [view(from), view(place)];
  const line = wide * channels;
  return () => {
    work.fill(0);
    for (let row = 0; row < height; row += 1) {
      work.set(input.subarray(row * width * channels, (row + 1) * width * channels), (row + top) * line + left * channels);
    }
    for (let row = 0; row < rows; row += 1) {
      const start = place.offset + row * down * line;
      kernels.depthwise(start, kernel.offset, bias.offset, to.offset + row * columns * channels, columns, channels, kernelHeight, kernelWidth, spreadDown * line, spreadRight * channels, right * channels);
    }
  };
};

// Each input pixel times the kernel is added to the result where it belongs.
const transposed = ({ prepared: { kernel, nothing, work: place, bias }, options, weights, shape, shapes, kernels, from, view }, output) => {
  const [height, width, inner] = shapes[0];
  const [kernelHeight, kernelWidth, outer] = weights.kernel.shape;
  const [rows, columns] = shape;
  const [down, right] = options.strides ?? [1, 1];
  const [[top], [left]] = options.cut ?? [[0, 0], [0, 0]];
  const work = view(place);
  const wide = kernelHeight * kernelWidth * outer;
  return () => {
    for (let at = 0; at < output.length; at += 1) output[at] = bias ? bias[at % outer] : 0;
    for (let y = 0; y < height; y += 1) {
      kernels.multiply(from.offset + y * width * inner, inner, kernel.offset, nothing.offset, place.offset, wide, width, inner, wide);
      for (let x = 0; x < width; x += 1) {
        for (let row = 0; row < kernelHeight; row += 1) {
          const line = y * down + row - top;
          if (line < 0 || line >= rows) continue;
          for (let column = 0; column < kernelWidth; column += 1) {
            const at = x * right + column - left;
            if (at < 0 || at >= columns) continue;
            const [source, to] = [((x * kernelHeight + row) * kernelWidth + column) * outer, (line * columns + at) * outer];
            for (let channel = 0; channel < outer; channel += 1) output[to + channel] += work[source + channel];
          }
        }
      }
    }
  };
};
transposed.prepare = (operation, [input], { kernel, bias }, layout) => {
  const [height, width, outer, inner] = kernel.shape;
  const wide = height * width * outer;
  return {
    kernel: layout.keep(kernel, () => packed(kernel.data, inner, wide, (row, column) => column * inner + row)),
    nothing: layout.keep(`nothing ${wide}`, () => padded(null, wide)),
    bias: bias?.data,
    work: layout.work(input.shape[1] * wide),
  };
};

// The last two axes of both, for each place of the axes before them.
const matmul = ({ shapes: [one, other] }, output, left, right) => {
  const [rows, inner] = one.slice(-2);
  const columns = last(other);
  const places = output.length / (rows * columns);
  const [leftPlaces, rightPlaces] = [left.length / (rows * inner), right.length / (inner * columns)];
  return () => {
    for (let place = 0; place < places; place += 1) {
      const [first, second, to] = [(place % leftPlaces) * rows * inner, (place % rightPlaces) * inner * columns, place * rows * columns];
      for (let row = 0; row < rows; row += 1) {
        for (let column = 0; column < columns; column += 1) {
          let sum = 0;
          for (let at = 0; at < inner; at += 1) sum += left[first + row * inner + at] * right[second + at * columns + column];
          output[to + row * columns + column] = sum;
        }
      }
    }
  };
};

export const linear = { dense, convolution, transposed_convolution: transposed, matmul };
