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

const blend = (canvas, x, y, share) => {
  if (x < 0 || y < 0 || x >= canvas.width || y >= canvas.height) return;
  const at = y * canvas.width + x;
  // OpenCV lays it on twice.
  const value = canvas.data[at] + (((255 - canvas.data[at]) * share + 127) >> 8);
  canvas.data[at] = value + (((255 - value) * share + 127) >> 8);
};

const softLine = (canvas, from, to) => {
  const clipped = clippedLine(from, to, canvas.width * ONE - 1, canvas.height * ONE - 1);
  if (!clipped) return;
  const flat = Math.abs(clipped[1][0] - clipped[0][0]) > Math.abs(clipped[1][1] - clipped[0][1]);
  // `along` grows by a pixel with each step, `beside` by the slope.
  const [along, beside] = flat ? [0, 1] : [1, 0];
  const [start, end] = clipped[1][along] < clipped[0][along] ? [clipped[1], clipped[0]] : clipped;
  const length = Math.abs(end[along] - start[along]);
  const slope = Math.trunc(((end[beside] - start[beside]) * ONE) / (length | 1));
  const last = end[along] + ONE;
  let steps = Math.floor(last / ONE) - Math.floor(start[along] / ONE);
  let place = start[beside] + Math.floor((slope * -(start[along] % ONE)) / ONE) + ONE / 2;
  let bits = (slope >> 11) & 0x3f;
  bits ^= slope < 0 ? 0x3f : 0;
  const full = bits & 0x20 ? 0x100 : OBLIQUE[bits];
  // The first two and the last two pixels are covered in part.
  const [early, late] = [(start[along] >> 9) & 0x78, (last >> 9) & 0x78];
  const share = (value) => (value >> 8) & 0x1ff;
  const single = share((((late - early) & 0x78) | 4) * full);
  const parts = [
    0, single, share(((0x78 - early) | 4) * full),
    single, share(((late - early + 0x80) | 4) * full), share(((0x78 - early) | 4) * full + (full << 7)),
    share((late | 4) * full), share((late | 4) * full + (full << 7)), full,
  ];
  const nearEnd = (count) => (count >= 2 ? 2 : count);
  let pixel = Math.floor(start[along] / ONE);
  for (let done = 0; steps >= 0; steps -= 1, done += 1, pixel += 1, place += slope) {
    const cover = parts[nearEnd(done) * 3 + nearEnd(steps)];
    const row = Math.floor(place / ONE) - 1;
    const distance = (place >> 11) & 31;
    [SOFT[distance + 32], SOFT[distance], SOFT[63 - distance]].forEach((soft, step) => {
      const part = ((cover * soft) >> 8) & 0xff;
      if (flat) blend(canvas, pixel, row + step, part);
      else blend(canvas, row + step, pixel, part);
    });
  }
};

// A polygon without dents: its edges soft, and full between them.
const filledPolygon = (canvas, points) => {
  const count = points.length;
  points.forEach((point, at) => softLine(canvas, points[(at + count - 1) % count], point));
  const rounded = (value) => Math.floor((value + ONE / 2) / ONE);
  const columns = points.map(([x]) => rounded(x));
  const rows = points.map(([, y]) => rounded(y));
  const [left, right, top] = [Math.min(...columns), Math.max(...columns), Math.min(...rows)];
  if (count < 3 || right < 0 || Math.max(...rows) < 0 || left >= canvas.width || top >= canvas.height) return;
  const bottom = Math.min(Math.max(...rows), canvas.height - 1);
  let highest = 0;
  points.forEach(([, y], at) => (highest = y < points[highest][1] ? at : highest));
  let unused = count;
  const sides = [1, count - 1].map((direction) => ({ direction, at: highest, until: top, x: -ONE, slope: 0 }));
  for (let y = top; y <= bottom; y += 1) {
    if (y < bottom || y === top)
      for (const side of sides) {
        if (y < side.until) continue;
        let before = side.at;
        let next = (before + side.direction) % count;
        while (unused > 0) {
          unused -= 1;
          if (rows[next] > y) {
            const tall = rows[next] - y;
            side.until = rows[next];
            side.slope = Math.trunc(((points[next][0] - points[before][0]) * 2 + tall) / (2 * tall));
            side.x = points[before][0];
            side.at = next;
            break;
          }
          before = next;
          next = (next + side.direction) % count;
        }
      }
    if (y >= 0) {
      const [near, far] = sides[0].x > sides[1].x ? [sides[1], sides[0]] : sides;
      const from = Math.max(Math.floor((near.x + ONE - 1) / ONE), 0);
      const to = Math.min(Math.floor(far.x / ONE), canvas.width - 1);
      if (to >= from) canvas.data.fill(255, y * canvas.width + from, y * canvas.width + to + 1);
    }
    for (const side of sides) side.x += side.slope;
  }
};

const disc = (canvas, [x, y], radius) => {
  const pixels = Math.floor((radius + ONE / 2) / ONE);
  const step = pixels < 3 ? 90 : pixels < 10 ? 30 : pixels < 15 ? 18 : 5;
  const corners = [];
  for (let angle = 0; angle < 360 + step; angle += step) {
    const turn = (Math.min(angle, 360) * Math.PI) / 180;
    const corner = [Math.round(x + radius * Math.cos(turn)), Math.round(y + radius * Math.sin(turn))];
    const before = corners.at(-1);
    if (!before || before[0] !== corner[0] || before[1] !== corner[1]) corners.push(corner);
  }
  filledPolygon(canvas, corners);
};

const piece = (canvas, from, to, thickness, bothEnds) => {
  const [across, down] = [(from[0] - to[0]) / ONE, (to[1] - from[1]) / ONE];
  const length = across * across + down * down;
  const radius = (thickness * ONE) / 2;
  if (length > Number.EPSILON) {
    const reach = (radius + (thickness % 2) * ONE * 0.5) / Math.sqrt(length);
    const [dx, dy] = [Math.round(down * reach), Math.round(across * reach)];
    filledPolygon(canvas, [[from[0] + dx, from[1] + dy], [from[0] - dx, from[1] - dy], [to[0] - dx, to[1] - dy], [to[0] + dx, to[1] + dy]]);
  }
  if (bothEnds) disc(canvas, from, radius);
  disc(canvas, to, radius);
};

// Draws a line through points, [x, y] in pixels, into `canvas` {height, width, data: Uint8Array}; `thickness` is whole.
export const drawLine = (canvas, points, thickness) => {
  const places = points.map((point) => point.map((value) => (value * ONE) / POINT));
  for (let at = 1; at < places.length; at += 1) {
    if (thickness > 1) piece(canvas, places[at - 1], places[at], thickness, at === 1);
    else softLine(canvas, places[at - 1], places[at]);
  }
};
