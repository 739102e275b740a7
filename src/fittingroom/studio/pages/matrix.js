// The confusion matrix of any epoch. Each number is a button to its images; with many classes, a list of the mistakes.

import { element, named, number } from "./dom.js";

const MOST = 24; // classes whose matrix fits on a screen
const MOST_PAIRS = 60;

const shade = (count, total) => (count ? Math.min(Math.round(9 * Math.sqrt(count / (total || 1))), 9) : 0);

export const matrixOf = (data, select) => (data.classes.length > MOST ? pairs(data, select) : table(data, select));

function table(data, select) {
  const size = data.classes.length;
  const cells = [];
  const cell = (label, predicted) => {
    const pressed = () => select({ label, predicted });
    const button = element("button", { type: "button", onclick: pressed, tabindex: "-1", data: { label, predicted } });
    cells.push(button);
    return element("td", null, button);
  };
  const heading = (key, one, scope) =>
    element("th", { scope }, element("button", { type: "button", class: "quiet heading", title: data.classes[one], onclick: () => select({ [key]: one }) }, named(data.classes[one])));
  const head = element("tr", null, element("td", { class: "corner" }, "given ↓ taken for →"), data.classes.map((_, one) => heading("predicted", one, "col")));
  const body = data.classes.map((_, label) => element("tr", null, heading("label", label, "row"), data.classes.map((__, predicted) => cell(label, predicted))));
  const node = element("table", { class: "matrix cells" }, element("thead", null, head), element("tbody", null, body));
  node.addEventListener("keydown", (event) => walk(event, cells, size));
  cells[0].tabIndex = 0;
  const update = (row, selection) => {
    const counts = data.confusion(row);
    cells.forEach((button, at) => {
      const [label, predicted] = [Math.floor(at / size), at % size];
      const total = counts.subarray(label * size, (label + 1) * size).reduce((one, other) => one + other, 0);
      const count = counts[at];
      const how = label === predicted ? "recognised" : `taken for ${data.classes[predicted]}`;
      const chosen = selection.label === label && selection.predicted === predicted;
      button.textContent = count ? number(count) : "·";
      button.className = `cell shade-${shade(count, total)} ${label === predicted ? "right" : "wrong"}${count ? "" : " empty"}`;
      button.setAttribute("aria-label", `${count} of ${data.classes[label]} ${how}`);
      button.setAttribute("aria-pressed", String(chosen));
    });
  };
  return { node: element("div", { class: "scroll", role: "region", "aria-label": "Confusion matrix" }, node), update };
}

// The arrow keys go from cell to cell; Tab goes past the matrix.
const walk = (event, cells, size) => {
  const at = cells.indexOf(event.target);
  const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: size, ArrowUp: -size };
  const next = at + steps[event.key];
  if (at < 0 || !(event.key in steps) || !cells[next] || (Math.abs(steps[event.key]) === 1 && Math.floor(next / size) !== Math.floor(at / size))) return;
  event.preventDefault();
  event.stopPropagation();
  cells[at].tabIndex = -1;
  cells[next].tabIndex = 0;
  cells[next].focus();
};

function pairs(data, select) {
  const size = data.classes.length;
  const choice = (key, title) => {
    const options = data.classes.map((name, one) => element("option", { value: String(one) }, name));
    const node = element("select", { "aria-label": title, onchange: () => select({ [key]: node.value === "" ? null : Number(node.value) }, true) }, element("option", { value: "" }, "any"), options);
    return { node, labelled: element("label", { class: "choice" }, element("span", null, title), node) };
  };
  const [given, taken] = [choice("label", "Given"), choice("predicted", "Taken for")];
  const list = element("ol", { class: "pairs" });
  const note = element("p", { class: "muted small" });
  const node = element("div", null, element("div", { class: "controls" }, given.labelled, taken.labelled), note, list);
  const update = (row, selection) => {
    const counts = data.confusion(row);
    const wrong = [];
    counts.forEach((count, at) => {
      if (count && at % size !== Math.floor(at / size)) wrong.push([count, Math.floor(at / size), at % size]);
    });
    wrong.sort(([one], [other]) => other - one);
    note.textContent = `${number(size)} classes are too many for a matrix: these are the ${number(Math.min(wrong.length, MOST_PAIRS))} most frequent of ${number(wrong.length)} pairs that are mixed up.`;
    list.replaceChildren(...wrong.slice(0, MOST_PAIRS).map(([count, label, predicted]) => {
      const chosen = selection.label === label && selection.predicted === predicted;
      const names = [named(data.classes[label]), element("span", { class: "muted" }, " taken for "), named(data.classes[predicted])];
      return element("li", null, element("button", { type: "button", class: "quiet", "aria-pressed": String(chosen), data: { label, predicted }, onclick: () => select({ label, predicted }) }, element("span", { class: "names" }, names), element("strong", null, number(count))));
    }));
    given.node.value = selection.label ?? "";
    taken.node.value = selection.predicted ?? "";
  };
  return { node, update };
}
