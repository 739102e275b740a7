// What a run says of an image, and how far that can be trusted, as answers/judgement.py has it: temperature, label-shift
// calibration, prediction sets, images unlike those of training, and the sentences.

import { hogFeatures } from "./hog.js";
import { filled, rint } from "./resampling.js";

const MOST_NAMES = 10;
const LEAST_LOG = -100;
const SAME_CLASS_AT_LEAST = 2; // held-out images of a class, to compare with them alone
const NEIGHBOUR = 10;

const percent = (share) => (share >= 0.995 ? "over 99%" : share < 0.005 ? "under 1%" : `${rint(100 * share)}%`);

const wordList = (words, last = "and") => {
  const parts = words.length > MOST_NAMES ? [...words.slice(0, MOST_NAMES), `${(words.length - MOST_NAMES).toLocaleString("en")} more`] : words;
  return parts.length > 1 ? `${parts.slice(0, -1).join(", ")} ${last} ${parts.at(-1)}` : parts.join("");
};

const normalized = (logs) => {
  const most = Math.max(...logs);
  const apart = logs.map((value) => value - most);
  const total = Math.log(apart.reduce((sum, value) => sum + Math.exp(value), 0));
  return apart.map((value) => value - total);
};

const argmax = (values) => values.reduce((best, value, at) => (value > values[best] ? at : best), 0);

// 16-bit floating-point numbers.
const fromHalf = (bits) => {
  const [sign, exponent, part] = [bits & 0x8000 ? -1 : 1, (bits >> 10) & 0x1f, bits & 0x3ff];
  if (exponent === 31) return part ? NaN : sign * Infinity;
  return exponent ? sign * (1 + part / 1024) * 2 ** (exponent - 15) : sign * part * 2 ** -24;
};

const HALVES = 65_536;

const toHalf = (value) => {
  const size = Math.abs(value);
  const step = 2 ** (Math.max(Math.floor(Math.log2(size || 2 ** -24)), -14) - 10);
  return Math.sign(value) * rint(size / step) * step;
};

// The features of a backbone as a vector of length 1, rounded to 16 bits.
const unitVector = (features) => {
  const length = Math.sqrt(features.reduce((sum, value) => sum + value * value, 0));
  return Float32Array.from(features, (value) => toHalf(value / Math.max(length, 1e-12)));
};

// How many of the rising values are as large as one, or larger.
const beyond = (rising, value) => {
  let [low, high] = [0, rising.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (rising[middle] < value) low = middle + 1;
    else high = middle;
  }
  return rising.length - low;
};

// Held-out images, by their features: how far an image is from those of a class, and which of all is nearest.
const neighbours = (unlike, arrays) => {
  const bytes = unlike.compared === "shape";
  const { shape, data } = arrays["judgement/features"];
  const classes = arrays["judgement/classes"].data;
  const [count, length] = shape;
  const known = bytes ? null : filled(Float32Array, HALVES, fromHalf);
  const held = bytes ? data : filled(Float32Array, data.length, (at) => known[data[at]]);
  const unit = bytes ? 255 : 1;
  const firstOf = (label) => classes.length - beyond(classes, label);
  const distance = (features, at) => {
    let squares = 0;
    for (let place = 0, from = at * length; place < length; place += 1, from += 1) squares += (features[place] - held[from]) ** 2;
    return Math.fround(Math.sqrt(squares) / unit);
  };
  return {
    count,
    apart: (features, label) => {
      let [first, end] = [firstOf(label), firstOf(label + 1)];
      if (end - first < SAME_CLASS_AT_LEAST) [first, end] = [0, count];
      const rank = Math.min(NEIGHBOUR, Math.max(1, Math.floor((end - first) / 10)));
      return filled(Float32Array, end - first, (step) => distance(features, first + step)).sort()[rank - 1];
    },
    nearest: (features) => {
      let [least, found] = [Infinity, 0];
      for (let at = 0; at < count; at += 1) {
        const apart = distance(features, at);
        if (apart < least) [least, found] = [apart, at];
      }
      return classes[found];
    },
  };
};

const words = ({ dataset, classes, calibrated, unlike, coverage, usual }) => {
  const shown = ([name, probability]) => `${name} (${percent(probability)})`;
  return {
    unlike: ([name, probability], closest) => {
      const start = `Unlike the training images of ${dataset} (${wordList(classes)}). The closest class is ${closest}`;
      if (unlike.compared === null)
        return `${start}, at ${percent(probability)}: the model is less confident than ${usual}. The run keeps no images, so nothing else could be compared.`;
      const guessed = closest === name ? `, the model's guess at ${percent(probability)}` : `; the model's guess is ${name} at ${percent(probability)}`;
      const unusual = unlike.compared === "shape" ? "Its shape" : "What the backbone sees in it";
      return `${start}${guessed}. ${unusual}, or the model's low confidence, is more unusual than ${usual}.`;
    },
    like: (guess, chosen, cutOut) => {
      const [name, probability] = guess;
      if (!calibrated) return `${name}, at ${percent(probability)}, not calibrated: no images were held out to check the model on.`;
      const where = cutOut ? "synthetic photos made from held-out images" : "images like the training images";
      const right = `a set that contains the right class ${coverage} of the time, on ${where}`;
      if (!chosen.length) return `${name} is the likeliest, but at ${percent(probability)} not likely enough to be in ${right}.`;
      if (chosen.length === 1) return `${chosen[0][0]}, at ${percent(chosen[0][1])}: the only class likely enough to be in ${right}.`;
      return `${wordList(chosen.map(shown), "or")}: together ${right}.`;
    },
  };
};

// judging(facts, arrays) → {compared, answer({logs, image, features, cutOut})}: `logs` before the temperature, `image` as
// it is stored, `features` of the network or null.
export const judging = ({ judgement: facts }, arrays) => {
  const { classes, unlike, label_shift: shift, image_shape: shape } = facts;
  const compared = unlike?.compared ?? null;
  const held = compared ? neighbours(unlike, arrays) : null;
  const say = words(facts);

  const featuresOf = (image, features) => {
    if (compared === "features") return unitVector(features);
    const [height, width, channels = 1] = shape;
    return hogFeatures({ height, width, channels, data: image }, facts.scale);
  };

  // Whether the image is unlike: {rarity, closest: the number of a class, or null where it is like}.
  const unlikeness = (told, image, features) => {
    if (!unlike) return { rarity: null, closest: null };
    const named = argmax(told);
    if (!held) return { rarity: null, closest: told[named] < (unlike.threshold ?? -Infinity) ? named : null };
    const own = featuresOf(image, features);
    const farther = beyond(arrays["judgement/distances"].data, held.apart(own, named)) + 1;
    const lessSure = beyond(arrays["judgement/surprises"].data, Math.fround(-told[named])) + 1;
    const rarity = Math.min(farther, 2 * lessSure) / (held.count + 1);
    return { rarity, closest: rarity < unlike.threshold ? held.nearest(own) : null };
  };

  const answer = ({ logs, image, features = null, cutOut = false }) => {
    const given = Array.from(logs);
    const recalibrated = cutOut && shift !== null;
    const most = Math.max(...given);
    const told = recalibrated
      ? normalized(given.map((value, label) => shift.sharpness * Math.max(value, LEAST_LOG) + shift.shifts[label]))
      : normalized(given.map((value) => (value - most) / facts.temperature));
    const limit = (recalibrated ? shift : facts).most_surprise ?? Infinity;
    const probabilities = told.map((value) => Math.fround(Math.exp(value)));
    const order = [...probabilities.keys()].sort((one, other) => probabilities[other] - probabilities[one] || one - other);
    const pair = (label) => [classes[label], probabilities[label]];
    const guess = pair(order[0]);
    const chosen = order.filter((label) => Math.fround(-told[label]) <= limit).map(pair);
    const { rarity, closest } = unlikeness(told, image, features);
    const why = closest === null ? say.like(guess, chosen, recalibrated) : say.unlike(guess, classes[closest]);
    return {
      class: guess[0], probability: guess[1], probabilities, set: chosen.map(([name]) => name), unlike: closest !== null, why,
      second_opinion: null, closest: closest === null ? null : classes[closest], rarity,
    };
  };
  return { compared, answer };
};
