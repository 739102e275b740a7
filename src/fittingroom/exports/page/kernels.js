// The two loops that take nearly all of a network's time, on one block of memory: in WebAssembly with vectors of four
// numbers where the browser has them, else in JavaScript. Places and steps are in floats.

import { assembled } from "./assembly.js";

export const PANEL = 8; // columns of a matrix that lie together

// A matrix `[rows][columns]` as `multiply` takes it: `[panels][rows][8]`, with zeros at the end.
export const packed = (values, rows, columns, at = (row, column) => row * columns + column) => {
  const result = new Float32Array(Math.ceil(columns / PANEL) * PANEL * rows);
  for (let column = 0; column < columns; column += 1) {
    const start = Math.floor(column / PANEL) * PANEL * rows + (column % PANEL);
    for (let row = 0; row < rows; row += 1) result[start + row * PANEL] = values[at(row, column)];
  }
  return result;
};

export const padded = (values, length) => {
  const result = new Float32Array(Math.ceil(length / PANEL) * PANEL);
  if (values) result.set(values);
  return result;
};

const PAGE = 65_536; // bytes

// instructions() → {reserve(floats) → the memory, multiply, depthwise, vectors}.
export const instructions = ({ vectors = true } = {}) => (vectors && withVectors()) || plain();

const withVectors = () => {
  let module;
  try {
    module = new WebAssembly.Module(assembled());
  } catch {
    return null; // no WebAssembly, none with vectors, or a policy that forbids it
  }
  let functions;
  let memory;
  return {
    vectors: true,
    reserve: (floats) => {
      const pages = new WebAssembly.Memory({ initial: Math.max(Math.ceil((4 * floats) / PAGE), 1) });
      functions = new WebAssembly.Instance(module, { page: { memory: pages } }).exports;
      memory = new Float32Array(pages.buffer, 0, floats);
      return memory;
    },
    multiply: (a, aStep, b, bias, c, cStep, rows, inner, columns) => functions.multiply(4 * a, 4 * aStep, 4 * b, 4 * bias, 4 * c, 4 * cStep, rows, inner, columns),
    depthwise: (x, kernel, bias, y, pixels, channels, height, width, rowStep, columnStep, pixelStep) => {
      if (channels % 4) return eachChannel(memory, x, kernel, bias, y, pixels, channels, height, width, rowStep, columnStep, pixelStep);
      return functions.depthwise(4 * x, 4 * kernel, 4 * bias, 4 * y, pixels, channels, height, width, 4 * rowStep, 4 * columnStep, 4 * pixelStep);
    },
  };
};

const plain = () => {
  let f;
  return {
    vectors: false,
    reserve: (floats) => (f = new Float32Array(floats)),
    // c[rows, columns] = a[rows, inner] · b[inner, columns] + bias; b and bias are packed.
    multiply: (a, aStep, b, bias, c, cStep, rows, inner, columns) => {
      for (let column = 0; column < columns; column += 4) {
        const start = b + Math.floor(column / PANEL) * PANEL * inner + (column % PANEL);
        const [b0, b1, b2, b3] = [f[bias + column], f[bias + column + 1], f[bias + column + 2], f[bias + column + 3]];
        const some = Math.min(columns - column, 4);
        for (let row = 0; row < rows; row += 2) {
          const second = row + 1 < rows ? aStep : 0; // the last row alone is computed twice
          let [p0, p1, p2, p3, q0, q1, q2, q3] = [b0, b1, b2, b3, b0, b1, b2, b3];
          let from = a + row * aStep;
          for (let at = start, end = start + inner * PANEL; at < end; at += PANEL, from += 1) {
            const p = f[from];
            const q = f[from + second];
            const w0 = f[at];
            const w1 = f[at + 1];
            const w2 = f[at + 2];
            const w3 = f[at + 3];
            p0 += p * w0;
            p1 += p * w1;
            p2 += p * w2;
            p3 += p * w3;
            q0 += q * w0;
            q1 += q * w1;
            q2 += q * w2;
            q3 += q * w3;
          }
          const to = c + row * cStep + column;
          const other = second && to + cStep;
          f[to] = p0;
          if (second) f[other] = q0;
          if (some > 1) {
            f[to + 1] = p1;
            if (second) f[other + 1] = q1;
          }
          if (some > 2) {
            f[to + 2] = p2;
            if (second) f[other + 2] = q2;
          }
          if (some > 3) {
            f[to + 3] = p3;
            if (second) f[other + 3] = q3;
          }
        }
      }
    },
    depthwise: (...places) => eachChannel(f, ...places),
  };
};

// A row of pixels of a convolution of each channel by itself, on an image that is padded.
const eachChannel = (f, x, kernel, bias, y, pixels, channels, height, width, rowStep, columnStep, pixelStep) => {
  for (let pixel = 0; pixel < pixels; pixel += 1) {
    for (let channel = 0; channel < channels; channel += 1) {
      let sum = f[bias + channel];
      for (let row = 0; row < height; row += 1) {
        const from = x + pixel * pixelStep + row * rowStep + channel;
        for (let column = 0; column < width; column += 1) sum += f[from + column * columnStep] * f[kernel + (row * width + column) * channels + channel];
      }
      f[y + pixel * channels + channel] = sum;
    }
  }
};
