// What a training does, live: its curves, the numbers that a callback sees, and the images that changed.

import { drawn, element, named, number, svg } from "./dom.js";

const share = (value) => (value === undefined ? "–" : `${(100 * value).toFixed(1)}%`);
const nats = (value) => (value === undefined ? "–" : value.toFixed(3));
const raw = (value) => (value === undefined ? "–" : Math.abs(value) >= 100 ? value.toPrecision(4) : value.toFixed(4)); // as a callback gets it
const NUMBERS = ["loss", "accuracy", "val_loss", "val_accuracy"];

const bytes = (text) => Uint8Array.from(atob(text), (one) => one.charCodeAt(0));

// The pictures that came with a list of images, each on a canvas of its own pixels.
const picturesOf = ({ shape, data }) => {
  const [count, height, width, channels = 1] = shape;
  const all = bytes(data);
  return Array.from({ length: count }, (_, place) => {
    const canvas = element("canvas", { class: "sharp", width, height, "aria-hidden": "true" });
    // Whole multiples stay sharp; photographs keep their shape.
    const scale = Math.max(1, Math.round(56 / Math.max(width, height)));
    for (const [side, size] of [["width", width], ["height", height]]) canvas.style.setProperty(side, `${size * scale}px`);
    const image = new ImageData(width, height);
    for (let at = 0; at < width * height; at++) {
      const from = (place * width * height + at) * channels;
      for (let part = 0; part < 3; part++) image.data[4 * at + part] = all[from + (channels > 1 ? part : 0)];
      image.data[4 * at + 3] = 255;
    }
    canvas.getContext("2d").putImageData(image, 0, 0);
    return canvas;
  });
};

// Loss and accuracy; the figure is replaced where it stands. Pointing at an epoch tells its numbers.
export const curvesPanel = () => {
  const panels = Object.fromEntries(["loss", "accuracy"].map((name) => [name, element("div", { class: "panel curve", data: { curve: name } })]));
  const empty = (name) => element("p", { class: "muted empty" }, name === "loss" ? "The loss appears here as soon as it trains." : "The accuracy, too.");
  let rows = [];
  const point = (name) => (event) => {
    const plot = panels[name].querySelector(".plot");
    if (!plot || !rows.length) return;
    const box = plot.getBoundingClientRect();
    const [first, last, left, right, top, bottom] = ["first", "last", "left", "right", "top", "bottom"].map((key) => Number(plot.dataset[key]));
    const epoch = first + ((last - first) * ((100 * (event.clientX - box.left)) / box.width - left)) / (right - left);
    const row = rows.reduce((best, one) => (Math.abs(one.epoch - epoch) < Math.abs(best.epoch - epoch) ? one : best));
    const x = left + ((right - left) * (row.epoch - first)) / (last - first);
    plot.querySelector(".pointed")?.remove();
    plot.append(svg("line", { class: "marker pointed", x1: `${x}%`, x2: `${x}%`, y1: top, y2: bottom }));
    const [own, validated] = [row.logs[name], row.logs[`val_${name}`]];
    const written = name === "loss" ? nats : share;
    panels[name].querySelector(".told").textContent = `epoch ${row.epoch}: training ${written(own)}, validation ${written(validated)}`;
  };
  const away = (name) => () => {
    panels[name].querySelector(".pointed")?.remove();
    panels[name].querySelector(".told")?.replaceChildren();
  };
  for (const [name, panel] of Object.entries(panels)) {
    panel.append(empty(name));
    panel.addEventListener("pointermove", point(name));
    panel.addEventListener("pointerleave", away(name));
  }
  const show = (facts) => {
    rows = facts.rows;
    for (const [name, panel] of Object.entries(panels)) {
      const html = facts.curves?.[name];
      if (!html) {
        if (!panel.querySelector(".empty")) panel.replaceChildren(empty(name));
        continue;
      }
      const told = panel.querySelector(".told") ?? element("p", { class: "told hint", "aria-live": "off" });
      panel.replaceChildren(drawn(html), told);
    }
  };
  return { node: element("div", { class: "curves" }, Object.values(panels)), show };
};

const stopText = ({ text, own }) =>
  element("span", { class: own ? "pill stop own" : "pill stop", title: own ? "Training ends here." : "The callback of the course, which stops at this loss, would end it here." }, named(text), own ? ": stops here" : ": the course's callback would stop");

// The row of numbers that a callback gets at the end of each epoch, the latest first.
export const callbackTable = () => {
  const body = element("tbody");
  const head = element("tr", null, ["epoch", ...NUMBERS, ""].map((name) => element("th", { scope: "col" }, name)));
  const title = element("h2", null, "What a callback sees", element("small", null, " logs of on_epoch_end"));
  const node = element("section", { class: "panel logs", hidden: true }, title, element("div", { class: "scroll" }, element("table", { class: "sheet" }, element("thead", null, head), body)));
  const line = (row, running) =>
    element(
      "tr",
      { class: running ? "running" : null },
      element("th", { scope: "row" }, running ? `${row.epoch} …` : row.epoch),
      NUMBERS.map((name) => element("td", null, raw(row.logs[name]))),
      element("td", { class: "stops" }, (row.stops ?? []).map(stopText)),
    );
  const show = (facts) => {
    const running = facts.running ? [line(facts.running, true)] : [];
    body.replaceChildren(...running, ...facts.rows.slice().reverse().map((row) => line(row, false)));
    node.hidden = !body.children.length;
  };
  return { node, show };
};

const KINDS = { right: "became-right", wrong: "became-wrong" };
const SIGNS = { right: "✓", wrong: "✗" };

// How many images became right and wrong in the last epoch, with those whose loss changed most.
export const changedImages = (open) => {
  const lists = Object.fromEntries(Object.keys(KINDS).map((kind) => [kind, element("section", { class: `panel changed ${KINDS[kind]}` })]));
  const node = element("div", { class: "changes", hidden: true }, Object.values(lists));
  const tile = (one, canvas, classes, run) => {
    const [label, before, after] = [one.label, one.before, one.after].map((place) => classes[place] ?? String(place));
    const words = after === label ? `${label}, taken for ${before ?? "something else"} before` : `${label}, taken for ${after}`;
    return element("button", { type: "button", class: "shot", title: words, "aria-label": words, disabled: !run, onclick: () => open({ run, image: one.index }) }, canvas ?? String(one.index));
  };
  const show = (changed, run, epochs = true) => {
    node.hidden = !changed;
    if (!changed) return;
    const pictures = changed.pictures ? picturesOf(changed.pictures) : [];
    let place = 0;
    for (const [kind, list] of Object.entries(lists)) {
      const { count, images } = changed[kind];
      const tiles = images.map((one) => tile(one, pictures[place++], changed.classes, run));
      const words = !epochs ? kind : changed.first ? `${kind} after epoch ${changed.epoch}` : `became ${kind} in epoch ${changed.epoch}`;
      const heading = element("h2", null, element("span", { class: "sign", "aria-hidden": "true" }, SIGNS[kind]), ` ${number(count)} `, element("small", null, words));
      const none = element("p", { class: "hint" }, count ? "This run keeps no pictures of them." : "None.");
      list.replaceChildren(heading, tiles.length ? element("div", { class: "images" }, tiles) : none);
    }
  };
  return { node, show };
};

// Before anything was trained: a picture of each class.
export const sampleOfClasses = () => {
  const node = element("section", { class: "panel sample", hidden: true });
  const show = (found) => {
    node.hidden = !found;
    if (!found) return;
    const pictures = picturesOf(found.pictures);
    const tiles = found.classes.slice(0, pictures.length).map((name, place) => element("figure", null, pictures[place], element("figcaption", null, named(name))));
    const counts = `${number(found.train)} images to learn from, ${number(found.validation)} held out to validate on`;
    node.replaceChildren(element("h2", null, "What it learns to tell apart ", element("small", null, counts)), element("div", { class: "images" }, tiles.slice(0, 40)));
  };
  return { node, show };
};
