// The map of the validation images in a canvas: pan, zoom, an outline drawn by hand or by keys, thumbnails when near.

import { element, named } from "./dom.js";
import { handsOf } from "./map_hands.js";
import { marksOf } from "./map_marks.js";
import { sure } from "./outcomes.js";
import { lassoText } from "./selection.js";

const NEAR = 260; // images in view, below which they are shown as thumbnails
const MOST_NAMES = 16;

export const mapOf = (data, pictures, { open, outline }) => {
  const canvas = element("canvas", { class: "map", tabindex: "0", role: "application", "aria-label": "Map of the validation images. Arrow keys move it, plus and minus zoom, Enter selects what lies in the dashed frame, 0 shows all." });
  const tip = element("div", { class: "map-tip", hidden: true, "aria-hidden": "true" });
  const drawing = canvas.getContext("2d");
  const state = { row: 0, chosen: null, opened: null, lasso: null, points: null, index: null, names: [] };
  const view = { scale: 1, x: 0, y: 0 };
  let [width, height, marks, drawn, kinds] = [0, 0, null, 0, null];

  const paint = () => {
    if (!drawn) drawn = requestAnimationFrame(() => ((drawn = 0), draw()));
  };
  const side = () => Math.min(width, height) * 0.88 * view.scale;
  const toX = (x) => width / 2 + view.x + (x - 0.5) * side();
  const toY = (y) => height / 2 + view.y + (y - 0.5) * side();
  const xOf = (at) => toX(state.points[2 * at]);
  const yOf = (at) => toY(state.points[2 * at + 1]);
  const fromX = (x) => (x - width / 2 - view.x) / side() + 0.5;
  const fromY = (y) => (y - height / 2 - view.y) / side() + 0.5;

  const inView = () => {
    const found = [];
    const { points, index } = state;
    const [left, right, top, bottom] = [fromX(-30), fromX(width + 30), fromY(-30), fromY(height + 30)];
    for (let at = 0; at < index.length; at++) {
      const [x, y] = [points[2 * at], points[2 * at + 1]];
      if (x > left && y > top && x < right && y < bottom) found.push(at);
    }
    return found;
  };

  // Whether most would lie beside each other rather than upon each other as thumbnails.
  const areApart = (places) => {
    const cells = new Set(places.map((at) => `${Math.floor(xOf(at) / 28)} ${Math.floor(yOf(at) / 28)}`));
    return cells.size > 0.6 * places.length;
  };

  const sortKinds = () => {
    if (!state.index) return;
    kinds = new Uint8Array(state.index.length);
    for (let at = 0; at < kinds.length; at++) {
      const image = state.index[at];
      kinds[at] = (data.right(image, state.row) ? 0 : 1) + (state.chosen === null || state.chosen[image] === 1 ? 2 : 0);
    }
  };

  const drawThumbs = (places) => {
    const { colours } = marks;
    const { width: wide, height: high, sharp } = pictures.sizeFor(places.length < 40 ? 56 : 28);
    drawing.imageSmoothingEnabled = !sharp;
    const order = places.map((at) => [data.right(state.index[at], state.row), at]).sort(([one], [other]) => Number(other) - Number(one));
    for (const [right, at] of order) {
      const [image, x, y] = [state.index[at], Math.round(xOf(at) - wide / 2), Math.round(yOf(at) - high / 2)];
      const cut = pictures.cutFor(image, paint);
      drawing.globalAlpha = state.chosen === null || state.chosen[image] ? 1 : 0.25;
      if (cut) drawing.drawImage(...cut, x, y, wide, high);
      [drawing.strokeStyle, drawing.lineWidth] = [right ? colours.right : colours.wrong, right ? 1 : 2];
      drawing.strokeRect(x - 0.5, y - 0.5, wide + 1, high + 1);
      if (!right) drawing.drawImage(marks.wrong, x + wide - 7, y - 5, 12, 12);
    }
    drawing.globalAlpha = 1;
  };

  const outlined = (corners) => {
    const { accent } = marks.colours;
    drawing.beginPath();
    for (const [x, y] of corners) drawing.lineTo(x, y);
    drawing.closePath();
    [drawing.strokeStyle, drawing.fillStyle, drawing.lineWidth] = [accent, accent, 1.5];
    drawing.stroke();
    drawing.globalAlpha = 0.08;
    drawing.fill();
    drawing.globalAlpha = 1;
  };

  const drawNames = () => {
    const { colours } = marks;
    drawing.font = "600 12px system-ui, sans-serif";
    [drawing.textAlign, drawing.textBaseline, drawing.lineJoin] = ["center", "middle", "round"];
    const taken = []; // a name that would lie upon another moves down
    for (const { x, y, text } of state.names) {
      const half = drawing.measureText(text).width / 2 + 3;
      const left = Math.min(Math.max(toX(x), half), width - half);
      let top = toY(y);
      while (taken.some((other) => Math.abs(other.left - left) < other.half + half && Math.abs(other.top - top) < 15)) top += 15;
      taken.push({ left, top, half });
      [drawing.strokeStyle, drawing.lineWidth, drawing.fillStyle] = [colours.paper, 4, colours.ink];
      drawing.strokeText(text, left, top);
      drawing.fillText(text, left, top);
    }
  };

  function draw() {
    if (!state.points || !width) return;
    marks ??= marksOf(canvas);
    const { colours } = marks;
    const ratio = devicePixelRatio;
    drawing.setTransform(ratio, 0, 0, ratio, 0, 0);
    drawing.clearRect(0, 0, width, height);
    const places = inView();
    const near = Boolean(data.sheets) && places.length > 0 && places.length <= NEAR && areApart(places);
    if (near) drawThumbs(places);
    else {
      marks.draw(places, kinds, xOf, yOf, { scale: view.scale, all: state.index.length });
      drawNames();
    }
    canvas.dataset.thumbnails = String(near);
    if (state.lasso) outlined(state.lasso.map(([x, y]) => [toX(x / 1000), toY(y / 1000)]));
    if (hands.path) outlined(hands.path);
    const opened = state.opened === null ? -1 : state.index.indexOf(state.opened);
    if (opened >= 0) {
      [drawing.strokeStyle, drawing.lineWidth] = [colours.ink, 2];
      drawing.beginPath();
      drawing.arc(toX(state.points[2 * opened]), toY(state.points[2 * opened + 1]), near ? 24 : 9, 0, 7);
      drawing.stroke();
    }
    if (document.activeElement === canvas && canvas.matches(":focus-visible")) {
      [drawing.strokeStyle, drawing.lineWidth] = [colours.accent, 1.5];
      drawing.setLineDash([6, 4]);
      drawing.strokeRect(...hands.frame());
      drawing.setLineDash([]);
    }
  }

  const zoom = (factor, x = width / 2, y = height / 2) => {
    const [px, py] = [fromX(x), fromY(y)];
    view.scale = Math.min(Math.max(view.scale * factor, 0.8), 400);
    view.x += x - toX(px);
    view.y += y - toY(py);
    paint();
  };
  const fit = () => {
    Object.assign(view, { scale: 1, x: 0, y: 0 });
    paint();
  };
  const select = (corners) => outline(lassoText(corners.map(([x, y]) => [1000 * fromX(x), 1000 * fromY(y)])));

  const nearestTo = (x, y) => {
    let [found, best] = [-1, canvas.dataset.thumbnails === "true" ? 28 ** 2 : 11 ** 2];
    for (let at = 0; at < state.index.length; at++) {
      const apart = (xOf(at) - x) ** 2 + (yOf(at) - y) ** 2;
      if (apart < best) [found, best] = [at, apart];
    }
    return found < 0 ? null : state.index[found];
  };

  const hover = (x, y) => {
    const image = state.points ? nearestTo(x, y) : null;
    tip.hidden = image === null;
    canvas.classList.toggle("pointing", image !== null);
    if (image === null || Number(tip.dataset.image) === image) return place(x, y);
    tip.dataset.image = image;
    const right = data.right(image, state.row);
    const [truth, taken] = [data.classes[data.labels[image]], data.classes[data.predicted(image, state.row)]];
    const confidence = data.confidence(image, state.row);
    tip.replaceChildren(pictures.thumb(image, 84), element("span", null, named(truth), right ? " recognised" : [" taken for ", named(taken)], confidence === null ? "" : `, ${sure(confidence)} sure`));
    place(x, y);
  };
  const place = (x, y) => {
    tip.style.left = `${Math.min(Math.max(x - 60, 4), width - 130)}px`;
    tip.style.top = y > 170 ? `${y - 160}px` : `${y + 16}px`;
  };

  const hands = handsOf(canvas, { view, paint, zoom, fit, select, nearestTo, open, hover: (x, y) => (x === undefined ? (tip.hidden = true) : hover(x, y)), size: () => ({ width, height }) });

  const resized = new ResizeObserver(([entry]) => {
    ({ width, height } = entry.contentRect);
    [canvas.width, canvas.height] = [Math.round(width * devicePixelRatio), Math.round(height * devicePixelRatio)];
    draw();
  });
  resized.observe(canvas);
  const scheme = matchMedia("(prefers-color-scheme: dark)");
  const recolour = () => ((marks = null), paint());
  scheme.addEventListener("change", recolour);

  const medians = (points, index) => {
    if (data.classes.length > MOST_NAMES) return [];
    return data.classes.flatMap((name, label) => {
      const own = [];
      for (let at = 0; at < index.length; at++) if (data.labels[index[at]] === label) own.push(at);
      if (!own.length) return [];
      const middle = (axis) => own.map((at) => points[2 * at + axis]).sort((one, other) => one - other)[Math.floor(own.length / 2)];
      return [{ x: middle(0), y: middle(1), text: name.length > 18 ? `${name.slice(0, 17)}…` : name }];
    });
  };
  return {
    canvas,
    tip,
    zoom,
    fit,
    draw,
    view,
    setLassoing: hands.setLassoing,
    setPlaces(points, index) {
      Object.assign(state, { points, index, names: medians(points, index) });
      sortKinds();
      paint();
    },
    update(changes) {
      Object.assign(state, changes);
      sortKinds();
      tip.hidden = true;
      delete tip.dataset.image;
      paint();
    },
    leave() {
      resized.disconnect();
      scheme.removeEventListener("change", recolour);
    },
  };
};
