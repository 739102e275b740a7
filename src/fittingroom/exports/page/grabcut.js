// GrabCut (Rother, Kolmogorov and Blake 2004) as OpenCV has it: the same photo gives the same mask. The
// minimum cut is found by growing two search trees (Boykov and Kolmogorov 2004).

import { OpenCvRandom, kMeans } from "./kmeans.js";
import { filled } from "./resampling.js";

export const BACKGROUND = 0;
export const FOREGROUND = 1;
export const LIKELY_BACKGROUND = 2;
export const LIKELY_FOREGROUND = 3;

const KINDS = 5; // Gaussians for each of foreground and background
const ROUNDS = 10; // of k-means before they are learned
const CONTRAST = 50; // what it costs to part two neighbours of one colour
const SURE = 9 * CONTRAST;
const FLAT = 0.01; // variance that is added where all colours lie in a plane

// A mixture of Gaussians of the colours at some places, each of which belongs to one of them.
class Mixture {
  constructor(colours, places, labels) {
    const sums = Array.from({ length: KINDS }, () => new Float64Array(10)); // 3 sums, 6 products, the count
    for (let at = 0; at < places.length; at += 1) {
      const sum = sums[labels[at]];
      const from = 3 * places[at];
      for (let axis = 0, product = 3; axis < 3; axis += 1) {
        sum[axis] += colours[from + axis];
        for (let other = axis; other < 3; other += 1, product += 1) sum[product] += colours[from + axis] * colours[from + other];
      }
      sum[9] += 1;
    }
    this.kinds = sums.map((sum) => this.gaussian(sum, places.length));
  }

  gaussian(sum, total) {
    const size = sum[9];
    if (!size) return null;
    const [mx, my, mz] = [sum[0] / size, sum[1] / size, sum[2] / size];
    let xx = sum[3] / size - mx * mx;
    const [xy, xz] = [sum[4] / size - mx * my, sum[5] / size - mx * mz];
    let yy = sum[6] / size - my * my;
    const yz = sum[7] / size - my * mz;
    let zz = sum[8] / size - mz * mz;
    const volume = () => xx * (yy * zz - yz * yz) - xy * (xy * zz - yz * xz) + xz * (xy * yz - yy * xz);
    if (volume() <= 1e-6) [xx, yy, zz] = [xx + FLAT, yy + FLAT, zz + FLAT];
    const determinant = volume();
    return {
      weight: size / total,
      middle: [mx, my, mz],
      height: 1 / Math.sqrt(determinant),
      inverse: [
        (yy * zz - yz * yz) / determinant,
        (xz * yz - xy * zz) / determinant,
        (xy * yz - xz * yy) / determinant,
        (xx * zz - xz * xz) / determinant,
        (xy * xz - xx * yz) / determinant,
        (xx * yy - xy * xy) / determinant,
      ],
    };
  }

  density(kind, colours, place) {
    const one = this.kinds[kind];
    if (!one) return 0;
    const { middle, inverse: [xx, xy, xz, yy, yz, zz] } = one;
    const x = colours[3 * place] - middle[0];
    const y = colours[3 * place + 1] - middle[1];
    const z = colours[3 * place + 2] - middle[2];
    return one.height * Math.exp(-0.5 * (x * x * xx + y * y * yy + z * z * zz + 2 * (x * y * xy + x * z * xz + y * z * yz)));
  }

  kindOf(colours, place) {
    let most = 0;
    let found = 0;
    for (let kind = 0; kind < KINDS; kind += 1) {
      const density = this.density(kind, colours, place);
      if (density <= most) continue;
      most = density;
      found = kind;
    }
    return found;
  }

  surprise(colours, place) {
    let sum = 0;
    for (let kind = 0; kind < KINDS; kind += 1) sum += this.kinds[kind] ? this.kinds[kind].weight * this.density(kind, colours, place) : 0;
    return -Math.log(sum);
  }
}

const started = (colours, places, random) => {
  const points = new Float32Array(3 * places.length);
  for (let at = 0; at < places.length; at += 1) for (let axis = 0; axis < 3; axis += 1) points[3 * at + axis] = colours[3 * places[at] + axis];
  return new Mixture(colours, places, kMeans(points, Math.min(KINDS, places.length), ROUNDS, random).labels);
};

// What it costs to part each pixel from its right, lower left, lower and lower right neighbour.
const borders = (colours, height, width) => {
  let total = 0;
  const costs = [[0, 1], [1, -1], [1, 0], [1, 1]].map(([down, right]) => {
    const squares = new Float64Array(height * width).fill(-1); // -1 where there is no neighbour
    for (let row = 0; row < height - down; row += 1)
      for (let column = Math.max(-right, 0); column < width - Math.max(right, 0); column += 1) {
        const place = row * width + column;
        const [one, other] = [3 * place, 3 * (place + down * width + right)];
        const [red, green, blue] = [colours[one] - colours[other], colours[one + 1] - colours[other + 1], colours[one + 2] - colours[other + 2]];
        squares[place] = red * red + green * green + blue * blue;
        total += squares[place];
      }
    return squares;
  });
  const mean = total / (4 * width * height - 3 * width - 3 * height + 2);
  const sharpness = total > Number.EPSILON ? 1 / (2 * mean) : 0;
  costs.forEach((squares, direction) => {
    const most = direction % 2 ? CONTRAST / Math.SQRT2 : CONTRAST;
    for (let at = 0; at < squares.length; at += 1) squares[at] = squares[at] < 0 ? 0 : most * Math.exp(-sharpness * squares[at]);
  });
  return costs;
};

// The minimum cut of a grid: 1 where the source still reaches a pixel.
//
// `terminal`: for each pixel how much more the source gives it than the sink takes. `costs`: as `borders` has them.
export const minimumCut = (terminal, costs, height, width) => {
  const wide = width + 2; // nothing flows into a frame of pixels, which saves asking where the picture ends
  const size = (height + 2) * wide;
  // Direction 7 - d is opposite to d.
  const offsets = [1, wide - 1, wide, wide + 1, -wide - 1, -wide, -wide + 1, -1];
  const capacity = offsets.map(() => new Float64Array(size));
  const excess = new Float64Array(size);
  const [NONE, TERMINAL, ORPHAN] = [-1, 8, 9];
  const tree = new Uint8Array(size); // 1 of the source, 2 of the sink
  const parent = new Int8Array(size).fill(NONE); // the direction to it
  const stamp = new Int32Array(size);
  const depth = new Int32Array(size);
  const isQueued = new Uint8Array(size);
  let queue = [];
  let first = 0;
  const push = (at) => {
    if (isQueued[at]) return;
    isQueued[at] = 1;
    queue.push(at);
  };
  for (let row = 0; row < height; row += 1)
    for (let column = 0; column < width; column += 1) {
      const [from, at] = [row * width + column, (row + 1) * wide + column + 1];
      excess[at] = terminal[from];
      for (let direction = 0; direction < 4; direction += 1) {
        capacity[direction][at] = costs[direction][from];
        capacity[7 - direction][at + offsets[direction]] = costs[direction][from];
      }
      if (!excess[at]) continue;
      tree[at] = excess[at] > 0 ? 1 : 2;
      parent[at] = TERMINAL;
      depth[at] = 1;
      push(at);
    }
  let time = 0;
  let orphans = [];
  const orphan = (at) => {
    parent[at] = ORPHAN;
    orphans.push(at);
  };
  // What can still flow between a pixel and its parent in the direction `up`, along its tree.
  const room = (at, up) => (tree[at] === 1 ? capacity[7 - up][at + offsets[up]] : capacity[up][at]);

  const augment = (source, direction) => {
    const sink = source + offsets[direction];
    let least = capacity[direction][source];
    for (const start of [source, sink]) {
      let at = start;
      for (; parent[at] !== TERMINAL; at += offsets[parent[at]]) least = Math.min(least, room(at, parent[at]));
      least = Math.min(least, Math.abs(excess[at]));
    }
    capacity[direction][source] -= least;
    capacity[7 - direction][sink] += least;
    for (const start of [source, sink]) {
      const own = start === source;
      let at = start;
      while (parent[at] !== TERMINAL) {
        const up = parent[at];
        const next = at + offsets[up];
        const [along, back] = own ? [capacity[7 - up], capacity[up]] : [capacity[up], capacity[7 - up]];
        const [tail, head] = own ? [next, at] : [at, next];
        along[tail] -= least;
        back[head] += least;
        if (!along[tail]) orphan(at);
        at = next;
      }
      excess[at] += own ? -least : least;
      if (!excess[at]) orphan(at);
    }
  };

  // How far a pixel is from its tree's root; Infinity where the way ends at an orphan.
  const distance = (start) => {
    let steps = 0;
    let at = start;
    for (;;) {
      if (stamp[at] === time) {
        steps += depth[at];
        break;
      }
      const up = parent[at];
      if (up === TERMINAL) {
        stamp[at] = time;
        depth[at] = 1;
        steps += 1;
        break;
      }
      if (up === ORPHAN || up === NONE) return Infinity;
      steps += 1;
      at += offsets[up];
    }
    const found = steps;
    for (at = start; stamp[at] !== time; at += offsets[parent[at]]) {
      stamp[at] = time;
      depth[at] = steps;
      steps -= 1;
    }
    return found;
  };

  const adopt = (at) => {
    let [least, best] = [Infinity, NONE];
    for (let direction = 0; direction < 8; direction += 1) {
      const next = at + offsets[direction];
      if (tree[next] !== tree[at] || parent[next] === NONE) continue;
      if (!room(at, direction)) continue;
      const steps = distance(next);
      if (steps < least) [least, best] = [steps, direction];
    }
    if (best !== NONE) {
      parent[at] = best;
      stamp[at] = time;
      depth[at] = least + 1;
      return;
    }
    for (let direction = 0; direction < 8; direction += 1) {
      const next = at + offsets[direction];
      if (tree[next] !== tree[at] || parent[next] === NONE) continue;
      if (room(at, direction)) push(next);
      if (parent[next] === 7 - direction) orphan(next);
    }
    parent[at] = NONE;
    tree[at] = 0;
  };

  const grow = (at) => {
    for (let direction = 0; direction < 8; direction += 1) {
      const next = at + offsets[direction];
      const open = tree[at] === 1 ? capacity[direction][at] : capacity[7 - direction][next];
      if (!open) continue;
      if (!tree[next]) {
        tree[next] = tree[at];
        parent[next] = 7 - direction;
        stamp[next] = stamp[at];
        depth[next] = depth[at] + 1;
        push(next);
      } else if (tree[next] !== tree[at]) return tree[at] === 1 ? [at, direction] : [next, 7 - direction];
      else if (stamp[next] <= stamp[at] && depth[next] > depth[at]) {
        parent[next] = 7 - direction;
        stamp[next] = stamp[at];
        depth[next] = depth[at] + 1;
      }
    }
    return null;
  };

  while (first < queue.length) {
    const at = queue[first];
    const met = tree[at] ? grow(at) : null;
    if (!met) {
      isQueued[at] = 0;
      first += 1;
      if (first > size) {
        queue = queue.slice(first);
        first = 0;
      }
      continue;
    }
    time += 1;
    augment(...met);
    for (let place = 0; place < orphans.length; place += 1) adopt(orphans[place]);
    orphans = [];
  }
  const cut = new Uint8Array(height * width);
  for (let row = 0; row < height; row += 1)
    for (let column = 0; column < width; column += 1)
      cut[row * width + column] = tree[(row + 1) * wide + column + 1] === 1 ? 1 : 0;
  return cut;
};

// cv2.grabCut from a mask of the four kinds above; gives 1 where the foreground is.
export const grabCut = ({ height, width, data: colours }, start, rounds) => {
  const kinds = new Uint8Array(start);
  const shown = kinds.reduce((sum, kind) => sum + (kind % 2), 0);
  if (shown === 0 || shown === kinds.length) return kinds.map((kind) => kind % 2);
  const places = (side) => Int32Array.from(kinds.keys()).filter((place) => kinds[place] % 2 === side);
  const random = new OpenCvRandom();
  let [behind, front] = [0, 1].map((side) => started(colours, places(side), random));
  const costs = borders(colours, height, width);
  for (let round = 0; round < rounds; round += 1) {
    [behind, front] = [behind, front].map((mixture, side) => {
      const own = places(side);
      return new Mixture(colours, own, own.map((place) => mixture.kindOf(colours, place)));
    });
    const terminal = filled(Float64Array, kinds.length, (place) => {
      if (kinds[place] < 2) return kinds[place] === FOREGROUND ? SURE : -SURE;
      const more = behind.surprise(colours, place) - front.surprise(colours, place);
      return Number.isNaN(more) ? Infinity : more; // both have never seen such a colour: OpenCV lets it be foreground
    });
    const cut = minimumCut(terminal, costs, height, width);
    kinds.forEach((kind, place) => {
      if (kind >= 2) kinds[place] = cut[place] ? LIKELY_FOREGROUND : LIKELY_BACKGROUND;
    });
  }
  return kinds.map((kind) => kind % 2);
};
