// Where the images are on the map: read from the run, or computed in the background while the page tells how far it is.

import { element, number } from "./dom.js";
import { unpacked } from "./binary.js";

const SOURCES = {
  "hidden layer": (width) => `the ${number(width)} features of the last hidden layer`,
  pixels: () => "the pixels themselves, since this model has no hidden layer",
  backbone: (width) => `the backbone's ${number(width)} features of each picture`,
  answers: () => "the probabilities of the classes: the features of this model, or its images, are not to be had",
};

// Places from any range to 0..1, the same scale for both axes.
const normalized = (places) => {
  let [left, right, top, bottom] = [Infinity, -Infinity, Infinity, -Infinity];
  for (let at = 0; at < places.length; at += 2) {
    [left, right] = [Math.min(left, places[at]), Math.max(right, places[at])];
    [top, bottom] = [Math.min(top, places[at + 1]), Math.max(bottom, places[at + 1])];
  }
  const side = Math.max(right - left, bottom - top) || 1;
  const found = new Float32Array(places.length);
  for (let at = 0; at < places.length; at += 2) {
    found[at] = 0.5 + (places[at] - (left + right) / 2) / side;
    found[at + 1] = 0.5 - (places[at + 1] - (top + bottom) / 2) / side;
  }
  return found;
};

export const placesOf = (app, run) => {
  const base = `/api/runs/${encodeURIComponent(run)}/map`;
  const found = { pca: null, tsne: null, index: null, neighbours: null, source: null, work: null, rank: null };
  const read = async () => {
    const { arrays, source, width, shares, work } = unpacked(await app.get(base));
    found.work = work;
    if (source === null) return;
    Object.assign(found, { source, width, shares, index: arrays.index, neighbours: arrays.neighbours });
    found.pca = normalized(arrays.pca);
    found.tsne = arrays.tsne ? normalized(arrays.tsne) : null;
    found.rank = new Map(Array.from(arrays.index, (image, at) => [image, at]));
  };
  return {
    found,
    read,
    begin: async () => (found.work = await app.post(base, {})),
    // [x, y] of an image in the chosen places, 0 to 1; null where it is not on the map.
    at(image, kind) {
      const at = found.rank?.get(image);
      return at === undefined || !found[kind] ? null : [found[kind][2 * at], found[kind][2 * at + 1]];
    },
    nearestOf(image) {
      const at = found.rank?.get(image);
      if (at === undefined) return null;
      const each = found.neighbours.shape[1];
      return Array.from(found.neighbours.subarray(at * each, (at + 1) * each), (one) => found.index[one]);
    },
    words(kind) {
      const what = SOURCES[found.source](found.width);
      const share = Math.round(100 * (found.shares[0] + found.shares[1]));
      return kind === "pca"
        ? `Principal components of ${what}: the plane has ${share}% of their variance.`
        : `t-SNE of ${what}: neighbours stay together; distances between groups, and their sizes, mean nothing.`;
    },
  };
};

export const progressOf = () => {
  const text = element("span");
  const bar = element("progress", { max: "1" });
  const node = element("p", { class: "map-work", role: "status", hidden: true }, text, bar);
  return {
    node,
    show(work) {
      node.hidden = !work || work.state === "done";
      if (node.hidden) return;
      bar.hidden = work.state === "failed" || !work.of;
      if (work.of) bar.value = work.done / work.of;
      if (work.state === "failed") text.textContent = work.message;
      else if (work.state === "waiting") text.textContent = "Another map is being computed; this one is next.";
      else text.textContent = work.of ? `${work.stage}: ${number(work.done)} of ${number(work.of)}` : "Preparing the map …";
    },
  };
};
