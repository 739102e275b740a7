// What a run made of each validation image after each epoch: all that a click needs is here, in the browser.

import { unpacked } from "./binary.js";

const STEPS = 65535;
export const GROUPS = ["stayed right", "became right", "became wrong", "stayed wrong"];

// "kept" is the row of the kept weights, where no epoch says the same.
const rowNames = (header) => [...header.epochs.map(String), ...(header.kept_row ? ["kept"] : [])];

export const readOutcomes = (buffer) => {
  const header = unpacked(buffer);
  const { labels, predicted, loss, probability, confidence, pictured } = header.arrays;
  const count = header.images;
  const names = rowNames(header);
  const places = pictured && new Map(Array.from(pictured, (image, place) => [image, place]));
  return {
    ...header,
    count,
    labels,
    names,
    rows: names.length,
    hasConfidence: confidence !== undefined,
    // Which row of the arrays an epoch of the address means; an epoch that is not there means the shown one.
    row: (name) => (names.includes(name) ? names.indexOf(name) : header.shown),
    titleOf: (row) => (names[row] === "kept" ? "the kept weights" : !header.has_epochs ? "fitting" : `epoch ${names[row]}`),
    after: (row) => (names[row] === "kept" ? "with the kept weights" : !header.has_epochs ? "as it was fitted" : `after epoch ${names[row]}`),
    predicted: (image, row) => predicted[row * count + image],
    right: (image, row) => predicted[row * count + image] === labels[image],
    loss: (image, row) => loss[row * count + image],
    probability: (image, row) => probability[row * count + image] / STEPS,
    confidence: (image, row) => (confidence ? confidence[row * count + image] / STEPS : null),
    group(image, from, row) {
      const [before, now] = [this.right(image, from), this.right(image, row)];
      return before ? (now ? 0 : 2) : now ? 1 : 3;
    },
    // Where its thumbnail is among the pictures; -1 where the run keeps none of it.
    place: (image) => (header.sheets === null ? -1 : places ? (places.get(image) ?? -1) : image),
    // How many images there are in each cell, row by row of the true classes.
    confusion(row) {
      const size = header.classes.length;
      const cells = new Uint32Array(size * size);
      for (let image = 0; image < count; image++) cells[labels[image] * size + predicted[row * count + image]]++;
      return cells;
    },
    // The mean loss and the share of right answers of some images, or of all, in each row.
    courses(images) {
      const of = images ?? { length: count };
      return names.map((_, row) => {
        let [sum, right] = [0, 0];
        for (let at = 0; at < of.length; at++) {
          const place = row * count + (images ? images[at] : at);
          sum += loss[place];
          right += predicted[place] === labels[images ? images[at] : at];
        }
        return { loss: sum / of.length, right: right / of.length };
      });
    },
  };
};

export const percent = (share) => `${Math.round(100 * share)}%`;

// A model's probability is never quite 0 or 1, and is not shown as if it were.
export const sure = (share) => (share > 0.995 ? ">99%" : share < 0.005 ? "<1%" : percent(share));
