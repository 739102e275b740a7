// The controls of a training: each knows its range, says what is wrong in the product's own sentence, and has a way back
// to the recipe's own value.

import { element, named } from "./dom.js";

const round = (value) => Number(value.toPrecision(2));
const powers = [1, 2, 5];

// The next value of 1, 2, 5, 10, … above or below.
const stepped = (value, up) => {
  if (!(value > 0)) return 0.001;
  const power = Math.floor(Math.log10(value) + 1e-9);
  const every = [-1, 0, 1].flatMap((more) => powers.map((one) => round(one * 10 ** (power + more))));
  return up ? every.find((one) => one > value * 1.001) : every.reverse().find((one) => one < value * 0.999);
};

const counted = (value, up) => {
  const step = value >= 100 ? 50 : value >= 20 ? 5 : 1;
  return Math.max(1, value + (up ? step : -(value > 20 && value - step < 20 ? 1 : step)));
};

// How − and + change the text of a control; null where there are none.
const STEPS = {
  epochs: (text, up) => String(counted(Number(text) || 1, up)),
  batch_size: (text, up) => String(Math.max(1, Math.round((Number(text) || 32) * (up ? 2 : 0.5)))),
  learning_rate: (text, up) => String(stepped(Number(text), up)),
  hidden: (text, up) =>
    text ? text.split(",").map((size) => Math.max(1, Math.round((Number(size) || 64) * (up ? 2 : 0.5)))).join(",") : up ? "128" : "",
};

export const stepper = (label, value, change, step, props = {}) => {
  const input = element("input", { type: "text", value, "aria-label": label, autocomplete: "off", spellcheck: false, ...props });
  input.addEventListener("change", () => change(input.value.trim()));
  const press = (up) => () => change((input.value = step(input.value.trim(), up)));
  const less = element("button", { type: "button", "aria-label": `less ${label}`, onclick: press(false) }, "−");
  const more = element("button", { type: "button", "aria-label": `more ${label}`, onclick: press(true) }, "+");
  return { node: element("span", { class: "stepper" }, less, input, more), set: (text) => (input.value = text), input };
};

const makers = {
  switch: (control, value, change) => {
    const input = element("input", { type: "checkbox", checked: value === "on", onchange: () => change(input.checked ? "on" : "off") });
    return { node: input, set: (text) => (input.checked = text === "on"), input };
  },
  choice: (control, value, change) => {
    const input = element("select", { onchange: () => change(input.value) }, control.choices.map((name) => element("option", { value: name }, name)));
    input.value = value;
    return { node: input, set: (text) => (input.value = text), input };
  },
  share: (control, value, change) => {
    const output = element("output", null, value);
    const input = element("input", { type: "range", min: control.low, max: control.high, step: 0.05, value });
    input.addEventListener("input", () => (output.textContent = input.value));
    input.addEventListener("change", () => change(input.value));
    const set = (text) => ([input.value, output.textContent] = [text, text]);
    return { node: element("span", { class: "share" }, input, output), set, input };
  },
  text: (control, value, change) => {
    if (STEPS[control.key]) return stepper(control.label, value, change, STEPS[control.key]);
    const input = element("input", { type: "text", value, autocomplete: "off", spellcheck: false, onchange: () => change(input.value.trim()) });
    return { node: input, set: (text) => (input.value = text), input };
  },
};

// One control. `change(text)` is told of a new value; `show(value, own, problem, closed)` shows it.
const controlOf = (control, value, change) => {
  const id = `set-${control.key}`;
  const made = (makers[control.kind] ?? makers.text)(control, value, change);
  made.input.id = id;
  made.input.title = control.help;
  const back = element("button", { type: "button", class: "quiet back", hidden: true });
  const problem = element("p", { class: "hint problem", hidden: true, role: "alert" });
  const label = element("label", { for: id, title: control.help }, control.label);
  const node = element("div", { class: "setting", data: { key: control.key } }, label, made.node, back, problem);
  const show = (text, own, wrong, closed) => {
    if (document.activeElement !== made.input || made.input.type !== "text") made.set(text);
    const differs = text !== own;
    node.classList.toggle("differs", differs);
    back.hidden = !differs;
    back.textContent = `↺ ${own || "none"}`;
    back.title = `Back to the recipe's own: ${own || "none"}`;
    back.onclick = () => change(own);
    problem.hidden = !wrong;
    problem.replaceChildren(named(wrong ?? ""));
    const shut = Boolean(closed) && !differs;
    for (const one of made.node.matches("input, select") ? [made.node] : made.node.querySelectorAll("input, select, button")) one.disabled = shut;
    node.classList.toggle("closed", shut);
    node.title = shut ? closed : "";
  };
  return { node, show };
};

// All controls of a recipe. `changed(key, text)` is told; `show(values, own, problems, closed)` shows them.
export const settingControls = (controls, values, changed) => {
  const made = controls.map((control) => [control, controlOf(control, values[control.key], (text) => changed(control.key, text))]);
  const first = made.filter(([control]) => !control.more).map(([, one]) => one.node);
  const rest = made.filter(([control]) => control.more).map(([, one]) => one.node);
  const more = element("details", { class: "more" }, element("summary", null, "More settings"), rest);
  const show = (now, own, problems, closed) => {
    for (const [control, one] of made) one.show(now[control.key], own[control.key], problems[control.key], closed[control.key]);
    if (made.some(([control]) => control.more && (now[control.key] !== own[control.key] || problems[control.key]))) more.open = true;
  };
  return { nodes: [...first, more], show };
};

// The stop conditions: chips that can be taken away, and a place to write one.
export const stopConditions = (suggestions, changed) => {
  const chips = element("span", { class: "chips" });
  const list = element("datalist", { id: "stop-suggestions" }, suggestions.map((text) => element("option", { value: text })));
  const input = element("input", { type: "text", id: "stop", list: "stop-suggestions", placeholder: "loss<0.4", autocomplete: "off", spellcheck: false });
  const problem = element("p", { class: "hint problem", hidden: true, role: "alert" });
  let now = [];
  const add = () => {
    const text = input.value.trim();
    input.value = "";
    if (text && !now.includes(text)) changed([...now, text]);
  };
  input.addEventListener("change", add);
  const label = element("label", { for: "stop", title: "Training ends after the first epoch that meets one of these." }, "stop when");
  const node = element("div", { class: "setting stops" }, label, input, chips, list, problem);
  const show = (stop, own, wrong) => {
    now = stop;
    const chip = (text, free) =>
      element("span", { class: "pill" }, named(text), free && element("button", { type: "button", class: "quiet", "aria-label": `remove ${text}`, onclick: () => changed(now.filter((one) => one !== text)) }, "×"));
    chips.replaceChildren(...own.map((text) => chip(text, false)), ...stop.map((text) => chip(text, true)));
    problem.hidden = !wrong;
    problem.replaceChildren(named(wrong ?? ""));
  };
  return { node, show };
};
