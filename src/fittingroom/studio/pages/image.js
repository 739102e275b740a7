// One image at the side: its picture, its probabilities over the epochs, its neighbours, and what the network looks at.

import { element, named, svg } from "./dom.js";
import { drawPixels } from "./pixels.js";
import { sure } from "./outcomes.js";

const MOST_BARS = 6;
const [WIDTH, HEIGHT] = [300, 120];

export const imagePanel = (app, data, pictures, places, { open, close, step, setRow }) => {
  const title = element("h2", { id: "image-title" });
  const facts = element("p", { class: "image-facts" });
  const shown = element("div", { class: "image-picture" });
  const bars = element("table", { class: "probabilities" });
  const chart = element("div", { class: "image-course" });
  const neighbours = element("div", { class: "neighbours" });
  const looks = element("div", { class: "looks" });
  const button = (text, label, work) => element("button", { type: "button", class: "quiet", "aria-label": label, title: label, onclick: work }, text);
  const head = element("header", null, title, element("span", { class: "image-buttons" }, button("←", "Previous image (left arrow)", () => step(-1)), button("→", "Next image (right arrow)", () => step(1)), button("×", "Close (Escape)", close)));
  const near = element("div", null, element("h3", null, "Nearest on the map"), neighbours);
  const node = element("section", { class: "panel image-panel", "aria-labelledby": "image-title", hidden: true }, head, element("div", { class: "image-top" }, shown, facts, bars), chart, near, looks);
  let [image, row, courses, file, waiting, asked] = [null, 0, null, null, 0, null];

  const kindOf = (label) => (label === data.labels[image] ? "truth" : label === data.predicted(image, row) ? "taken" : "");

  const showFacts = () => {
    const [truth, taken] = [data.classes[data.labels[image]], data.classes[data.predicted(image, row)]];
    const right = data.right(image, row);
    title.replaceChildren(named(truth), right ? " recognised" : element("span", null, " taken for ", named(taken)));
    title.className = right ? "is-right" : "is-wrong";
    facts.replaceChildren(`Validation image ${image}${file ? ", " : ""}`, file ? named(file) : "", `; ${data.after(row)}, loss ${data.loss(image, row).toFixed(2)} nats`);
  };
  const showBars = () => {
    if (!courses) return bars.replaceChildren();
    const now = courses[row];
    const order = now.map((share, label) => [share, label]).sort(([one], [other]) => other - one);
    const top = order.slice(0, MOST_BARS);
    if (!top.some(([, label]) => label === data.labels[image])) top[MOST_BARS - 1] = [now[data.labels[image]], data.labels[image]];
    bars.replaceChildren(...top.map(([share, label]) => {
      const bar = svg("svg", { viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" }, svg("rect", { width: 100 * share, height: 10 }));
      return element("tr", { class: { truth: "true", taken: "taken", "": "" }[kindOf(label)] }, element("th", { scope: "row" }, named(data.classes[label])), element("td", { class: "share" }, sure(share)), element("td", null, bar));
    }));
  };
  // Each line is a class: the true one and the one predicted now stand out.
  const showCourses = () => {
    if (!courses || courses.length < 2) return chart.replaceChildren();
    const x = (at) => 26 + (at / (courses.length - 1)) * (WIDTH - 34);
    const y = (share) => 6 + (1 - share) * (HEIGHT - 26);
    const line = (label) => svg("polyline", { class: `path ${{ truth: "true", taken: "taken", "": "" }[kindOf(label)]}`, points: courses.map((shares, at) => `${x(at).toFixed(1)},${y(shares[label]).toFixed(1)}`).join(" ") });
    const labels = data.classes.map((_, label) => label).filter((label) => kindOf(label) || courses.some((shares) => shares[label] > 0.03));
    labels.sort((one, other) => kindOf(one).length - kindOf(other).length);
    const grid = [0, 0.5, 1].flatMap((share) => [svg("line", { class: "grid", x1: 26, x2: WIDTH - 8, y1: y(share), y2: y(share) }), svg("text", { class: "tick", x: 22, y: y(share) + 4, "text-anchor": "end" }, String(100 * share))]);
    const ends = [0, courses.length - 1].map((at) => svg("text", { class: "tick", x: x(at), y: HEIGHT - 4, "text-anchor": at ? "end" : "start" }, data.titleOf(at)));
    const marker = svg("line", { class: "marker", x1: x(row), x2: x(row), y1: 6, y2: HEIGHT - 20 });
    const truth = courses.map((shares) => sure(shares[data.labels[image]]));
    const plot = svg("svg", { class: "plot", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": `Probability of the true class: ${truth[0]} after ${data.titleOf(0)}, ${truth.at(-1)} at the end.` }, ...grid, ...ends, marker, ...labels.map(line));
    plot.addEventListener("click", (event) => {
      const box = plot.getBoundingClientRect();
      const at = Math.round((((event.clientX - box.left) / box.width) * WIDTH - 26) / ((WIDTH - 34) / (courses.length - 1)));
      setRow(Math.min(Math.max(at, 0), courses.length - 1));
    });
    chart.replaceChildren(element("h3", null, "Probabilities over the epochs, in %"), plot);
  };
  const showNeighbours = () => {
    const found = places.nearestOf(image);
    near.hidden = !found?.length;
    if (near.hidden) return;
    const same = found.filter((one) => data.labels[one] === data.labels[image]).length;
    near.querySelector("h3").textContent = `Nearest images: ${same} of ${found.length} with the same label`;
    neighbours.replaceChildren(...found.map((one) => {
      const name = data.classes[data.labels[one]];
      return element("button", { type: "button", class: "shot-button", "aria-label": `Image ${one}, labelled ${name}`, onclick: () => open(one) }, pictures.thumb(one, 56), element("span", { class: data.labels[one] === data.labels[image] ? "answer truth" : "answer" }, named(name)));
    }));
  };

  // The weights are those that the run keeps, whichever epoch is shown: it says so where that is another one.
  const showLooks = async () => {
    const [own, first] = [image, data.predicted(image, data.shown)];
    looks.replaceChildren();
    if (data.sheets === null || data.place(image) < 0 || data.classes.length < 2) return;
    const other = first !== data.labels[image] ? data.labels[image] : rivalOf(first);
    const found = await app.get(`${pictures.base}/images/${own}/pixels?first=${first}&second=${other}`, { signal: asked.signal });
    if (own !== image) return;
    const heading = element("h3", null, "What the network looks at");
    if (found.unavailable) return looks.replaceChildren(heading, element("p", { class: "small muted" }, named(found.unavailable.message)));
    const names = element("p", { class: "looks-title" }, named(data.classes[first]), element("span", { class: "muted" }, " rather than "), named(data.classes[other]), `: ${found.difference >= 0 ? "+" : "−"}${Math.abs(found.difference).toFixed(1)}`);
    const { width, height } = pictures.sizeFor(168, data.sheets.own_width, data.sheets.own_height);
    const which = row === data.shown ? "" : ` With the weights that the run keeps, not those of ${data.titleOf(row)}.`;
    looks.replaceChildren(heading, names, drawPixels(found, width, height, pictures.picture(own, 168)), element("p", { class: "small muted" }, found.text, which));
  };
  // Of a right answer, what it is told from is the class that came second.
  const rivalOf = (first) => {
    if (!courses) return first === 0 ? 1 : 0;
    return courses[data.shown].map((share, label) => [share, label]).filter(([, label]) => label !== first).sort(([one], [another]) => another - one)[0][1];
  };
  const load = async () => {
    asked?.abort();
    asked = new AbortController();
    const own = image;
    try {
      const found = await app.get(`${pictures.base}/images/${own}`, { signal: asked.signal });
      if (own !== image) return;
      [courses, file] = [found.probabilities, found.file];
      showFacts();
      showBars();
      showCourses();
      await showLooks();
    } catch (error) {
      if (error.name !== "AbortError") throw error;
    }
  };
  return {
    node,
    update(next, nextRow) {
      const another = next !== image;
      [image, row] = [next, nextRow];
      node.hidden = image === null;
      if (another) clearTimeout(waiting); // also of an image that is closed again before it was asked for
      if (image === null) return asked?.abort();
      showFacts();
      if (!another) return showBars(), showCourses();
      [courses, file] = [null, null];
      shown.replaceChildren(data.sheets && data.place(image) >= 0 ? pictures.picture(image, 196) : element("p", { class: "muted" }, data.no_pictures ?? "The run keeps no picture of this image."));
      bars.replaceChildren();
      chart.replaceChildren();
      showNeighbours();
      waiting = setTimeout(app.act(load), 60); // so that going through images with the arrow key asks for the last one only
    },
    showNeighbours: () => image !== null && showNeighbours(),
    leave: () => (asked?.abort(), clearTimeout(waiting)),
  };
};
