// The operations without weights to multiply by: bind(context, output, ...inputs) → a function that computes the output.

const size = (shape) => shape.reduce((product, side) => product * side, 1);

const erf = (x) => {
  // Abramowitz and Stegun 7.1.26 is good to 1e-7 only; a series and a continued fraction are to 1e-15.
  const z = Math.abs(x);
  if (z > 6) return Math.sign(x);
  if (z < 2.5) {
    let [sum, term] = [z, z];
    for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum) && n < 100; n += 1) {
      term *= (-z * z) / n;
      sum += term / (2 * n + 1);
    }
    return Math.sign(x) * (2 / Math.sqrt(Math.PI)) * sum;
  }
  let fraction = 0;
  for (let n = 60; n > 0; n -= 1) fraction = n / 2 / (z + fraction);
  return Math.sign(x) * (1 - Math.exp(-z * z) / (Math.sqrt(Math.PI) * (z + fraction)));
};

const sigmoid = (x) => 1 / (1 + Math.exp(-x));
const softplus = (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
const [SELU_SCALE, SELU_ALPHA] = [1.0507009873554805, 1.6732632423543772];

const ACTIVATIONS = {
  relu: ({ max_value: most = null, negative_slope: slope = 0, threshold = 0 }) => {
    const top = most ?? Infinity;
    if (!slope && !threshold) return (x) => (x > 0 ? (x < top ? x : top) : x <= 0 ? 0 : x); // NaN stays NaN
    return (x) => (x >= top ? top : x > threshold ? x : slope * (x - threshold));
  },
  sigmoid: () => sigmoid,
  tanh: () => Math.tanh,
  exponential: () => Math.exp,
  elu: ({ alpha = 1 }) => (x) => (x > 0 ? x : alpha * Math.expm1(x)),
  selu: () => (x) => SELU_SCALE * (x > 0 ? x : SELU_ALPHA * Math.expm1(x)),
  gelu: ({ approximate = false }) =>
    approximate
      ? (x) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x)))
      : (x) => 0.5 * x * (1 + erf(x / Math.SQRT2)),
  silu: () => (x) => x * sigmoid(x),
  softplus: () => softplus,
  softsign: () => (x) => x / (1 + Math.abs(x)),
  hard_sigmoid: () => (x) => Math.min(Math.max(x / 6 + 0.5, 0), 1),
  hard_silu: () => (x) => x * Math.min(Math.max(x / 6 + 0.5, 0), 1),
  log_sigmoid: () => (x) => -softplus(-x),
  log: () => Math.log,
  square: () => (x) => x * x,
  sqrt: () => Math.sqrt,
  reciprocal: () => (x) => 1 / x,
  negative: () => (x) => -x,
};

const activation = ({ options }, output, input) => {
  const make = ACTIVATIONS[options.name];
  if (!make) throw new Error(`The page does not know the activation ${options.name}.`);
  if (options.name === "relu" && !options.negative_slope && !options.threshold) return relu(output, input, options.max_value ?? Infinity);
  return each(make(options))(null, output, input);
};

// The commonest, without a call for each number. NaN stays NaN.
const relu = (output, input, most) => () => {
  for (let at = 0; at < output.length; at += 1) {
    const x = input[at];
    output[at] = x < 0 ? 0 : x > most ? most : x;
  }
};

const scale = ({ weights }, output, input) => {
  const [factor, offset] = [weights.scale.data, weights.offset.data];
  const [factors, offsets] = [factor.length, offset.length];
  const channels = Math.max(factors, offsets);
  return () => {
    for (let start = 0; start < output.length; start += channels) {
      for (let channel = 0; channel < channels; channel += 1) {
        output[start + channel] = input[start + channel] * factor[channel % factors] + offset[channel % offsets];
      }
    }
  };
};

// Where in an array of one shape each number of another shape comes from; -1 for nowhere. `place` changes a list of
// indices, one for each axis of the result, into one for each axis of the source, or into null.
const sources = (source, result, place) => {
  const steps = source.map((_, axis) => size(source.slice(axis + 1)));
  const found = new Int32Array(size(result));
  const index = result.map(() => 0);
  for (let at = 0; at < found.length; at += 1) {
    const from = place(index);
    found[at] = from ? from.reduce((sum, one, axis) => sum + one * steps[axis], 0) : -1;
    for (let axis = result.length - 1; axis >= 0 && ++index[axis] === result[axis]; axis -= 1) index[axis] = 0;
  }
  return found;
};

const gathered = (output, input, found) => () => {
  for (let at = 0; at < output.length; at += 1) output[at] = found[at] < 0 ? 0 : input[found[at]];
};

const moved = (placeOf) => (context, output, input) => {
  const [source] = context.shapes;
  return gathered(output, input, sources(source, context.shape, placeOf(context.options, source, context.shape)));
};

const axisOf = (axis, shape) => (axis < 0 ? axis + shape.length : axis);
const within = (index, shape) => (index.every((one, axis) => one >= 0 && one < shape[axis]) ? index : null);

const nearest = (at, from, to) => Math.min(Math.floor(((at + 0.5) * from) / to), from - 1);

const placed = {
  transpose: moved(({ axes }) => (index) => {
    const from = [];
    axes.forEach((axis, at) => (from[axisOf(axis, axes)] = index[at]));
    return from;
  }),
  pad: moved(({ padding }, source) => (index) => within(index.map((one, axis) => one - padding[axis][0]), source)),
  crop: moved(({ cropping }) => (index) => index.map((one, axis) => one + cropping[axis][0])),
  flip: moved(({ axis }, source) => (index) => index.map((one, at) => (at === axisOf(axis, source) ? source[at] - 1 - one : one))),
};

// From half-pixel centres, and no further than the outermost pixels' centres.
const lines = (from, to) =>
  Array.from({ length: to }, (_, at) => {
    const place = Math.min(Math.max(((at + 0.5) * from) / to - 0.5, 0), from - 1);
    const low = Math.floor(place);
    return { low, high: Math.min(low + 1, from - 1), share: place - low };
  });

const resize = ({ options, shapes: [[height, width, channels]], shape: [rows, columns] }, output, input) => {
  if (options.method === "nearest") {
    const place = ([row, column, channel]) => [nearest(row, height, rows), nearest(column, width, columns), channel];
    return gathered(output, input, sources([height, width, channels], [rows, columns, channels], place));
  }
  const [down, right] = [lines(height, rows), lines(width, columns)];
  return () => {
    let to = 0;
    for (const y of down) {
      for (const x of right) {
        const [a, b] = [(y.low * width + x.low) * channels, (y.low * width + x.high) * channels];
        const [c, d] = [(y.high * width + x.low) * channels, (y.high * width + x.high) * channels];
        for (let channel = 0; channel < channels; channel += 1) {
          const top = input[a + channel] * (1 - x.share) + input[b + channel] * x.share;
          const bottom = input[c + channel] * (1 - x.share) + input[d + channel] * x.share;
          output[to++] = top * (1 - y.share) + bottom * y.share;
        }
      }
    }
  };
};

const pool = (average) => ({ options, shapes: [[height, width, channels]], shape: [rows, columns] }, output, input) => {
  const [high, wide] = options.size;
  const [down, right] = options.strides ?? options.size;
  const [[top], [left]] = options.padding ?? [[0, 0], [0, 0]];
  return () => {
    for (let row = 0; row < rows; row += 1) {
      const [y, yEnd] = [Math.max(row * down - top, 0), Math.min(row * down - top + high, height)];
      for (let column = 0; column < columns; column += 1) {
        const [x, xEnd] = [Math.max(column * right - left, 0), Math.min(column * right - left + wide, width)];
        const to = (row * columns + column) * channels;
        for (let channel = 0; channel < channels; channel += 1) {
          let found = average ? 0 : -Infinity;
          for (let line = y; line < yEnd; line += 1) {
            for (let at = (line * width + x) * channels + channel, end = (line * width + xEnd) * channels; at < end; at += channels) {
              if (average) found += input[at];
              else if (!(input[at] <= found)) found = input[at];
            }
          }
          output[to + channel] = average ? found / ((yEnd - y) * (xEnd - x)) : found;
        }
      }
    }
  };
};

// Over all axes but the last ones.
const overAll = (start, step, end) => (output, input) => () => {
  for (let channel = 0; channel < output.length; channel += 1) {
    let found = start;
    for (let at = channel; at < input.length; at += output.length) found = step(found, input[at]);
    output[channel] = end(found, input.length / output.length);
  }
};

// Over some axes: `step` takes what was found so far and a number.
const reduced = (start, step, end) => ({ options, shapes: [source] }, output, input) => {
  const axes = new Set(options.axes.map((axis) => axisOf(axis, source)));
  const kept = source.map((side, axis) => (axes.has(axis) ? 1 : side));
  if (repeats(kept, source)) return overAll(start, step, end)(output, input);
  const places = sources(kept, source, (index) => index.map((one, axis) => (axes.has(axis) ? 0 : one)));
  const found = new Float64Array(output.length);
  return () => {
    found.fill(start);
    for (let at = 0; at < input.length; at += 1) found[places[at]] = step(found[places[at]], input[at]);
    for (let at = 0; at < output.length; at += 1) output[at] = end(found[at], input.length / output.length);
  };
};

const broadcast = (source, result) => {
  const missing = result.length - source.length;
  return sources(source, result, (index) => source.map((side, axis) => (side === 1 ? 0 : index[axis + missing])));
};

// Whether a shape, without the ones before it, is the end of another: its numbers are then repeated in order.
const repeats = (source, result) => {
  const own = source.slice(source.findIndex((side) => side !== 1));
  return size(source) === 1 || own.every((side, at) => side === result[result.length - own.length + at]);
};

// What is given, and again until the end.
const fill = (y, x) => {
  if (x.length === y.length) y.set(x);
  else for (let at = 0; at < y.length; at += 1) y[at] = x[at % x.length];
};

// A loop each, so that the browser can compile it for this one sum or product.
const PAIRS = {
  add: (y, x) => {
    for (let start = 0; start < y.length; start += x.length) for (let at = 0; at < x.length; at += 1) y[start + at] += x[at];
  },
  subtract: (y, x) => {
    for (let start = 0; start < y.length; start += x.length) for (let at = 0; at < x.length; at += 1) y[start + at] -= x[at];
  },
  multiply: (y, x) => {
    for (let start = 0; start < y.length; start += x.length) for (let at = 0; at < x.length; at += 1) y[start + at] *= x[at];
  },
  maximum: (y, x) => {
    for (let start = 0; start < y.length; start += x.length) for (let at = 0; at < x.length; at += 1) y[start + at] = Math.max(y[start + at], x[at]);
  },
  minimum: (y, x) => {
    for (let start = 0; start < y.length; start += x.length) for (let at = 0; at < x.length; at += 1) y[start + at] = Math.min(y[start + at], x[at]);
  },
};

// Of several inputs, one after the other.
const together = (pair, end = null) => ({ shapes, shape }, output, ...inputs) => {
  const spread = inputs.map((input, at) => {
    if (repeats(shapes[at], shape)) return { values: input, run: null };
    const values = new Float32Array(output.length);
    return { values, run: gathered(values, input, broadcast(shapes[at], shape)) };
  });
  return () => {
    spread.forEach(({ values, run }, at) => {
      run?.();
      (at ? pair : fill)(output, values);
    });
    end?.(output, inputs.length);
  };
};

const divided = (y, count) => {
  for (let at = 0; at < y.length; at += 1) y[at] /= count;
};

const concatenate = ({ options, shapes, shape }, output, ...inputs) => {
  const axis = axisOf(options.axis, shape);
  const whole = size(shape.slice(axis));
  let start = 0;
  const parts = inputs.map((input, at) => {
    const part = { input, start, length: size(shapes[at].slice(axis)) };
    start += part.length;
    return part;
  });
  return () => {
    for (const { input, start: first, length } of parts) {
      for (let from = 0, to = first; from < input.length; from += length, to += whole) output.set(input.subarray(from, from + length), to);
    }
  };
};

// Along the last axis.
const byRow = (f) => ({ shape, options, weights }, output, input) => {
  const length = shape[shape.length - 1];
  const row = new Float64Array(length);
  return () => {
    for (let start = 0; start < output.length; start += length) {
      for (let at = 0; at < length; at += 1) row[at] = input[start + at];
      f(row, options, weights);
      for (let at = 0; at < length; at += 1) output[start + at] = row[at];
    }
  };
};

const lessLogSum = (row) => {
  const most = row.reduce((one, other) => Math.max(one, other), -Infinity);
  let sum = 0;
  for (const value of row) sum += Math.exp(value - most);
  const less = most + Math.log(sum);
  for (let at = 0; at < row.length; at += 1) row[at] -= less;
};

const normalize = (row, { epsilon }, { gamma, beta }) => {
  const mean = row.reduce((sum, value) => sum + value, 0) / row.length;
  const variance = row.reduce((sum, value) => sum + (value - mean) ** 2, 0) / row.length;
  const factor = 1 / Math.sqrt(variance + epsilon);
  for (let at = 0; at < row.length; at += 1) row[at] = (row[at] - mean) * factor * (gamma?.data[at] ?? 1) + (beta?.data[at] ?? 0);
};

const prelu = ({ weights: { alpha }, shape }, output, input) => {
  const map = broadcast(alpha.shape, shape);
  return () => {
    for (let at = 0; at < output.length; at += 1) output[at] = input[at] > 0 ? input[at] : input[at] * alpha.data[map[at]];
  };
};

const logMeanExp = (context, output, ...inputs) => () => {
  for (let at = 0; at < output.length; at += 1) {
    let most = -Infinity;
    for (const input of inputs) most = Math.max(most, input[at]);
    let sum = 0;
    for (const input of inputs) sum += Math.exp(input[at] - most);
    output[at] = most === -Infinity ? -Infinity : most + Math.log(sum / inputs.length);
  }
};

const each = (f) => (context, output, input) => () => {
  for (let at = 0; at < output.length; at += 1) output[at] = f(input[at]);
};

// The nearest number of 16 bits, of two equally near the even one.
const half = (x) => {
  const size = Math.abs(x);
  if (!(size > 0 && size < Infinity)) return x;
  const step = 2 ** (Math.max(Math.floor(Math.log2(size)), -14) - 10);
  const steps = size / step;
  const low = Math.floor(steps);
  const up = steps - low > 0.5 || (steps - low === 0.5 && low % 2 === 1);
  const found = (low + (up ? 1 : 0)) * step;
  return Math.sign(x) * (found > 65_504 ? Infinity : found);
};

export const simple = {
  ...placed,
  activation,
  scale,
  resize,
  concatenate,
  prelu,
  log_mean_exp: logMeanExp,
  max_pool: pool(false),
  average_pool: pool(true),
  mean: reduced(0, (sum, x) => sum + x, (sum, count) => sum / count),
  max: reduced(-Infinity, (most, x) => Math.max(most, x), (most) => most),
  add: together(PAIRS.add),
  subtract: together(PAIRS.subtract),
  multiply: together(PAIRS.multiply),
  maximum: together(PAIRS.maximum),
  minimum: together(PAIRS.minimum),
  average: together(PAIRS.add, divided),
  floor: each(Math.floor),
  float16: each(half),
  // The same numbers in the same order; nothing to do where they lie in the same place.
  reshape: (context, output, input) => (output.byteOffset === input.byteOffset ? null : () => output.set(input)),
  softmax: byRow((row) => {
    lessLogSum(row);
    for (let at = 0; at < row.length; at += 1) row[at] = Math.exp(row[at]);
  }),
  log_softmax: byRow(lessLogSum),
  layer_norm: byRow(normalize),
  constant: ({ weights }, output) => () => output.set(weights.value.data),
};
