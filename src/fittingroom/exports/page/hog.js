// HOG features of an image, as answers/out_of_distribution.py has them: where its edges are, and which way they run.

const [CELLS, DIRECTIONS] = [7, 12];
const LEAST_SLOPE = 1;
const TOO_LARGE = 56;

const brightness = ({ height, width, channels, data }, scale) => {
  const grey = new Float32Array(height * width);
  for (let at = 0; at < grey.length; at += 1) {
    let sum = 0;
    for (let channel = 0; channel < channels; channel += 1) sum += Math.fround(data[at * channels + channel] / scale);
    grey[at] = sum / channels;
  }
  return { height, width, grey };
};

// Large images, each block of pixels as its mean.
const blocks = ({ height, width, grey }) => {
  const block = Math.min(height, width) >= TOO_LARGE ? Math.floor(Math.min(height, width) / (TOO_LARGE / 2)) : 1;
  if (block === 1) return { height, width, grey };
  const [tall, wide] = [Math.floor(height / block), Math.floor(width / block)];
  const means = new Float32Array(tall * wide);
  for (let row = 0; row < tall; row += 1)
    for (let column = 0; column < wide; column += 1) {
      let sum = 0;
      for (let down = 0; down < block; down += 1)
        for (let right = 0; right < block; right += 1) sum += grey[(row * block + down) * width + column * block + right];
      means[row * wide + column] = sum / (block * block);
    }
  return { height: tall, width: wide, grey: means };
};

// Uint8Array of CELLS × CELLS × DIRECTIONS; `image` as it is stored, `scale` its white.
export const hogFeatures = (image, scale) => {
  const { height, width, grey } = blocks(brightness(image, scale));
  const sums = new Float64Array(CELLS * CELLS * DIRECTIONS);
  const slope = (at, place, length, stride) => {
    if (length === 1) return 0;
    if (place === 0) return grey[at + stride] - grey[at];
    if (place === length - 1) return grey[at] - grey[at - stride];
    return (grey[at + stride] - grey[at - stride]) / 2;
  };
  let total = 0;
  for (let row = 0; row < height; row += 1)
    for (let column = 0; column < width; column += 1) {
      const at = row * width + column;
      const [down, right] = [slope(at, row, height, width), slope(at, column, width, 1)];
      const size = Math.hypot(right, down);
      if (!size) continue;
      const turn = (Math.atan2(down, right) / (2 * Math.PI)) * DIRECTIONS;
      const direction = turn < 0 ? Math.min(turn + DIRECTIONS, DIRECTIONS) % DIRECTIONS : turn;
      const lower = Math.min(Math.floor(direction), DIRECTIONS - 1);
      const share = direction - lower;
      const cell = (Math.floor((row * CELLS) / height) * CELLS + Math.floor((column * CELLS) / width)) * DIRECTIONS;
      sums[cell + lower] += size * (1 - share);
      sums[cell + ((lower + 1) % DIRECTIONS)] += size * share;
      total += size;
    }
  return Uint8Array.from(sums, (sum) => Math.round(Math.sqrt(sum / Math.max(total, LEAST_SLOPE)) * 255));
};
