// What the page knows: facts from its own JSON block, arrays from base64. Nothing is fetched.
const byId = (id) => document.getElementById(id);
const facts = JSON.parse(byId("data").textContent);

function bytes(text) {
  const found = atob(text);
  return Uint8Array.from(found, (one) => one.charCodeAt(0));
}

function pairsOfBytes(text) {
  const found = bytes(text);
  return Uint16Array.from({ length: found.length / 2 }, (_, at) => found[2 * at] + 256 * found[2 * at + 1]);
}

// Text only: names of classes are other people's.
function element(name, text, className) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

function drawn(name, attributes, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

const sign = (value) => (value < 0 ? "\u2212" : "+");
const size = (value) => (Math.abs(value) >= 0.00995 ? Math.abs(value).toFixed(3) : Math.abs(value).toFixed(4));
const signedNats = (value) => sign(value) + size(value);
const signedPoints = (value) => sign(value) + Math.abs(value).toFixed(Math.abs(value) >= 0.095 || value === 0 ? 1 : 2);
const percent = (share) => `${(100 * share).toFixed(1)}%`;
const number = (value) => value.toLocaleString("en-US");

// In each of a chart's drawings: the group that the marks are in, and the size of the plot.
function plots(chart) {
  return [...chart.querySelectorAll("svg")].map((svg) => {
    const background = svg.querySelector(".root path.background");
    const [, width, height] = background.getAttribute("d").match(/h([\d.]+)v([\d.]+)/).map(Number);
    return { group: background.parentNode, width, height };
  });
}

function place(chart, epoch, width) {
  const first = Number(chart.dataset.first);
  const last = Number(chart.dataset.last);
  return last > first ? ((epoch - first) / (last - first)) * width : width / 2;
}

function mark(chart, name, epoch, className) {
  for (const { group, width, height } of plots(chart)) {
    let line = group.querySelector(`.${name}`);
    if (!line) {
      line = drawn("g", { class: name });
      line.append(drawn("line", { class: `marker ${className}`, y1: 0, y2: height }));
      group.append(line);
    }
    line.setAttribute("transform", `translate(${place(chart, epoch, width)},0)`);
  }
}
