// Pictures of another size, as OpenCV and Pillow make them, to the rounding.
//
// A picture is {height, width, channels, data}: rows of pixels, 1 or 3 numbers each, Uint8Array (0 to 255) or Float32Array.

export const picture = (height, width, channels, data) => ({ height, width, channels, data });

// To the nearest whole number, halves to the even one, as Python and NumPy round.
export const rint = (value) => {
  const near = Math.round(value);
  return near - value === 0.5 && near % 2 !== 0 ? near - 1 : near;
};

const isBytes = (data) => data instanceof Uint8Array || data instanceof Uint8ClampedArray;

// 0 to 255, halves rounded to even: what an assignment to a clamped array does.
export const toBytes = (values) => new Uint8Array(new Uint8ClampedArray(values).buffer);

export const floats = (values) => new Float32Array(values);

// An array of a type, of what a function gives for each place. (`from` with a function takes ten times as long.)
export const filled = (Type, length, valueAt) => {
  const result = new Type(length);
  for (let at = 0; at < length; at += 1) result[at] = valueAt(at);
  return result;
};

// The same numbers once for each channel.
export const repeated = (values, channels) => {
  const result = new values.constructor(values.length * channels);
  for (let at = 0, to = 0; at < values.length; at += 1) for (let channel = 0; channel < channels; channel += 1, to += 1) result[to] = values[at];
  return result;
};

// For each new pixel: the first old one, how many it covers, and the share of each (OpenCV's computeResizeAreaTab).
const areaShares = (before, after) => {
  const scale = before / after;
  const most = Math.ceil(scale) + 2;
  const starts = new Int32Array(after);
  const counts = new Int32Array(after);
  const shares = new Float32Array(after * most);
  for (let at = 0; at < after; at += 1) {
    const from = at * scale;
    const to = from + scale;
    const cell = Math.min(scale, before - from);
    const last = Math.min(Math.floor(to), before - 1);
    const first = Math.min(Math.ceil(from), last);
    let count = 0;
    const add = (share) => (shares[at * most + count++] = share);
    starts[at] = first - from > 1e-3 ? first - 1 : first;
    if (starts[at] < first) add((first - from) / cell);
    for (let inner = first; inner < last; inner += 1) add(1 / cell);
    if (to - last > 1e-3) add(Math.min(to - last, 1, cell) / cell);
    counts[at] = count;
  }
  return { starts, counts, shares, most };
};

const reduced = ({ height, width, channels, data }, newHeight, newWidth) => {
  const across = areaShares(width, newWidth);
  const down = areaShares(height, newHeight);
  const bytes = isBytes(data);
  const length = newWidth * channels;
  const result = bytes ? new Uint8ClampedArray(newHeight * length) : new Float32Array(newHeight * length);
  const sum = new Float32Array(length); // what is added up is rounded to 32 bits each time, as OpenCV does
  // Whole blocks of 2×2 bytes are summed as whole numbers, and a half is rounded up.
  const halves = bytes && height === 2 * newHeight && width === 2 * newWidth;
  for (let row = 0; row < newHeight; row += 1) {
    sum.fill(0);
    for (let step = 0; step < down.counts[row]; step += 1) {
      const offset = (down.starts[row] + step) * width * channels;
      const share = down.shares[row * down.most + step];
      for (let column = 0; column < newWidth; column += 1) {
        const start = offset + across.starts[column] * channels;
        const count = across.counts[column];
        for (let channel = 0; channel < channels; channel += 1) {
          let value = 0;
          let from = start + channel;
          for (let at = 0, weight = column * across.most; at < count; at += 1, weight += 1, from += channels)
            value = Math.fround(value + Math.fround(data[from] * across.shares[weight]));
          sum[column * channels + channel] += Math.fround(value * share);
        }
      }
    }
    if (halves) for (let at = 0; at < length; at += 1) sum[at] = Math.floor(sum[at] + 0.5);
    result.set(sum, row * length);
  }
  return picture(newHeight, newWidth, channels, bytes ? new Uint8Array(result.buffer) : result);
};

// For each new pixel: the old one before it, and the share of the next; `start` may be -1 or the last.
const linearShares = (before, after, areas) =>
  Array.from({ length: after }, (_, at) => {
    const scale = before / after;
    if (areas) {
      const start = Math.floor(at * scale);
      const share = Math.fround(at + 1 - (start + 1) / scale);
      return { start, share: share <= 0 ? 0 : share - Math.floor(share) };
    }
    const place = Math.fround((at + 0.5) * scale - 0.5);
    const start = Math.floor(place);
    return { start, share: Math.fround(place - start) };
  });

const interpolated = ({ height, width, channels, data }, newHeight, newWidth, areas) => {
  // Beyond the first and last pixel there is none: across, its share goes to it; down, both rows are the same one.
  const inside = ({ start, share }) => (start < 0 ? { start: 0, share: 0 } : start >= width - 1 ? { start: width - 1, share: 0 } : { start, share });
  const across = linearShares(width, newWidth, areas).map(inside);
  const down = linearShares(height, newHeight, areas);
  const bytes = isBytes(data);
  // Shares of bytes are whole numbers of 1/2048.
  const pairs = ({ share }) => (bytes ? [rint(Math.fround(1 - share) * 2048), rint(share * 2048)] : [Math.fround(1 - share), share]);
  const [columns, rows] = [across.map(pairs), down.map(pairs)];
  const length = newWidth * channels;
  const result = bytes ? new Uint8Array(newHeight * length) : new Float32Array(newHeight * length);
  const lineOf = (row) => {
    const line = bytes ? new Int32Array(length) : new Float32Array(length);
    for (let column = 0; column < newWidth; column += 1) {
      const [near, far] = columns[column];
      const from = (row * width + across[column].start) * channels;
      const next = across[column].start + 1 < width ? from + channels : from;
      for (let channel = 0; channel < channels; channel += 1)
        line[column * channels + channel] = data[from + channel] * near + data[next + channel] * far;
    }
    return line;
  };
  const lines = new Map(); // the last two rows of the old picture
  const line = (row) => {
    if (!lines.has(row)) {
      if (lines.size > 1) lines.delete(lines.keys().next().value);
      lines.set(row, lineOf(row));
    }
    return lines.get(row);
  };
  for (let row = 0; row < newHeight; row += 1) {
    const [near, far] = rows[row];
    const { start } = down[row];
    const one = line(Math.max(start, 0));
    const other = line(Math.min(start + 1, height - 1));
    for (let at = 0; at < length; at += 1)
      result[row * length + at] = bytes
        ? (((near * (one[at] >> 4)) >> 16) + ((far * (other[at] >> 4)) >> 16) + 2) >> 2
        : one[at] * near + other[at] * far;
  }
  return picture(newHeight, newWidth, channels, result);
};

const same = (image, height, width) => image.height === height && image.width === width;

// cv2.resize with INTER_LINEAR.
export const resizeLinear = (image, height, width) => (same(image, height, width) ? image : interpolated(image, height, width, false));

// cv2.resize with INTER_AREA: the mean of what each new pixel covers; where a side grows, it interpolates.
export const resizeArea = (image, height, width) => {
  if (same(image, height, width)) return image;
  return image.height >= height && image.width >= width ? reduced(image, height, width) : interpolated(image, height, width, true);
};

const KERNELS = { box: [0.5, (x) => (x > -0.5 && x <= 0.5 ? 1 : 0)], bilinear: [1, (x) => Math.max(1 - Math.abs(x), 0)] };
const UNIT = 2 ** 22; // Pillow's shares are whole numbers of 1 / UNIT

const pillowShares = (before, after, [low, high], [reach, kernel]) => {
  const scale = (high - low) / after;
  const wide = Math.max(scale, 1);
  return Array.from({ length: after }, (_, at) => {
    const centre = low + (at + 0.5) * scale;
    const start = Math.max(Math.trunc(centre - reach * wide + 0.5), 0);
    const end = Math.min(Math.trunc(centre + reach * wide + 0.5), before);
    const raw = Array.from({ length: end - start }, (__, step) => kernel((step + start - centre + 0.5) / wide));
    const total = raw.reduce((sum, share) => sum + share, 0) || 1;
    return { start, shares: new Float64Array(raw.map((share) => Math.trunc(0.5 + (share / total) * UNIT))) };
  });
};

const clipped = (sum) => Math.min(Math.max(Math.floor(sum / UNIT), 0), 255);

const acrossRows = ({ height, width, channels, data }, newWidth, shares) => {
  const result = new Uint8Array(height * newWidth * channels);
  for (let row = 0; row < height; row += 1)
    for (let column = 0; column < newWidth; column += 1) {
      const { start, shares: weights } = shares[column];
      for (let channel = 0; channel < channels; channel += 1) {
        let sum = UNIT / 2;
        let from = (row * width + start) * channels + channel;
        for (let at = 0; at < weights.length; at += 1, from += channels) sum += data[from] * weights[at];
        result[(row * newWidth + column) * channels + channel] = clipped(sum);
      }
    }
  return picture(height, newWidth, channels, result);
};

const downColumns = ({ width, channels, data }, newHeight, shares) => {
  const line = width * channels;
  const result = new Uint8Array(newHeight * line);
  shares.forEach(({ start, shares: weights }, row) => {
    for (let place = 0; place < line; place += 1) {
      let sum = UNIT / 2;
      for (let at = 0; at < weights.length; at += 1) sum += data[(start + at) * line + place] * weights[at];
      result[row * line + place] = clipped(sum);
    }
  });
  return picture(newHeight, width, channels, result);
};

// Image.resize of Pillow for bytes, over a box [left, top, right, bottom] of the picture.
export const pillowResize = (image, height, width, kind, box = [0, 0, image.width, image.height]) => {
  const [left, top, right, bottom] = box.map(Math.fround);
  const shares = (before, after, sides) => pillowShares(before, after, sides, KERNELS[kind]);
  const across = (one) => {
    if (width === one.width && left === 0 && right === width) return one;
    return acrossRows(one, width, shares(one.width, width, [left, right]));
  };
  const down = (one) => {
    if (height === one.height && top === 0 && bottom === height) return one;
    return downColumns(one, height, shares(one.height, height, [top, bottom]));
  };
  // Where the height shrinks far more, Pillow goes down the columns first (from version 13 on).
  const downFirst = height < image.height && image.height - height > 2 * (image.width - width);
  return downFirst ? across(down(image)) : down(across(image));
};
