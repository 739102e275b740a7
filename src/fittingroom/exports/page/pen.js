// Thick lines with soft edges, as cv2.polylines draws them (LINE_AA, coordinates in sixteenths of a pixel): each piece of a
// line is a rectangle, each of its points a disc of a few corners, and every edge of these is a soft line of its own.
//
// Coordinates below are whole numbers of 1/65536 pixel.

const ONE = 65536;
const POINT = 16; // of these to a pixel in what is asked for

// How much a pixel is covered by a line without thickness, by its distance in 32nds of a pixel: a Gaussian.
const SOFT = Int32Array.from({ length: 64 }, (_, step) => Math.floor(255 * Math.exp(-(((step - 15.5) / 24) ** 2))));
// Lines that lie oblique go farther with each pixel.
const OBLIQUE = Int32Array.from({ length: 32 }, (_, step) => Math.floor(181.02 * Math.hypot(1, (step + 0.5) / 32)));

const clippedLine = (from, to, right, bottom) => {
  let [x1, y1] = from;
  let [x2, y2] = to;
  const across = (x) => (x < 0 ? 1 : x > right ? 2 : 0);
  const code = (x, y) => across(x) + (y < 0 ? 4 : y > bottom ? 8 : 0);
  let [one, other] = [code(x1, y1), code(x2, y2)];
  if (!(one & other) && one | other) {
    if (one & 12) {
      const side = one < 8 ? 0 : bottom;
      x1 += Math.trunc(((side - y1) * (x2 - x1)) / (y2 - y1));
      y1 = side;
      one = across(x1);
    }
    if (other & 12) {
      const side = other < 8 ? 0 : bottom;
      x2 += Math.trunc(((side - y2) * (x2 - x1)) / (y2 - y1));
      y2 = side;
      other = across(x2);
    }
    if (!(one & other) && one | other) {
      if (one) {
        const side = one === 1 ? 0 : right;
        y1 += Math.trunc(((side - x1) * (y2 - y1)) / (x2 - x1));
        x1 = side;
        one = 0;
      }
      if (other) {
        const side = other === 1 ? 0 : right;
        y2 += Math.trunc(((side - x2) * (y2 - y1)) / (x2 - x1));
        x2 = side;
        other = 0;
      }
    }
  }
  return one | other ? null : [[x1, y1], [x2, y2]];
};

// A place of the canvas is covered by a share, of 256, more; OpenCV lays it on twice.
const blend = (data, at, share) => {
  const value = data[at] + (((255 - data[at]) * share + 127) >> 8);
  data[at] = value + (((255 - value) * share + 127) >> 8);
};

const PARTS = new Int32Array(9); // how much of a line's first two, last two and other pixels is covered

const softLine = (canvas, x1, y1, x2, y2) => {
  const { height, width, data } = canvas;
  const [right, bottom] = [width * ONE - 1, height * ONE - 1];
  if (Math.min(x1, x2, y1, y2) < 0 || Math.max(x1, x2) > right || Math.max(y1, y2) > bottom) {
    const clipped = clippedLine([x1, y1], [x2, y2], right, bottom);
    if (!clipped) return;
    [[x1, y1], [x2, y2]] = clipped;
  }
  const flat = Math.abs(x2 - x1) > Math.abs(y2 - y1);
  // Along grows by a pixel with each step, beside by the slope.
  let [from, to, place, other] = flat ? [x1, x2, y1, y2] : [y1, y2, x1, x2];
  if (to < from) [from, to, place, other] = [to, from, other, place];
  const slope = Math.trunc(((other - place) * ONE) / ((to - from) | 1));
  const last = to + ONE;
  const count = (last >> 16) - (from >> 16);
  place += Math.floor((slope * -(from & (ONE - 1))) / ONE) + ONE / 2;
  let bits = (slope >> 11) & 0x3f;
  bits ^= slope < 0 ? 0x3f : 0;
  const full = bits & 0x20 ? 0x100 : OBLIQUE[bits];
  const [early, late] = [(from >> 9) & 0x78, (last >> 9) & 0x78];
  const [begun, ended] = [((0x78 - early) | 4) * full, (late | 4) * full];
  PARTS[1] = PARTS[3] = ((((late - early) & 0x78) | 4) * full >> 8) & 0x1ff;
  PARTS[2] = (begun >> 8) & 0x1ff;
  PARTS[4] = ((late - early + 0x80) | 4) * full >> 8 & 0x1ff;
  PARTS[5] = ((begun + (full << 7)) >> 8) & 0x1ff;
  PARTS[6] = (ended >> 8) & 0x1ff;
  PARTS[7] = ((ended + (full << 7)) >> 8) & 0x1ff;
  PARTS[8] = full;
  const [step, across, sides] = flat ? [1, width, height] : [width, 1, width];
  const most = flat ? width : height;
  for (let done = 0, pixel = from >> 16; done <= count && pixel < most; done += 1, pixel += 1, place += slope) {
    const cover = PARTS[Math.min(done, 2) * 3 + Math.min(count - done, 2)];
    const row = (place >> 16) - 1;
    const distance = (place >> 11) & 31;
    const at = pixel * step + row * across;
    if (row >= 0 && row < sides) blend(data, at, ((cover * SOFT[distance + 32]) >> 8) & 0xff);
    if (row >= -1 && row + 1 < sides) blend(data, at + across, ((cover * SOFT[distance]) >> 8) & 0xff);
    if (row >= -2 && row + 2 < sides) blend(data, at + 2 * across, ((cover * SOFT[63 - distance]) >> 8) & 0xff);
  }
};

const rounded = (value) => (value + ONE / 2) >> 16;

// A polygon without dents, of corners [x, y, x, y, …]: its edges soft, and full between them.
const filledPolygon = (canvas, corners) => {
  const { height, width, data } = canvas;
  const count = corners.length / 2;
  let [left, right, top, bottom, highest] = [Infinity, -Infinity, Infinity, -Infinity, 0];
  let [beforeX, beforeY] = [corners[2 * count - 2], corners[2 * count - 1]];
  for (let at = 0; at < count; at += 1) {
    const [x, y] = [corners[2 * at], corners[2 * at + 1]];
    softLine(canvas, beforeX, beforeY, x, y);
    [beforeX, beforeY] = [x, y];
    if (y < corners[2 * highest + 1]) highest = at;
    left = Math.min(left, x);
    right = Math.max(right, x);
    top = Math.min(top, y);
    bottom = Math.max(bottom, y);
  }
  if (count < 3 || rounded(right) < 0 || rounded(bottom) < 0 || rounded(left) >= width || rounded(top) >= height) return;
  const [first, end] = [rounded(top), Math.min(rounded(bottom), height - 1)];
  let unused = count;
  const side = (direction) => ({ direction, at: highest, until: first, x: -ONE, slope: 0 });
  const [one, other] = [side(1), side(count - 1)];
  const follow = (edge, y) => {
    let before = edge.at;
    let next = (before + edge.direction) % count;
    while (unused > 0) {
      unused -= 1;
      const row = rounded(corners[2 * next + 1]);
      if (row > y) {
        edge.until = row;
        edge.slope = Math.trunc(((corners[2 * next] - corners[2 * before]) * 2 + row - y) / (2 * (row - y)));
        edge.x = corners[2 * before];
        edge.at = next;
        return;
      }
      before = next;
      next = (next + edge.direction) % count;
    }
  };
  for (let y = first; y <= end; y += 1) {
    if (y < end || y === first) {
      if (y >= one.until) follow(one, y);
      if (y >= other.until) follow(other, y);
    }
    if (y >= 0) {
      const from = Math.max((Math.min(one.x, other.x) + ONE - 1) >> 16, 0);
      const to = Math.min(Math.max(one.x, other.x) >> 16, width - 1);
      if (to >= from) data.fill(255, y * width + from, y * width + to + 1);
    }
    one.x += one.slope;
    other.x += other.slope;
  }
};

// The corners of a disc around [0, 0].
const discOf = (radius) => {
  const pixels = Math.floor((radius + ONE / 2) / ONE);
  const step = pixels < 3 ? 90 : pixels < 10 ? 30 : pixels < 15 ? 18 : 5;
  const corners = [];
  for (let angle = 0; angle < 360 + step; angle += step) {
    const turn = (Math.min(angle, 360) * Math.PI) / 180;
    const [x, y] = [Math.round(radius * Math.cos(turn)), Math.round(radius * Math.sin(turn))];
    if (!corners.length || corners.at(-2) !== x || corners.at(-1) !== y) corners.push(x, y);
  }
  return corners;
};

// The rectangle of a piece of a line, or null where it has no length.
const rectangleOf = (fromX, fromY, toX, toY, thickness) => {
  const [across, down] = [(fromX - toX) / ONE, (toY - fromY) / ONE];
  const length = across * across + down * down;
  if (length <= Number.EPSILON) return null;
  const reach = ((thickness / 2 + (thickness % 2) / 2) * ONE) / Math.sqrt(length);
  const [dx, dy] = [Math.round(down * reach), Math.round(across * reach)];
  return [fromX + dx, fromY + dy, fromX - dx, fromY - dy, toX - dx, toY - dy, toX + dx, toY + dy];
};

// Draws a line through points, [x, y] in sixteenths of a pixel, into `canvas` {height, width, data: Uint8Array};
// `thickness` is whole.
export const drawLine = (canvas, points, thickness) => {
  const disc = discOf((thickness * ONE) / 2);
  const moved = [...disc];
  const dot = (x, y) => {
    for (let at = 0; at < disc.length; at += 2) [moved[at], moved[at + 1]] = [x + disc[at], y + disc[at + 1]];
    filledPolygon(canvas, moved);
  };
  let [fromX, fromY] = points[0].map((value) => (value * ONE) / POINT);
  for (let at = 1; at < points.length; at += 1) {
    const [toX, toY] = points[at].map((value) => (value * ONE) / POINT);
    const rectangle = thickness > 1 ? rectangleOf(fromX, fromY, toX, toY, thickness) : null;
    if (rectangle) filledPolygon(canvas, rectangle);
    if (thickness <= 1) softLine(canvas, fromX, fromY, toX, toY);
    else if (at === 1) dot(fromX, fromY);
    if (thickness > 1) dot(toX, toY);
    [fromX, fromY] = [toX, toY];
  }
};
