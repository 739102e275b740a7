// From a photo to an image like those of training, step by step, as photos/conversion.py does it.

import { REFINED, SIDE, findForeground, likeness, templatesOf, unpackedBits, withLongest } from "./foreground.js";
import { boxOf } from "./morphology.js";
import { filled, floats, picture, pillowResize, repeated, resizeArea, resizeLinear, rint, toBytes } from "./resampling.js";

const WIDTHS = [1, 0.92, 0.85, 0.78, 0.7, 0.64, 0.58];
const MOST_STRETCH = 3;
const LUMA = [0.299, 0.587, 0.114].map(Math.fround);
const SHORTEST = 16;
const MOST_OBLONG = 20;

// What a user should read.
export class PictureError extends Error {}

// The words of the errors of photos/photo_reader.py.
export const checkHasForeground = ({ height, width }) => {
  const [least, most] = [Math.min(height, width), Math.max(height, width)];
  if (least < SHORTEST || most > MOST_OBLONG * least)
    throw new PictureError(
      `The picture has ${width}×${height} pixels, too few to find a foreground; expected at least ${SHORTEST} along ` +
        `the shortest edge, and at most ${MOST_OBLONG} times that along the longest. Use a larger picture.`,
    );
};

// Brightness as Pillow converts it: ITU-R BT.601 in whole numbers.
export const greyBytes = (image) => {
  if (image.channels === 1) return image;
  const { height, width, data } = image;
  const grey = new Uint8Array(height * width);
  for (let at = 0; at < grey.length; at += 1)
    grey[at] = (data[3 * at] * 19595 + data[3 * at + 1] * 38470 + data[3 * at + 2] * 7471 + 32768) >> 16;
  return picture(height, width, 1, grey);
};

export const rgbBytes = (image) => {
  if (image.channels === 3) return image;
  return picture(image.height, image.width, 3, repeated(image.data, 3));
};

const step = (name, note, shown) => ({ name, note, picture: shown });

const shownOf = ({ height, width, channels, data }) => picture(height, width, channels, toBytes(data));

// What is computed once of the silhouettes that a page carries.
export const preparedStyle = (facts, arrays) => {
  const bits = (name) => {
    const { shape, data } = arrays[name];
    const all = unpackedBits(data, shape[0] * 8 * shape[1]);
    return Array.from({ length: shape[0] }, (_, at) => all.subarray(at * 8 * shape[1], at * 8 * shape[1] + SIDE * SIDE));
  };
  const sizeOf = (one) => one.reduce((sum, bit) => sum + bit, 0);
  let [silhouettes, templates] = [null, null]; // they are made when the first photo comes
  return {
    ...facts,
    silhouettes: () => (silhouettes ??= bits("photos/silhouettes").map((one) => ({ bits: one, size: sizeOf(one) }))),
    templates: () => (templates ??= templatesOf(bits("photos/typical"))),
  };
};

const cropped = (image, mask) => {
  const { top, bottom, left, right } = boxOf(mask, image.height, image.width);
  const [height, width] = [bottom - top, right - left];
  const cut = ({ channels, data }, of) => {
    const result = new data.constructor(height * width * channels);
    for (let row = 0; row < height; row += 1) {
      const start = ((top + row) * of + left) * channels;
      result.set(data.subarray(start, start + width * channels), row * width * channels);
    }
    return result;
  };
  return [picture(height, width, image.channels, cut(image, image.width)), cut({ channels: 1, data: mask }, image.width)];
};

// The picture and the mask made narrower where that makes the silhouette more like those of training images.
const narrowed = (image, mask, style) => {
  const { height, width } = image;
  const wide = (share) => Math.max(rint(width * share), 1);
  const tries = WIDTHS.map((share) => {
    if (share === 1) return { share, mask, height, width };
    const small = resizeArea(picture(height, width, 1, mask.map((value) => value * 255)), height, wide(share)).data;
    return { share, mask: small.map((value) => (value > 127 ? 1 : 0)), height, width: wide(share) };
  });
  const ratings = tries.map((one) => likeness(one, style.silhouettes()));
  const best = tries[ratings.indexOf(Math.max(...ratings))];
  return [best.share === 1 ? image : resizeArea(image, height, best.width), best.mask, best.share];
};

const greyOf = ({ height, width, data }) => {
  const grey = new Float32Array(height * width);
  for (let at = 0; at < grey.length; at += 1) grey[at] = data[3 * at] * LUMA[0] + data[3 * at + 1] * LUMA[1] + data[3 * at + 2] * LUMA[2];
  return picture(height, width, 1, grey);
};

// Mean and deviation of the numbers within a mask.
const spreadOf = ({ channels, data }, mask) => {
  let [count, sum] = [0, 0];
  const visit = (use) =>
    mask.forEach((inside, at) => {
      if (inside) for (let channel = 0; channel < channels; channel += 1) use(data[at * channels + channel]);
    });
  visit((value) => {
    count += 1;
    sum += value;
  });
  const mean = sum / count;
  let squares = 0;
  visit((value) => (squares += (value - mean) ** 2));
  return { mean, deviation: Math.sqrt(squares / count) };
};

const changed = ({ height, width, channels, data }, change) =>
  picture(height, width, channels, filled(data.constructor, data.length, (at) => change(data[at], at)));

const adjusted = (image, mask, style) => {
  const { mean, deviation } = spreadOf(image, mask);
  const stretch = Math.min(style.deviation / Math.max(deviation, 1), MOST_STRETCH);
  return changed(image, (value) => Math.min(Math.max((value - mean) * stretch + style.mean, 0), 255));
};

// The foreground as large as in training images, with its own brightness up to its edge; and its share of each pixel.
const fittedTo = (image, mask, style, [modelHeight, modelWidth]) => {
  const { height, width, channels, data } = image;
  const ratio = style.extent * Math.min(modelHeight / height, modelWidth / width);
  const [tall, wide] = [height, width].map((side) => Math.max(rint(side * ratio), 1));
  const resize = (one) => (ratio < 1 ? resizeArea(one, tall, wide) : resizeLinear(one, tall, wide));
  const share = resize(picture(height, width, 1, floats(mask)));
  const light = resize(picture(height, width, channels, filled(Float32Array, data.length, (at) => data[at] * mask[Math.floor(at / channels)])));
  const values = light.data.map((value, at) => value / Math.max(share.data[Math.floor(at / channels)], 1e-3));
  return [picture(tall, wide, channels, values), share];
};

const centreOfMass = ({ height, width, data }) => {
  let [total, down, right] = [0, 0, 0];
  for (let row = 0; row < height; row += 1)
    for (let column = 0; column < width; column += 1) {
      const value = data[row * width + column];
      total += value;
      down += value * row;
      right += value * column;
    }
  return [down / Math.max(total, 1e-6), right / Math.max(total, 1e-6)];
};

// The foreground on the background of training images, where it is in them.
const placed = ({ height, width, channels, data }, share, style, [modelHeight, modelWidth]) => {
  const middle = style.by_mass ? centreOfMass(share) : [(height - 1) / 2, (width - 1) / 2];
  const [top, left] = [[modelHeight, middle[0], height], [modelWidth, middle[1], width]].map(([side, centre, length]) =>
    Math.min(Math.max(rint((side - 1) / 2 - centre), 0), side - length),
  );
  const canvas = new Float32Array(modelHeight * modelWidth * channels).fill(style.background);
  data.forEach((value, at) => {
    const place = Math.floor(at / channels);
    const [row, column] = [Math.floor(place / width), place % width];
    const target = ((top + row) * modelWidth + left + column) * channels + (at % channels);
    canvas[target] = style.background + (value - style.background) * share.data[place];
  });
  return picture(modelHeight, modelWidth, channels, toBytes(canvas));
};

const inStyle = (photo, found, style, shape) => {
  const [cut, cutMask] = cropped(photo, found);
  const steps = [step("crop", "the box around the foreground", cut)];
  const [narrow, mask, share] = narrowed(cut, cutMask, style);
  const kept = share === 1 ? "as it is" : `${rint(100 * share)}% of its width`;
  steps.push(step("proportions", `${kept}: nearest to the silhouette of a training image`, narrow));
  let values = picture(narrow.height, narrow.width, 3, floats(narrow.data));
  if (shape.length === 2) {
    values = greyOf(narrow);
    steps.push(step("grey", "brightness alone", shownOf(values)));
    const { mean } = spreadOf(values, mask);
    const negated = Math.abs(255 - mean - style.mean) < Math.abs(mean - style.mean);
    if (negated) values = changed(values, (value) => 255 - value);
    steps.push(step("polarity", `${negated ? "the negative" : "as it is"}: nearer to training images`, shownOf(values)));
  }
  values = adjusted(values, mask, style);
  steps.push(step("contrast", "mean and deviation of training images", shownOf(values)));
  const [sized, shares] = fittedTo(values, mask, style, shape);
  const { channels } = sized;
  const faded = changed(sized, (value, at) => value * shares.data[Math.floor(at / channels)]);
  steps.push(step("size", "longest edge as in training images", shownOf(faded)));
  const image = placed(sized, shares, style, shape);
  const centred = style.by_mass ? "centre of mass" : "box";
  steps.push(step("centre", `${centred} in the middle, on the background of training images`, image));
  return steps;
};

// A photo with a foreground: {steps, image}.
export const convertForeground = (photo, style, shape) => {
  const shown = withLongest(rgbBytes(photo), REFINED);
  const { mask, way } = findForeground(shown, style.templates());
  const cut = picture(shown.height, shown.width, 3, shown.data.map((value, at) => (mask[Math.floor(at / 3)] ? value : 255)));
  const steps = [
    step("photo", `scaled to ${shown.width}×${shown.height} pixels`, shown),
    step("foreground", `found by ${way}`, cut),
    ...inStyle(shown, mask, style, shape),
  ];
  return { steps, image: steps.at(-1).picture };
};

// A picture resized as those of a folder are: by the longest edge, cropped, or stretched.
const fittedWhole = (image, height, width, aspect) => {
  if (image.height === height && image.width === width) return image;
  if (aspect === "stretch") return pillowResize(image, height, width, "bilinear");
  const ratios = [width / image.width, height / image.height];
  if (aspect === "crop") {
    const most = Math.max(...ratios);
    const [wide, tall] = [Math.min(width / most, image.width), Math.min(height / most, image.height)];
    const [left, top] = [(image.width - wide) / 2, (image.height - tall) / 2];
    return pillowResize(image, height, width, "bilinear", [left, top, left + wide, top + tall]);
  }
  const least = Math.min(...ratios);
  const [wide, tall] = [image.width, image.height].map((side) => Math.max(rint(side * least), 1));
  const inner = pillowResize(image, tall, wide, "bilinear");
  const { channels } = image;
  const canvas = new Uint8Array(height * width * channels);
  const [left, top] = [(width - wide) >> 1, (height - tall) >> 1];
  for (let row = 0; row < tall; row += 1)
    canvas.set(inner.data.subarray(row * wide * channels, (row + 1) * wide * channels), ((top + row) * width + left) * channels);
  return picture(height, width, channels, canvas);
};

// A photo that goes in whole: {steps, image}.
export const convertWhole = (photo, { aspect, rule }, shape) => {
  const resized = fittedWhole(photo, shape[0], shape[1], aspect);
  const image = shape.length === 3 ? rgbBytes(resized) : greyBytes(resized);
  return { steps: [step("photo", "as it came", photo), step("size", rule, image)], image };
};
