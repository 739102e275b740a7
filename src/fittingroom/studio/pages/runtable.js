// The table of runs: its columns, the conditions of a filter, the order. The same words as `fittingroom runs` takes.

import { element, named } from "./dom.js";

const NOTHING = "–";
const percent = (share, digits = 1) => (share === null ? NOTHING : `${(100 * share).toFixed(digits)}%`);
const range = (interval) => (interval === null ? "" : `${(100 * Math.max(interval[0], 0)).toFixed(1)} to ${(100 * Math.min(interval[1], 1)).toFixed(1)}`);
const seconds = (value) => (value === null ? NOTHING : value < 9.95 ? `${value.toFixed(1)} s` : value < 90 ? `${value.toFixed(0)} s` : value < 5400 ? `${(value / 60).toFixed(0)} min` : `${(value / 3600).toFixed(1)} h`);
export const sizeText = (bytes) => (bytes < 2 ** 30 ? `${(bytes / 2 ** 20).toFixed(1)} MB` : `${(bytes / 2 ** 30).toFixed(1)} GB`);
const day = (text) => {
  const when = new Date(text);
  if (!text || Number.isNaN(when.getTime())) return NOTHING;
  const today = when.toDateString() === new Date().toDateString();
  return today ? when.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" }) : when.toLocaleDateString("en-GB", { day: "numeric", month: "short", year: "numeric" });
};

const text = (key) => (row) => row[key].toLowerCase();
// `best` is the direction in which a click on the head sorts first: 1 from the smallest, -1 from the largest.
export const COLUMNS = {
  name: { head: "Run", best: 1, of: (row) => (row.title || row.name).toLowerCase() },
  recipe: { head: "Recipe", best: 1, of: text("recipe") },
  dataset: { head: "Dataset", best: 1, of: text("dataset") },
  accuracy: { head: "Accuracy", best: -1, of: (row) => row.accuracy, number: true },
  seconds: { head: "Time", best: 1, of: (row) => row.seconds, number: true },
  seeds: { head: "Seeds", best: -1, of: (row) => row.seeds, number: true },
  looks: { head: "Looks", best: -1, of: (row) => row.looks, number: true },
  time: { head: "When", best: -1, of: (row) => row.created || null, number: true },
};
const MORE = { loss: (row) => row.loss, epochs: (row) => row.epochs, size: (row) => row.size };

// The order: a key as `accuracy` (from the smallest) or `-accuracy`; rows without a value come last.
export const sorted = (rows, key) => {
  const [name, sign] = key.startsWith("-") ? [key.slice(1), -1] : [key, 1];
  const value = COLUMNS[name]?.of ?? COLUMNS.time.of;
  const known = rows.filter((row) => value(row) !== null);
  const compare = (one, other) => (value(one) < value(other) ? -sign : value(one) > value(other) ? sign : 0);
  return [...known.sort(compare), ...rows.filter((row) => value(row) === null)];
};

const TEXTS = {
  name: (row) => [row.name, row.title], title: (row) => [row.title], recipe: (row) => [row.recipe], dataset: (row) => [row.dataset],
  tag: (row) => row.tags, status: (row) => [row.status], note: (row) => [row.notes],
};
const HOLDS = { "=": (a, b) => a === b, "<": (a, b) => a < b, "<=": (a, b) => a <= b, ">": (a, b) => a > b, ">=": (a, b) => a >= b };

const testOf = (condition) => {
  const [, name, sign, wanted] = /^(\w+)(<=|>=|<|>|=)(.+)$/.exec(condition) ?? [];
  const has = (texts) => texts.some((one) => one.toLowerCase().includes((wanted ?? condition).toLowerCase()));
  if (name && sign === "=" && Object.hasOwn(TEXTS, name)) return (row) => has(TEXTS[name](row));
  const value = MORE[name] ?? (COLUMNS[name]?.number ? COLUMNS[name].of : null);
  if (name && value && wanted !== "" && Number.isFinite(Number(wanted))) return (row) => value(row) !== null && HOLDS[sign](value(row), Number(wanted));
  return (row) => has(Object.values(TEXTS).flatMap((texts) => texts(row)));
};
export const fitting = (rows, filter) => {
  const tests = filter.split(/\s+/).filter(Boolean).map(testOf);
  return rows.filter((row) => tests.every((test) => test(row)));
};

export const headOf = (app, key, sort) => {
  const [current, down] = key.startsWith("-") ? [key.slice(1), true] : [key, false];
  const cells = Object.entries(COLUMNS).map(([name, { head, best, number }]) => {
    const here = name === current;
    const next = here ? (down ? name : `-${name}`) : best < 0 ? `-${name}` : name;
    const arrow = element("span", { class: "arrow", "aria-hidden": "true" }, here ? (down ? "↓" : "↑") : "");
    const button = element("button", { type: "button", onclick: () => sort(next) }, head, arrow);
    return element("th", { scope: "col", class: `${name}${number ? " number" : ""}`, "aria-sort": here ? (down ? "descending" : "ascending") : "none" }, button);
  });
  return element("tr", null, element("th", { class: "tick" }, element("span", { class: "hidden" }, "Tick")), cells);
};

const STATES = { training: "in training", unfinished: "stopped, can be resumed", unreadable: "unreadable" };

export const rowOf = (app, row, { ticked, open, tick, openRow, filter }) => {
  const finished = row.seeds > 0 && !STATES[row.status];
  const box = element("input", { type: "checkbox", checked: ticked, disabled: !finished || Boolean(row.elsewhere), "aria-label": `Tick ${row.name}` });
  box.addEventListener("change", () => tick(row.name, box.checked));
  const name = element("button", { type: "button", class: "name", "aria-expanded": String(open), disabled: Boolean(row.elsewhere), onclick: () => openRow(row.name) }, named(row.title || row.name));
  const below = [];
  if (row.title) below.push(named(row.name));
  if (row.elsewhere) below.push(named(row.elsewhere));
  if (row.origin) below.push(element("span", { class: "pill" }, "imported"));
  if (STATES[row.status]) below.push(element("span", { class: "pill" }, STATES[row.status]));
  else if (row.status !== "finished" && row.status !== "stopped") below.push(element("span", { class: "pill" }, row.status));
  below.push(...row.tags.map((tag) => element("button", { type: "button", class: "pill tag", title: "Show runs with this tag", onclick: () => filter(`tag=${tag.split(/\s/)[0]}`) }, named(tag))));
  const cells = [
    element("td", { class: "name" }, name, below.length ? element("span", { class: "below" }, below.flatMap((one) => [one, " "])) : null),
    element("td", { class: "recipe" }, named(row.recipe || NOTHING)),
    element("td", { class: "dataset" }, named(row.dataset || NOTHING)),
    element("td", { class: "accuracy number" }, element("b", null, percent(row.accuracy)), " ", element("span", { class: "muted" }, range(row.interval))),
    element("td", { class: "seconds number" }, seconds(row.seconds)),
    element("td", { class: "seeds number" }, row.seeds || NOTHING),
    element("td", { class: "looks number" }, row.looks === null || !finished ? NOTHING : row.looks),
    element("td", { class: "time number" }, day(row.created)),
  ];
  return element("tr", { class: ticked ? "is-ticked" : "" }, element("td", { class: "tick" }, box), cells);
};
