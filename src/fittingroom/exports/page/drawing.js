// From strokes of a pen to an image like those of training, as photos/drawing.py makes it.

import { PictureError } from "./conversion.js";
import { boxOf, dilated, enclosedBy, eroded, padded, unpadded } from "./morphology.js";
import { drawLine } from "./pen.js";
import { filled, picture, repeated, resizeArea, rint, toBytes } from "./resampling.js";

const MOST_STROKES = 1_000;
const MOST_POINTS = 50_000;
const CANVAS = 280;
const FINE = 8;
const LARGEST = 512;
const GAP = 0.05;
const ERASER = 3; // times as broad as the pen

const NOTHING = "Nothing is drawn yet, or all of it was erased.";

const checked = (strokes) => {
  if (!Array.isArray(strokes) || !strokes.length)
    throw new PictureError("The drawing has no strokes; expected a list of them, each a list of points [x, y].");
  if (strokes.length > MOST_STROKES)
    throw new PictureError(`The drawing has ${strokes.length.toLocaleString("en")} strokes. At most 1,000 are taken.`);
  const plain = strokes.map((stroke) => (Array.isArray(stroke) ? { points: stroke, erases: false } : stroke));
  const points = plain.reduce((sum, stroke) => sum + stroke.points.length, 0);
  if (points > MOST_POINTS) throw new PictureError(`The drawing has ${points.toLocaleString("en")} points. At most 50,000 are taken.`);
  return plain;
};

// Where the whole canvas lies in a picture of a size.
const wholePlace = ([height, width], pen) => {
  const side = Math.max(height, width);
  return { height, width, scale: side, left: (width - side) / 2, top: (height - side) / 2, pen };
};

const meanPlace = (mask, height, width) => {
  let [count, down, right] = [0, 0, 0];
  for (let row = 0; row < height; row += 1)
    for (let column = 0; column < width; column += 1) {
      const inside = mask[row * width + column];
      count += inside;
      down += inside * row;
      right += inside * column;
    }
  return [down / count, right / count];
};

// Where it lies as the training images show things; `drawn` is on the whole canvas.
const placeLikeTraining = (drawn, canvas, style, size) => {
  const { foreground } = style;
  const before = wholePlace(canvas, style.thickness * Math.min(...canvas));
  const { top, bottom, left, right } = boxOf(drawn, ...canvas);
  const pen = style.thickness * Math.min(...size);
  // The pen stays as thick as it is, so only what lies between the middles of the outermost lines is scaled.
  const span = [bottom - top, right - left].map((length) => Math.max(length - before.pen, 1));
  const wanted = size.map((side) => Math.max(foreground.extent * side - pen, 1));
  const ratio = Math.min(wanted[0] / span[0], wanted[1] / span[1], (10 * Math.max(...size)) / Math.max(...canvas));
  const middle = foreground.by_mass ? meanPlace(drawn, ...canvas) : [(top + bottom - 1) / 2, (left + right - 1) / 2];
  const corner = [[size[0], middle[0], top, bottom, before.top], [size[1], middle[1], left, right, before.left]].map(
    ([side, centre, near, far, start]) => {
      let moved = (side - 1) / 2 - centre * ratio;
      const reach = [near * ratio + moved, far * ratio + moved];
      // What hangs out on one side is moved in.
      if (reach[1] - reach[0] <= side) moved += Math.max(-reach[0], 0) - Math.max(reach[1] - side, 0);
      return start * ratio + moved;
    },
  );
  return { height: size[0], width: size[1], scale: before.scale * ratio, left: corner[1], top: corner[0], pen };
};

// The lines and what they enclose; a gap of so many pixels is closed.
const filledOf = (lines, height, width, gap) => {
  const wide = Math.max(gap, 1);
  const side = 2 * (wide >> 1) + 1;
  const [tall, broad] = [height + 2 * (wide + 1), width + 2 * (wide + 1)];
  const around = padded(lines, height, width, wide + 1);
  const closed = eroded(dilated(around, tall, broad, side), tall, broad, side);
  const inside = unpadded(enclosedBy(closed, tall, broad), height, width, wide + 1);
  const within = enclosedBy(lines, height, width);
  return filled(Uint8Array, lines.length, (at) => lines[at] | inside[at] | within[at]);
};

// How much of each pixel the lines cover, 0 to 1, and what belongs to the foreground.
const inkOf = (strokes, fills, place) => {
  const { height, width } = place;
  const size = height * width;
  const [lines, erased, drawn] = [new Uint8Array(size), new Uint8Array(size), new Uint8Array(size)];
  for (const { points, erases } of strokes) {
    const placed = points.map(([x, y]) => [rint((x * place.scale + place.left) * 16), rint((y * place.scale + place.top) * 16)]);
    if (placed.length === 1) placed.push(placed[0]); // a dot is a line without a length
    drawn.fill(0);
    drawLine({ height, width, data: drawn }, placed, Math.max(rint(place.pen * (erases ? ERASER : 1)), 1));
    const [target, other] = erases ? [erased, lines] : [lines, erased];
    for (let at = 0; at < size; at += 1) {
      const value = drawn[at];
      if (!value) continue;
      if (value > target[at]) target[at] = value;
      if (255 - value < other[at]) other[at] = 255 - value;
    }
  }
  const inside = filled(Uint8Array, size, (at) => (lines[at] > 127 ? 1 : 0));
  if (fills) {
    // What was erased still parts inside from outside, so that a hole can be rubbed into what was filled.
    const walls = filled(Uint8Array, size, (at) => (inside[at] || erased[at] > 127 ? 1 : 0));
    const full = filledOf(walls, height, width, rint(GAP * place.scale));
    for (let at = 0; at < size; at += 1) if (full[at] && erased[at] <= 127) inside[at] = 1;
  }
  return { lines: filled(Float32Array, size, (at) => lines[at] / 255), inside };
};

// The brightness of each pixel, and how much of it the foreground covers.
const coloured = ({ lines, inside }, fills, style) => {
  const size = lines.length;
  if (!fills) return [new Float32Array(size).fill(style.ink), lines];
  const { mean, deviation } = style.foreground;
  const share = filled(Float32Array, size, (at) => Math.max(lines[at], inside[at]));
  let [count, sum, squares] = [0, 0, 0];
  for (let at = 0; at < size; at += 1) {
    count += inside[at];
    sum += inside[at] * lines[at];
  }
  const middle = sum / count;
  for (let at = 0; at < size; at += 1) squares += inside[at] * (lines[at] - middle) ** 2;
  const spread = Math.sqrt(squares / count);
  // Lines alone: there are no seams in them.
  if (middle > 0.9 || spread < 0.05) return [new Float32Array(size).fill(mean), share];
  return [filled(Float32Array, size, (at) => mean - (lines[at] - middle) * (deviation / spread)), share];
};

// Black on white, what is filled in grey.
const onPaper = ({ lines, inside }, place, grey) => {
  const paper = (at) => (grey && inside[at] ? 190 : 255) * (1 - lines[at]) + 30 * lines[at];
  return picture(place.height, place.width, 1, new Uint8Array(filled(Uint8ClampedArray, lines.length, paper).buffer));
};

// A foreground as bright as training images have theirs: seams and soft edges had made it darker.
const brightened = (bytes, { background, mean }) => {
  let [count, sum] = [0, 0];
  for (const value of bytes) {
    if (Math.abs(value - background) <= 20) continue;
    count += 1;
    sum += value - background;
  }
  if (!count) return bytes;
  const apart = sum / count;
  const ratio = Math.min(Math.max(apart ? (mean - background) / apart : 1, 0.5), 2);
  return toBytes(filled(Float32Array, bytes.length, (at) => background + (bytes[at] - background) * ratio));
};

const inShape = (bytes, shape) => {
  const [height, width] = shape;
  if (shape.length === 2) return picture(height, width, 1, bytes);
  return picture(height, width, 3, repeated(bytes, 3));
};

// A drawing: {steps, image}. `fills` null means as the training images suggest.
export const convertDrawing = (given, wanted, style, shape) => {
  const strokes = checked(given);
  const fills = wanted ?? style.fills;
  const [height, width] = shape;
  const side = Math.max(height, width);
  const along = side * Math.max(rint(CANVAS / side), 1);
  const canvas = [height, width].map((length) => rint((along * length) / side));
  const place = wholePlace(canvas, style.thickness * Math.min(...canvas));
  const drawn = inkOf(strokes, fills, place);
  if (!drawn.inside.includes(1)) throw new PictureError(NOTHING);
  const steps = [{ name: "drawing", note: "as it was drawn", picture: onPaper(drawn, place, false) }];
  const name = `${width}×${height}`;
  if (!style.foreground) {
    const values = filled(Float32Array, drawn.lines.length, (at) => 255 - style.ink + (2 * style.ink - 255) * drawn.lines[at]);
    const note = style.ink ? "white on black: it is not known how the training images were made" : "black on white, as it is";
    const image = inShape(toBytes(resizeArea(picture(...canvas, 1, values), height, width).data), shape);
    return { steps: [...steps, { name, note, picture: image }], image };
  }
  if (fills) steps.push({ name: "filled", note: "what the lines enclose, as training images are", picture: onPaper(drawn, place, true) });
  const fine = Math.max(Math.min(FINE, Math.floor(LARGEST / side)), 1);
  const near = placeLikeTraining(drawn.inside, canvas, style, [height * fine, width * fine]);
  const ink = inkOf(strokes, fills, near);
  if (!ink.inside.includes(1)) throw new PictureError(NOTHING); // a speck beside what was erased: the eraser is broader there
  const [values, share] = coloured(ink, fills, style);
  const { background, by_mass: byMass } = style.foreground;
  const placed = filled(Float32Array, values.length, (at) => background + (values[at] - background) * share[at]);
  const note = `as large as training images, ${byMass ? "centre of mass" : "box"} in the middle`;
  steps.push({ name: "placed", note, picture: picture(near.height, near.width, 1, toBytes(placed)) });
  const bytes = toBytes(resizeArea(picture(near.height, near.width, 1, placed), height, width).data);
  const image = inShape(fills ? brightened(bytes, style.foreground) : bytes, shape);
  return { steps: [...steps, { name, note: "what the model gets", picture: image }], image };
};
