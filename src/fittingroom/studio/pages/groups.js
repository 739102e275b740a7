// Numbers above the matrix that are buttons: right and wrong, what changed since the epoch before, how sure, and lists.

import { element, number } from "./dom.js";
import { GROUPS } from "./outcomes.js";
import { confidenceBars } from "./selection.js";

const COLOURS = ["stayed-right", "became-right", "became-wrong", "stayed-wrong"];

export const groupsOf = (data, select, chooseList, lists) => {
  const button = (name, kind) => element("button", { type: "button", class: `group-button ${kind}`, data: { group: name }, onclick: () => select({ group: name }) });
  const simple = [button("right", "stayed-right"), button("wrong", "stayed-wrong")];
  const changes = GROUPS.map((name, at) => button(name, COLOURS[at])).slice(1, 3);
  const since = element("span", { class: "muted small" });
  const bars = element("div", { class: "confidence", role: "group", "aria-label": "How sure the answers are" });
  const list = element("select", { "aria-label": "List of the report", onchange: () => chooseList(list.value || null) }, element("option", { value: "" }, "no list"), lists.map((one) => element("option", { value: one.name }, `${one.name}: ${number(one.count)}`)));
  const bar = (low) => element("button", { type: "button", class: "confidence-bar", data: { low }, onclick: (event) => choose(low, event.shiftKey) }, element("span", { class: "bar-wrong" }), element("span", { class: "bar-right" }));
  const columns = data.hasConfidence ? Array.from({ length: 10 }, (_, at) => bar(10 * at)) : [];
  let chosen = { low: null, high: null };
  // With Shift the range grows to this bar.
  const choose = (low, grow) => {
    if (grow && chosen.low !== null) select({ low: Math.min(chosen.low, low), high: Math.max(chosen.high, low + 10) });
    else select({ low, high: low + 10 });
  };
  bars.append(...columns);
  const scale = element("div", { class: "confidence-scale muted", "aria-hidden": "true" }, element("span", null, "0%"), element("span", null, "how sure"), element("span", null, "100%"));
  const node = element("div", { class: "groups" }, element("div", { class: "group-row" }, simple, changes, since), data.hasConfidence ? element("div", null, bars, scale) : null, lists.length ? element("label", { class: "choice" }, element("span", null, "List"), list) : null);
  const update = (row, from, selection) => {
    const counts = [0, 0, 0, 0];
    for (let image = 0; image < data.count; image++) counts[data.group(image, from, row)]++;
    const right = counts[0] + counts[1];
    const show = (one, text, count) => {
      one.replaceChildren(`${text} `, element("b", null, number(count)));
      one.setAttribute("aria-pressed", String(selection.group === one.dataset.group));
    };
    show(simple[0], "right", right);
    show(simple[1], "wrong", data.count - right);
    changes.forEach((one, at) => {
      one.hidden = row === from;
      show(one, GROUPS[at + 1], counts[at + 1]);
    });
    since.textContent = row === from ? "" : `since ${data.titleOf(from)}`;
    list.value = selection.list ?? "";
    chosen = selection;
    if (!data.hasConfidence) return;
    const found = confidenceBars(data, row);
    const most = Math.max(...found.map((one) => one.right + one.wrong), 1);
    // The square root, so that a few are seen beside many.
    columns.forEach((one, at) => {
      const { right: fine, wrong } = found[at];
      const height = Math.sqrt((fine + wrong) / most);
      one.children[0].style.height = `${(100 * height * wrong) / (fine + wrong || 1)}%`;
      one.children[1].style.height = `${(100 * height * fine) / (fine + wrong || 1)}%`;
      const text = `${10 * at} to ${10 * at + 10}% sure: ${number(fine)} right, ${number(wrong)} wrong`;
      one.title = text;
      one.setAttribute("aria-label", text);
      one.setAttribute("aria-pressed", String(selection.low !== null && selection.low <= 10 * at && selection.high >= 10 * at + 10));
    });
  };
  return { node, update };
};
