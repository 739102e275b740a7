// The foreground of a photo, as photos/foreground.py finds it: training silhouettes, colours, and GrabCut.

import { BACKGROUND, FOREGROUND, LIKELY_BACKGROUND, LIKELY_FOREGROUND, grabCut } from "./grabcut.js";
import { OpenCvRandom, kMeans } from "./kmeans.js";
import { boxOf, dilated, eroded, inverse, partsOf } from "./morphology.js";
import { filled, floats, picture, pillowResize, resizeArea, resizeLinear, rint } from "./resampling.js";

export const REFINED = 128; // pixels along the copy that gives the mask
const SEARCHED = 64;
export const SIDE = 28; // of a silhouette
const GRID = 24;
const SIZES = [0.6, 0.8, 1];
const SHIFTS = [-0.12, 0, 0.12];
const COLOURS = 12;
const LIGHTNESS = 0.5;
const BORDER = 0.5;
const SHARPNESS = 20;
const FRAME = 0.05;
const SPECK = 0.25;
const HOLE = 0.06;
const ROUNDS_FROM_FRAME = 2;
const DOUBT = 0.1;
const PLACE_COUNTS = 0.5;
const COLOUR_COUNTS = 1.5;
const LOOKS = 3;
const SURE_SHARE = 0.02;

// Bits of a mask in bytes, the first in the highest, as NumPy packs them.
export const unpackedBits = (bytes, count) => filled(Uint8Array, count, (at) => (bytes[at >> 3] >> (7 - (at & 7))) & 1);

// The picture with its longest edge of so many pixels.
export const withLongest = (image, longest) => {
  const ratio = longest / Math.max(image.height, image.width);
  const [height, width] = [image.height, image.width].map((side) => Math.max(rint(side * ratio), 1));
  return ratio < 1 ? resizeArea(image, height, width) : resizeLinear(image, height, width);
};

// A mask as 0 and 1 in SIDE × SIDE pixels: its box, the longest edge fitted, centred.
const silhouetteOf = ({ mask, height, width }) => {
  const { top, bottom, left, right } = boxOf(mask, height, width);
  const ratio = SIDE / Math.max(bottom - top, right - left);
  const [tall, wide] = [bottom - top, right - left].map((side) => Math.max(rint(side * ratio), 1));
  const cut = new Uint8Array((bottom - top) * (right - left));
  for (let row = top; row < bottom; row += 1)
    for (let column = left; column < right; column += 1)
      cut[(row - top) * (right - left) + column - left] = mask[row * width + column] * 255;
  const fitted = pillowResize(picture(bottom - top, right - left, 1, cut), tall, wide, "box").data;
  const placed = new Uint8Array(SIDE * SIDE);
  const [above, before] = [(SIDE - tall) >> 1, (SIDE - wide) >> 1];
  for (let row = 0; row < tall; row += 1)
    for (let column = 0; column < wide; column += 1)
      placed[(above + row) * SIDE + before + column] = fitted[row * wide + column] > 127 ? 1 : 0;
  return placed;
};

// How much a mask is like the most similar silhouette: intersection over union. `silhouettes`: rows of SIDE × SIDE.
export const likeness = (mask, silhouettes) => {
  const own = silhouetteOf(mask);
  const places = Array.from(own.keys()).filter((place) => own[place]);
  let best = 0;
  silhouettes.forEach(({ bits, size }) => {
    let common = 0;
    for (const place of places) common += bits[place];
    best = Math.max(best, Math.fround(common / Math.max(places.length + size - common, 1)));
  });
  return best;
};

// Along one axis, which of a silhouette's pixels make up each cell of the grid, and how much.
const axisOf = (share, shift) => {
  const scale = (share * GRID) / SIDE;
  const offset = GRID * (0.5 + shift - share / 2) + (scale - 1) / 2;
  return Array.from({ length: GRID }, (_, cell) => {
    const place = (cell - offset) / scale;
    const start = Math.floor(place);
    return [[start, 1 - (place - start)], [start + 1, place - start]].filter(([at]) => at >= 0 && at < SIDE);
  });
};

// Typical silhouettes in several sizes and places of a grid: Float32Array rows, 0 to 1.
export const templatesOf = (typical) => {
  const axes = (sizes) => sizes.map((share) => SHIFTS.map((shift) => axisOf(share, shift)));
  const both = axes(SIZES);
  const templates = [];
  typical.forEach((shape) => {
    // Across first, for each width and shift: SIDE rows of GRID cells.
    const across = both.map((shifts) =>
      shifts.map((axis) => {
        const lines = new Float64Array(SIDE * GRID);
        for (let row = 0; row < SIDE; row += 1)
          axis.forEach((parts, cell) => parts.forEach(([at, share]) => (lines[row * GRID + cell] += share * shape[row * SIDE + at])));
        return lines;
      }),
    );
    both.forEach((downs) =>
      across.forEach((rights) =>
        downs.forEach((down) =>
          rights.forEach((lines) => {
            const placed = new Float32Array(GRID * GRID);
            down.forEach((parts, row) =>
              parts.forEach(([at, share]) => {
                for (let cell = 0; cell < GRID; cell += 1) placed[row * GRID + cell] += share * lines[at * GRID + cell];
              }),
            );
            templates.push(placed);
          }),
        ),
      ),
    );
  });
  return templates;
};

const linear = (value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
const LINEAR = Int32Array.from({ length: 256 }, (_, value) => rint(2040 * linear(value / 255)));
const ROOTS = Int32Array.from({ length: 3072 }, (_, step) => {
  const value = step / 2040;
  return rint(32768 * (value < 0.008856 ? value * 7.787 + 0.13793103448275862 : Math.cbrt(value)));
});

// Colours in CIELAB as OpenCV has them in bytes, lightness counting less: three numbers for each pixel.
export const labOf = ({ data }) => {
  const result = new Float32Array(data.length);
  const share = (value) => Math.min(Math.max((value + 16384) >> 15, 0), 255);
  for (let at = 0; at < data.length; at += 3) {
    const red = LINEAR[data[at]];
    const green = LINEAR[data[at + 1]];
    const blue = LINEAR[data[at + 2]];
    const x = ROOTS[(1777 * red + 1541 * green + 778 * blue + 2048) >> 12];
    const y = ROOTS[(871 * red + 2929 * green + 296 * blue + 2048) >> 12];
    const z = ROOTS[(73 * red + 448 * green + 3575 * blue + 2048) >> 12];
    result[at] = LIGHTNESS * share(296 * y - 1336935);
    result[at + 1] = share(500 * (x - y) + 4194304);
    result[at + 2] = share(200 * (y - z) + 4194304);
  }
  return result;
};

const BLUR = [2, 53, 146, 53, 2]; // of 256: a Gaussian of 0.7 pixels

const blurred = ({ height, width, channels, data }) => {
  const mirrored = (at, length) => {
    if (length === 1) return 0;
    const turn = Math.abs(at) % (2 * (length - 1));
    return turn < length ? turn : 2 * (length - 1) - turn;
  };
  const across = new Int32Array(data.length);
  const result = new Uint8Array(data.length);
  const line = width * channels;
  for (let row = 0; row < height; row += 1)
    for (let column = 0; column < width; column += 1)
      for (let channel = 0; channel < channels; channel += 1)
        across[row * line + column * channels + channel] = BLUR.reduce(
          (sum, share, step) => sum + share * data[row * line + mirrored(column + step - 2, width) * channels + channel], 0);
  for (let row = 0; row < height; row += 1) {
    const rows = BLUR.map((_, step) => mirrored(row + step - 2, height) * line);
    for (let at = 0; at < line; at += 1)
      result[row * line + at] = (BLUR.reduce((sum, share, step) => sum + share * across[rows[step] + at], 0) + 32768) >> 16;
  }
  return picture(height, width, channels, result);
};

// The kinds of colour in a picture: their centres, which one each cell shows, and how often the border shows each.
const colourKinds = (small) => {
  const { labels, centres } = kMeans(labOf(resizeArea(small, GRID, GRID)), COLOURS, 10, new OpenCvRandom());
  const border = new Float64Array(COLOURS);
  labels.forEach((kind, cell) => {
    const [row, column] = [Math.floor(cell / GRID), cell % GRID];
    if (row === 0 || column === 0 || row === GRID - 1 || column === GRID - 1) border[kind] += 1;
  });
  const cells = 4 * GRID - 4;
  const counts = new Float64Array(COLOURS);
  labels.forEach((kind) => (counts[kind] += 1));
  return { centres, shown: labels, counts, border: border.map((count) => (count * BORDER * GRID * GRID) / cells) };
};

const kindsShown = (image, { centres }) => {
  const colours = labOf(image);
  const squares = Array.from({ length: COLOURS }, (_, kind) => centres[3 * kind] ** 2 + centres[3 * kind + 1] ** 2 + centres[3 * kind + 2] ** 2);
  return filled(Uint8Array, colours.length / 3, (at) => {
    let [least, found] = [Infinity, 0];
    for (let kind = 0; kind < COLOURS; kind += 1) {
      const dot = colours[3 * at] * centres[3 * kind] + colours[3 * at + 1] * centres[3 * kind + 1] + colours[3 * at + 2] * centres[3 * kind + 2];
      const distance = squares[kind] - 2 * dot;
      if (distance < least) [least, found] = [distance, kind];
    }
    return found;
  });
};

const logLikelihood = (counts) => {
  let total = 0;
  for (let kind = 0; kind < COLOURS; kind += 1) total += counts[kind] + 1e-3;
  let sum = 0;
  for (let kind = 0; kind < COLOURS; kind += 1) sum += (counts[kind] + 1e-3) * Math.log((counts[kind] + 1e-3) / total);
  return sum;
};

// How well a mask on the grid parts the colours: mean log-likelihood of the cells' colours, nats.
const parting = (cells, kinds) => {
  const within = new Float64Array(COLOURS);
  for (let cell = 0; cell < cells.length; cell += 1) within[kinds.shown[cell]] += cells[cell];
  const around = within.map((count, kind) => kinds.counts[kind] + kinds.border[kind] - count);
  return (logLikelihood(within) + logLikelihood(around)) / (GRID * GRID);
};

// How likely each cell is foreground: the templates' mean, by how well they part the colours.
const expected = (templates, kinds) => {
  const ratings = templates.map((cells) => parting(cells, kinds));
  const best = ratings.reduce((most, rating) => Math.max(most, rating), -Infinity);
  const sums = new Float64Array(GRID * GRID);
  let total = 0;
  templates.forEach((cells, at) => {
    const weight = Math.exp(SHARPNESS * (ratings[at] - best));
    total += weight;
    if (weight > 1e-12) for (let cell = 0; cell < sums.length; cell += 1) sums[cell] += weight * cells[cell];
  });
  return picture(GRID, GRID, 1, floats(sums.map((sum) => sum / total)));
};

// How likely each pixel is foreground, by its place and its kind of colour, by turns (expectation and maximization).
const likelyOf = (small, kinds, templates) => {
  let likely = new Float64Array(resizeLinear(expected(templates, kinds), small.height, small.width).data);
  const byPlace = likely.map((share) => {
    const kept = Math.min(Math.max(share, DOUBT), 1 - DOUBT);
    return PLACE_COUNTS * (Math.log(kept) - Math.log1p(-kept));
  });
  const shown = kindsShown(blurred(small), kinds);
  for (let look = 0; look < LOOKS; look += 1) {
    const [own, other] = [new Float64Array(COLOURS).fill(1), new Float64Array(COLOURS).fill(1)];
    shown.forEach((kind, at) => {
      own[kind] += likely[at];
      other[kind] += 1 - likely[at];
    });
    const [all, rest] = [own, other].map((counts) => counts.reduce((sum, count) => sum + count, 0));
    const byColour = own.map((count, kind) => Math.log(count / all) - Math.log(other[kind] / rest));
    likely = byPlace.map((odds, at) => 1 / (1 + Math.exp(-odds - COLOUR_COUNTS * byColour[shown[at]])));
  }
  return likely;
};

const fromTemplates = (small, kinds, templates) => {
  const likely = likelyOf(small, kinds, templates);
  const start = filled(Uint8Array, likely.length, (at) => {
    const share = likely[at];
    if (share < SURE_SHARE) return BACKGROUND;
    if (share > 1 - SURE_SHARE) return FOREGROUND;
    return share > 0.5 ? LIKELY_FOREGROUND : LIKELY_BACKGROUND;
  });
  return grabCut(small, start, 1);
};

const fromFrame = (small) => {
  const { height, width } = small;
  const wide = Math.max(rint(FRAME * Math.max(height, width)), 1);
  const start = filled(Uint8Array, height * width, (at) => {
    const [row, column] = [Math.floor(at / width), at % width];
    const inner = row >= wide && column >= wide && row < height - wide && column < width - wide;
    return inner ? LIKELY_FOREGROUND : BACKGROUND;
  });
  return grabCut(small, start, ROUNDS_FROM_FRAME);
};

// A mask without specks and small holes: the part that weighs most near the middle, and others nearly as heavy.
const cleaned = (mask, height, width) => {
  const opened = dilated(eroded(mask, height, width, 3), height, width, 3);
  const { labels, count } = partsOf(opened, height, width, 8);
  if (!count) return mask.map(() => 1);
  const along = (at, length) => (length === 1 ? -1 : -1 + (2 * at) / (length - 1));
  const weights = new Float64Array(count + 1);
  labels.forEach((part, at) => {
    if (part) weights[part] += Math.exp(-(along(Math.floor(at / width), height) ** 2 + along(at % width, width) ** 2) / 1.2);
  });
  const heaviest = weights.reduce((most, weight) => Math.max(most, weight), 0);
  const kept = filled(Uint8Array, labels.length, (at) => (labels[at] && weights[labels[at]] > SPECK * heaviest ? 1 : 0));
  const size = kept.reduce((sum, value) => sum + value, 0);
  const { labels: gaps, count: gapCount } = partsOf(inverse(kept), height, width, 4);
  const areas = new Int32Array(gapCount + 1);
  const atEdge = new Uint8Array(gapCount + 1);
  gaps.forEach((gap, at) => {
    areas[gap] += 1;
    const [row, column] = [Math.floor(at / width), at % width];
    if (row === 0 || column === 0 || row === height - 1 || column === width - 1) atEdge[gap] = 1;
  });
  return kept.map((value, at) => (value || (gaps[at] && !atEdge[gaps[at]] && areas[gaps[at]] < HOLE * size) ? 1 : 0));
};

// GrabCut may change what lies within a few pixels of the mask's edge.
const refined = (image, mask) => {
  const { height, width } = image;
  const inner = eroded(mask, height, width, 9);
  const outer = dilated(mask, height, width, 9);
  const start = mask.map((value, at) => {
    if (inner[at]) return FOREGROUND;
    if (!outer[at]) return BACKGROUND;
    return value ? LIKELY_FOREGROUND : LIKELY_BACKGROUND;
  });
  return grabCut(image, start, 1);
};

// The foreground of a picture of REFINED pixels at its longest edge: {mask, way}, with what found it in words.
export const findForeground = (image, templates) => {
  const small = withLongest(image, SEARCHED);
  const kinds = colourKinds(small);
  const tries = [
    ["GrabCut, started from training silhouettes", fromTemplates(small, kinds, templates)],
    ["GrabCut, started from a frame", fromFrame(small)],
  ].map(([way, found]) => {
    const mask = cleaned(found, small.height, small.width);
    const cells = resizeArea(picture(small.height, small.width, 1, floats(mask)), GRID, GRID).data;
    return { way, mask, rating: Math.fround(parting(cells, kinds)) };
  });
  const { way, mask } = tries[1].rating > tries[0].rating ? tries[1] : tries[0];
  const larger = resizeLinear(picture(small.height, small.width, 1, mask), image.height, image.width).data;
  return { mask: cleaned(refined(image, larger.map((value) => (value > 0 ? 1 : 0))), image.height, image.width), way };
};
