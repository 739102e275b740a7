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

// As `text.py` writes them: what rounds to zero has no sign.
function signed(value, digits) {
  const size = Math.abs(value).toFixed(digits);
  return Number(size) === 0 ? size : (value < 0 ? "\u2212" : "+") + size;
}
const signedNats = (value) => signed(value, Math.abs(value) >= 0.00995 ? 3 : 4);
const signedPoints = (value) => signed(value, Math.abs(value) >= 0.095 || value === 0 ? 1 : 2);
const percent = (share) => `${(100 * share).toFixed(1)}%`;
const number = (value) => value.toLocaleString("en-US");

// Where an epoch, or a share of the height, lies in a plot: percent of its width and pixels, as the template has them.
function frameOf(chart) {
  const svg = chart.querySelector(".plot");
  const [first, last, left, right, top, bottom] = ["first", "last", "left", "right", "top", "bottom"].map((name) =>
    Number(svg.dataset[name]),
  );
  return {
    svg,
    top,
    bottom,
    x: (epoch) => left + ((right - left) * (epoch - first)) / (last - first),
    y: (share) => bottom - (bottom - top) * share,
  };
}

function mark(chart, name, epoch, className) {
  const { svg, top, bottom, x } = frameOf(chart);
  let line = svg.querySelector(`.${name}`);
  if (!line) {
    line = drawn("line", { class: `marker ${name} ${className}`, y1: top, y2: bottom });
    svg.append(line);
  }
  line.setAttribute("x1", `${x(epoch)}%`);
  line.setAttribute("x2", `${x(epoch)}%`);
}
