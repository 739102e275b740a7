// The one selection of the view: which images, told in words, kept in the address.

import { GROUPS, percent } from "./outcomes.js";

const NONE = { label: null, predicted: null, group: null, low: null, high: null, list: null, lasso: null };
export const CLEARED = NONE;

const whole = (text, most) => (/^\d+$/.test(text ?? "") && Number(text) < most ? Number(text) : null);

// From the address; whatever is not there, or makes no sense, selects nothing.
export const readSelection = (query, data, lists) => {
  const [low, high] = [whole(query.low, 101), whole(query.high, 101)];
  const bounded = low !== null && high !== null && low < high && data.hasConfidence;
  return {
    label: whole(query.label, data.classes.length),
    predicted: whole(query.predicted, data.classes.length),
    group: ["right", "wrong", ...GROUPS].includes(query.group) ? query.group : null,
    low: bounded ? low : null,
    high: bounded ? high : null,
    list: lists.some((one) => one.name === query.list) ? query.list : null,
    lasso: readLasso(query.lasso),
  };
};

// Corners in thousandths of the map's side: "120.300-500.310-400.800".
const readLasso = (text) => {
  const corners = (text ?? "").split("-").map((corner) => corner.split(".").map(Number));
  return corners.length > 2 && corners.every((corner) => corner.length === 2 && corner.every(Number.isFinite)) ? corners : null;
};
export const lassoText = (corners) => corners.map((corner) => corner.map((value) => Math.min(Math.max(Math.round(value), 0), 1000)).join(".")).join("-");

const within = (corners, x, y) => {
  let inside = false;
  for (let at = 0, before = corners.length - 1; at < corners.length; before = at++) {
    const [[x1, y1], [x2, y2]] = [corners[at], corners[before]];
    if (y1 > y !== y2 > y && x < ((x2 - x1) * (y - y1)) / (y2 - y1) + x1) inside = !inside;
  }
  return inside;
};

export const isEmpty = (selection) => Object.values(selection).every((value) => value === null);

// The images of a selection, in the order of a list where one is chosen. `places.at(image)` is [x, y] on the map, or null.
export const selected = (data, selection, { row, from, lists, places }) => {
  const listed = lists.find((one) => one.name === selection.list)?.images;
  const fits = (image) => {
    if (selection.label !== null && data.labels[image] !== selection.label) return false;
    if (selection.predicted !== null && data.predicted(image, row) !== selection.predicted) return false;
    if (selection.group === "right" && !data.right(image, row)) return false;
    if (selection.group === "wrong" && data.right(image, row)) return false;
    if (GROUPS.includes(selection.group) && GROUPS[data.group(image, from, row)] !== selection.group) return false;
    if (selection.low !== null) {
      const confidence = 100 * data.confidence(image, row);
      if (confidence < selection.low || (confidence >= selection.high && selection.high < 100)) return false;
    }
    if (selection.lasso !== null) {
      const place = places.at(image);
      if (!place || !within(selection.lasso, 1000 * place[0], 1000 * place[1])) return false;
    }
    return true;
  };
  if (listed) return listed.filter(fits);
  const found = [];
  for (let image = 0; image < data.count; image++) if (fits(image)) found.push(image);
  return found;
};

const ofClasses = (selection, data) => {
  const [label, predicted] = [selection.label, selection.predicted].map((one) => (one === null ? null : data.classes[one]));
  if (label === null && predicted === null) return [];
  if (predicted === null) return [[label]];
  if (label === null) return [["anything taken for "], [predicted]];
  return label === predicted ? [[label], [" recognised"]] : [[label], [" taken for "], [predicted]];
};

// The selection in words, as parts: [text] of a class is another's name, and is isolated where it is shown.
export const wordsOf = (selection, data, row, from) => {
  const classes = ofClasses(selection, data);
  const rest = [];
  if (selection.group === "right" || selection.group === "wrong") rest.push(selection.group);
  else if (selection.group) rest.push(`${selection.group}, ${data.titleOf(from)} to ${data.titleOf(row)}`);
  if (selection.low !== null) rest.push(`${selection.low} to ${selection.high}% sure`);
  if (selection.list) rest.push(`in the list “${selection.list}”`);
  if (selection.lasso) rest.push("outlined on the map");
  return { classes: classes.map(([text]) => text), rest: rest.join(", ") };
};

export const sentence = ({ classes, rest }) => [classes.join(""), rest].filter(Boolean).join(", ") || "mistakes";

export const confidenceBars = (data, row) => {
  const bars = Array.from({ length: 10 }, () => ({ right: 0, wrong: 0 }));
  for (let image = 0; image < data.count; image++) {
    const bar = bars[Math.min(Math.floor(10 * data.confidence(image, row)), 9)];
    bar[data.right(image, row) ? "right" : "wrong"]++;
  }
  return bars;
};

export const SORTS = {
  surest: "surest first",
  unsure: "least sure first",
  loss: "largest loss first",
  order: "in the dataset's order",
};

export const sorted = (images, sort, data, row) => {
  const certain = (image) => data.confidence(image, row) ?? -data.probability(image, row);
  const keys = { surest: (image) => -certain(image), unsure: certain, loss: (image) => -data.loss(image, row) };
  if (!keys[sort]) return images;
  return images.map((image) => [keys[sort](image), image]).sort(([one], [other]) => one - other).map(([, image]) => image);
};

export { percent };
