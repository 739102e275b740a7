// Elements, made without HTML: names of other people (classes, files, runs, notes) are only ever text.

const put = (node, props) => {
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "style") for (const [key, one] of Object.entries(value)) node.style.setProperty(key, one);
    else if (name === "data") Object.assign(node.dataset, value);
    else if (name in node && typeof value !== "string" && typeof node[name] === typeof value) node[name] = value;
    else node.setAttribute(name, value === true ? "" : value);
  }
  return node;
};

// element("button", {class: "quiet", onclick: stop, style: {"--share": "4%"}}, "Stop"): `style` sets properties one by
// one, since the page allows no style attribute.
export const element = (name, props, ...children) => {
  const node = put(document.createElement(name), props);
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
};

export const svg = (name, attributes, ...children) => {
  const node = put(document.createElementNS("http://www.w3.org/2000/svg", name), attributes);
  node.append(...children);
  return node;
};

// A name that somebody else chose, isolated so that right-to-left letters in it turn nothing round.
export const named = (text, props) => element("bdi", props, String(text));

// A piece of HTML that our own server drew: a figure with its SVG. It runs no scripts, and the page's policy allows none.
export const drawn = (html) => {
  const holder = document.createElement("template");
  holder.innerHTML = html;
  return holder.content.firstElementChild;
};

export const number = (value) => value.toLocaleString("en");

export const clock = (when = new Date()) => when.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
