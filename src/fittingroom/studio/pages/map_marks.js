// The marks of the images on the map: right answers are round and green, wrong ones crosses and purple, so that colour
// and shape say the same.

import { element } from "./dom.js";

const FEW = 1_200; // marks in view that the canvas draws itself
const MANY = 20_000; // images, above which each is a mark of two or three pixels
// In the order of drawing: what is not selected lies below, and right answers below wrong ones.
const KINDS = ["right dim", "wrong dim", "right", "wrong"];

const NAMES = { right: "--stayed-right", wrong: "--stayed-wrong", ink: "--ink", paper: "--surface", accent: "--accent" };

export const marksOf = (canvas) => {
  const drawing = canvas.getContext("2d");
  const style = getComputedStyle(canvas);
  const colours = Object.fromEntries(Object.entries(NAMES).map(([name, property]) => [name, style.getPropertyValue(property).trim()]));
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
  const dots = { right: dot(true, 0.75), wrong: dot(false, 1), "right dim": dot(true, 0.12), "wrong dim": dot(false, 0.16) };
  let stamps = null;

  // The pixels of a mark that are not empty.
  const stampOf = (mark, side) => {
    const small = element("canvas", { width: side, height: side });
    const pen = small.getContext("2d");
    pen.drawImage(mark, 0, 0, side, side);
    const values = new Uint32Array(pen.getImageData(0, 0, side, side).data.buffer);
    return Array.from(values, (value, at) => ({ value, alpha: value >>> 24, left: at % side, top: Math.floor(at / side) })).filter(({ alpha }) => alpha > 8);
  };

  // Thousands of marks are set pixel by pixel, which takes a tenth of the time that drawing them takes.
  const stampAll = (places, kinds, x, y, size) => {
    const ratio = devicePixelRatio;
    const side = Math.max(Math.round(size * ratio), 2);
    if (stamps?.side !== side) stamps = { side, each: KINDS.map((name) => stampOf(dots[name], side)) };
    const { width, height } = canvas;
    const image = drawing.createImageData(width, height);
    const pixels = new Uint32Array(image.data.buffer);
    KINDS.forEach((_, kind) => {
      for (const at of places) {
        if (kinds[at] !== kind) continue;
        const [left, top] = [Math.round(x(at) * ratio - side / 2), Math.round(y(at) * ratio - side / 2)];
        if (left < 0 || top < 0 || left + side > width || top + side > height) continue;
        for (const pixel of stamps.each[kind]) {
          const to = (top + pixel.top) * width + left + pixel.left;
          if (pixel.alpha >= pixels[to] >>> 24) pixels[to] = pixel.value; // of two marks on a pixel, the stronger one
        }
      }
    });
    drawing.putImageData(image, 0, 0);
  };

  return {
    colours,
    wrong: dots.wrong,
    // Draws marks at the places `x(at)`, `y(at)` in the canvas; `scale` is how near one is, `all` how many there are.
    draw(places, kinds, x, y, { scale, all }) {
      // A crowd is drawn small, and grows while one comes nearer.
      const size = Math.min(Math.max(12 * Math.sqrt((scale * 700) / all), all > MANY ? 2.5 : 5.5), 13);
      if (places.length > FEW) return stampAll(places, kinds, x, y, size);
      KINDS.forEach((name, kind) => {
        for (const at of places) if (kinds[at] === kind) drawing.drawImage(dots[name], x(at) - size / 2, y(at) - size / 2, size, size);
      });
    },
  };
};
