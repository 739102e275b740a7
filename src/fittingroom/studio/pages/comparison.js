// What `fittingroom compare` says of runs, in place: the verdict in words, the runs, and the notes that it takes to read it.

import { element, named } from "./dom.js";

const percent = (share) => `${(100 * share).toFixed(2)}%`;
const points = (value) => `${value > 0 ? "+" : value < 0 ? "−" : ""}${Math.abs(100 * value).toFixed(2)}`;
const chance = (p) => (p < 0.001 ? "< 0.001" : p.toFixed(3));

// An interval on one axis for all runs, so that one sees how far they overlap.
const axisOf = (runs) => {
  const [low, high] = [Math.min(...runs.map((run) => run.interval[0])), Math.max(...runs.map((run) => run.interval[1]))];
  const room = (high - low) * 0.06 || 0.01;
  return (value) => (100 * (value - low + room)) / (high - low + 2 * room);
};
export const intervalOf = (runs) => {
  const place = axisOf(runs);
  return (run) =>
    element("span", { class: "interval", "aria-hidden": "true", style: { "--low": `${place(run.interval[0])}%`, "--high": `${100 - place(run.interval[1])}%`, "--at": `${place(run.accuracy)}%` } }, element("i"), element("b"));
};

export const comparisonOf = (app, facts, titleOf, close) => {
  const drawn = intervalOf(facts.runs);
  const rows = facts.runs.map((run) =>
    element("tr", null,
      element("th", { scope: "row" }, named(titleOf(run.run))), element("td", null, named(run.recipe)), element("td", { class: "number" }, percent(run.accuracy)),
      element("td", { class: "wide" }, drawn(run)), element("td", { class: "number loss" }, run.loss === null ? "–" : run.loss.toFixed(4))));
  const told = (text) => facts.runs.reduce((said, run) => said.replaceAll(run.run, titleOf(run.run)), text);
  const [pair] = facts.pairs;
  const difference = element("p", { class: "muted" }, `Difference ${points(pair.accuracy.difference)} points, 95% interval ${points(pair.accuracy.interval[0])} to ${points(pair.accuracy.interval[1])}, p = ${chance(pair.accuracy.p_corrected)}.`);
  return element("div", { class: "panel comparison", role: "region", "aria-label": "Comparison" },
    element("button", { class: "quiet close", "aria-label": "Close the comparison", onclick: close }, "Close"),
    element("h2", null, `On ${facts.images.toLocaleString("en")} validation images of `, named(facts.dataset)),
    facts.pairs.map((one) => element("p", { class: "verdict" }, named(told(one.verdict)))), difference,
    element("div", { class: "scroll" }, element("table", { class: "sheet" }, element("thead", null, element("tr", null, ["Run", "Recipe", "Accuracy", "95% interval", "Loss (nats)"].map((head, at) => element("th", { scope: "col", class: [2, 4].includes(at) ? "number" : "" }, head)))), element("tbody", null, rows))),
    facts.notes.map((note) => element("p", { class: "hint" }, named(note))));
};
