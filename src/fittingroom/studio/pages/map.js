// The map of the validation images in a canvas: pan, zoom, an outline drawn by hand or by keys, thumbnails when near.

import { element, named } from "./dom.js";
import { sure } from "./outcomes.js";
import { lassoText } from "./selection.js";

const NEAR = 260; // images in view, below which they are shown as thumbnails
const MANY = 30_000; // images, above which each is a dot of two pixels
const MOST_NAMES = 16;
const FRAME = 0.25; // share of the view that lies outside the frame for the keys, on each side

export const mapOf = (data, pictures, { open, outline }) => {
  const canvas = element("canvas", { class: "map", tabindex: "0", role: "application", "aria-label": "Map of the validation images. Arrow keys move it, plus and minus zoom, Enter selects what lies in the dashed frame, 0 shows all." });
  const tip = element("div", { class: "map-tip", hidden: true, "aria-hidden": "true" });
  const drawing = canvas.getContext("2d");
  const state = { row: 0, chosen: null, opened: null, lasso: null, points: null, index: null, names: [] };
  const view = { scale: 1, x: 0, y: 0 };
  let [width, height, dots, drawn, lassoing, path, colours] = [0, 0, null, 0, false, null, null];

  const paint = () => {
    if (!drawn) drawn = requestAnimationFrame(() => ((drawn = 0), draw()));
  };
  const side = () => Math.min(width, height) * 0.88 * view.scale;
  const toX = (x) => width / 2 + view.x + (x - 0.5) * side();
  const toY = (y) => height / 2 + view.y + (y - 0.5) * side();
  const fromX = (x) => (x - width / 2 - view.x) / side() + 0.5;
  const fromY = (y) => (y - height / 2 - view.y) / side() + 0.5;

  // Right answers are round and green, wrong ones crosses and purple: colour and shape say the same.
  const makeDots = () => {
    const style = getComputedStyle(canvas);
    const colour = (name) => style.getPropertyValue(name).trim();
    colours = { right: colour("--stayed-right"), wrong: colour("--stayed-wrong"), ink: colour("--ink"), paper: colour("--surface"), muted: colour("--muted"), accent: colour("--accent") };
    const dot = (right, alpha) => {
      const ratio = devicePixelRatio;
      const one = element("canvas", { width: 12 * ratio, height: 12 * ratio });
      const pen = one.getContext("2d");
      pen.scale(ratio, ratio);
      pen.globalAlpha = alpha;
      [pen.fillStyle, pen.strokeStyle, pen.lineWidth] = [right ? colours.right : colours.wrong, colours.wrong, 1.8];
      pen.beginPath();
      if (right) pen.arc(6, 6, 2.8, 0, 7), pen.fill();
      else pen.moveTo(2, 2), pen.lineTo(10, 10), pen.moveTo(10, 2), pen.lineTo(2, 10), pen.stroke();
      return one;
    };
    dots = { right: dot(true, 0.75), wrong: dot(false, 1), "right dim": dot(true, 0.12), "wrong dim": dot(false, 0.16) };
  };

  const inView = () => {
    const found = [];
    const { points, index } = state;
    for (let at = 0; at < index.length; at++) {
      const [x, y] = [toX(points[2 * at]), toY(points[2 * at + 1])];
      if (x > -30 && y > -30 && x < width + 30 && y < height + 30) found.push(at);
    }
    return found;
  };

  // Whether most would lie beside each other rather than upon each other as thumbnails.
  const areApart = (places) => {
    const cells = new Set(places.map((at) => `${Math.floor(toX(state.points[2 * at]) / 28)} ${Math.floor(toY(state.points[2 * at + 1]) / 28)}`));
    return cells.size > 0.6 * places.length;
  };

  const drawDots = (places) => {
    const many = state.index.length > MANY;
    // A crowd is drawn small, and grows while one comes nearer.
    const size = Math.min(Math.max(12 * Math.sqrt((view.scale * 700) / state.index.length), 5.5), 13);
    for (const [kind, wantRight, wantChosen] of [["right dim", true, false], ["wrong dim", false, false], ["right", true, true], ["wrong", false, true]]) {
      drawing.fillStyle = wantRight ? colours.right : colours.wrong;
      drawing.globalAlpha = many ? (wantChosen ? 0.9 : 0.12) : 1;
      for (const at of places) {
        const image = state.index[at];
        if (data.right(image, state.row) !== wantRight || (state.chosen === null || state.chosen[image] === 1) !== wantChosen) continue;
        const [x, y] = [toX(state.points[2 * at]), toY(state.points[2 * at + 1])];
        if (many) drawing.fillRect(x - 1, y - 1, wantRight ? 2 : 3, wantRight ? 2 : 3);
        else drawing.drawImage(dots[kind], x - size / 2, y - size / 2, size, size);
      }
    }
    drawing.globalAlpha = 1;
  };

  const drawThumbs = (places) => {
    const { width: wide, height: high, sharp } = pictures.sizeFor(places.length < 40 ? 56 : 28);
    drawing.imageSmoothingEnabled = !sharp;
    const order = places.map((at) => [data.right(state.index[at], state.row), at]).sort(([one], [other]) => Number(other) - Number(one));
    for (const [right, at] of order) {
      const [image, x, y] = [state.index[at], Math.round(toX(state.points[2 * at]) - wide / 2), Math.round(toY(state.points[2 * at + 1]) - high / 2)];
      const cut = pictures.cutFor(image, paint);
      drawing.globalAlpha = state.chosen === null || state.chosen[image] ? 1 : 0.25;
      if (cut) drawing.drawImage(...cut, x, y, wide, high);
      [drawing.strokeStyle, drawing.lineWidth] = [right ? colours.right : colours.wrong, right ? 1 : 2];
      drawing.strokeRect(x - 0.5, y - 0.5, wide + 1, high + 1);
      if (!right) drawing.drawImage(dots.wrong, x + wide - 7, y - 5, 12, 12);
    }
    drawing.globalAlpha = 1;
  };

  const outlined = (corners) => {
    drawing.beginPath();
    for (const [x, y] of corners) drawing.lineTo(x, y);
    drawing.closePath();
    [drawing.strokeStyle, drawing.fillStyle, drawing.lineWidth] = [colours.accent, colours.accent, 1.5];
    drawing.stroke();
    drawing.globalAlpha = 0.08;
    drawing.fill();
    drawing.globalAlpha = 1;
  };

  const drawNames = () => {
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
    if (!dots) makeDots();
    const ratio = devicePixelRatio;
    drawing.setTransform(ratio, 0, 0, ratio, 0, 0);
    drawing.clearRect(0, 0, width, height);
    const places = inView();
    const near = Boolean(data.sheets) && places.length > 0 && places.length <= NEAR && areApart(places);
    if (near) drawThumbs(places);
    else {
      drawDots(places);
      drawNames();
    }
    canvas.dataset.thumbnails = String(near);
    if (state.lasso) outlined(state.lasso.map(([x, y]) => [toX(x / 1000), toY(y / 1000)]));
    if (path) outlined(path);
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
      drawing.strokeRect(FRAME * width, FRAME * height, (1 - 2 * FRAME) * width, (1 - 2 * FRAME) * height);
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
      const apart = (toX(state.points[2 * at]) - x) ** 2 + (toY(state.points[2 * at + 1]) - y) ** 2;
      if (apart < best) [found, best] = [at, apart];
    }
    return found < 0 ? null : state.index[found];
  };

  const point = (event) => {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
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

  const fingers = new Map();
  let moved = 0;
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, point(event));
    moved = 0;
    if (fingers.size === 1 && (lassoing || event.shiftKey)) path = [point(event)];
    tip.hidden = true;
  });
  canvas.addEventListener("pointermove", (event) => {
    const now = point(event);
    const before = fingers.get(event.pointerId);
    if (!before) return event.pointerType === "mouse" ? hover(...now) : undefined;
    moved += Math.hypot(now[0] - before[0], now[1] - before[1]);
    if (fingers.size === 2) {
      const [other] = [...fingers].filter(([id]) => id !== event.pointerId).map(([, at]) => at);
      const apart = (at) => Math.hypot(at[0] - other[0], at[1] - other[1]) || 1;
      path = null;
      zoom(apart(now) / apart(before), (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
    } else if (path) path.push(now);
    else [view.x, view.y] = [view.x + now[0] - before[0], view.y + now[1] - before[1]];
    fingers.set(event.pointerId, now);
    paint();
  });
  const lifted = (event) => {
    if (!fingers.delete(event.pointerId)) return;
    if (path) {
      const step = Math.max(Math.ceil(path.length / 40), 1); // so that the address stays short
      const corners = path.filter((_, at) => at % step === 0);
      path = null;
      if (corners.length > 2 && moved > 20) select(corners);
      paint();
    } else if (moved < 5 && event.type === "pointerup") {
      const image = nearestTo(...point(event));
      if (image !== null) open(image);
    }
  };
  canvas.addEventListener("pointerup", lifted);
  canvas.addEventListener("pointercancel", lifted);
  canvas.addEventListener("pointerleave", () => (tip.hidden = true));
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0016)), ...point(event));
  }, { passive: false });
  canvas.addEventListener("dblclick", (event) => zoom(2.5, ...point(event)));
  canvas.addEventListener("keydown", (event) => {
    const step = 0.12 * Math.min(width, height);
    const keys = {
      ArrowLeft: () => (view.x += step), ArrowRight: () => (view.x -= step), ArrowUp: () => (view.y += step), ArrowDown: () => (view.y -= step),
      "+": () => zoom(1.5), "=": () => zoom(1.5), "-": () => zoom(1 / 1.5), 0: fit,
      Enter: () => {
        const [left, right, top, bottom] = [FRAME * width, (1 - FRAME) * width, FRAME * height, (1 - FRAME) * height];
        select([[left, top], [right, top], [right, bottom], [left, bottom]]);
      },
    };
    if (!keys[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    keys[event.key]();
    paint();
  });
  canvas.addEventListener("focus", paint);
  canvas.addEventListener("blur", paint);

  const resized = new ResizeObserver(([entry]) => {
    ({ width, height } = entry.contentRect);
    [canvas.width, canvas.height] = [Math.round(width * devicePixelRatio), Math.round(height * devicePixelRatio)];
    draw();
  });
  resized.observe(canvas);
  const scheme = matchMedia("(prefers-color-scheme: dark)");
  const recolour = () => ((dots = null), paint());
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
    setLassoing: (on) => canvas.classList.toggle("lassoing", (lassoing = on)),
    setPlaces(points, index) {
      Object.assign(state, { points, index, names: medians(points, index) });
      paint();
    },
    update(changes) {
      Object.assign(state, changes);
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
