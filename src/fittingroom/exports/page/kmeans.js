// OpenCV's k-means with its random numbers: the same points give the same kinds.

const TRIALS = 3; // of which k-means++ takes the best centre

// OpenCV's generator after setRNGSeed(0): multiply with carry.
export class OpenCvRandom {
  constructor() {
    this.low = 0xffffffff;
    this.carry = 0;
  }

  next() {
    const product = BigInt(this.low) * 4164903690n + BigInt(this.carry);
    this.low = Number(product & 0xffffffffn);
    this.carry = Number(product >> 32n);
    return this.low;
  }

  // 0 to 1
  share() {
    const high = BigInt(this.next());
    return Number((high << 32n) | BigInt(this.next())) * 5.4210108624275221700372640043497e-20;
  }
}

const apart = (points, at, centres, kind) => {
  const x = points[3 * at] - centres[3 * kind];
  const y = points[3 * at + 1] - centres[3 * kind + 1];
  const z = points[3 * at + 2] - centres[3 * kind + 2];
  return Math.fround(Math.fround(Math.fround(x * x) + Math.fround(y * y)) + Math.fround(z * z));
};

const firstCentres = (points, count, random) => {
  const size = points.length / 3;
  const centres = new Float32Array(3 * count);
  const put = (kind, at) => centres.set(points.subarray(3 * at, 3 * at + 3), 3 * kind);
  let distance = new Float32Array(size);
  let [trial, best] = [new Float32Array(size), new Float32Array(size)];
  put(0, random.next() % size);
  let sum = 0;
  for (let at = 0; at < size; at += 1) sum += distance[at] = apart(points, at, centres, 0);
  for (let kind = 1; kind < count; kind += 1) {
    let [least, chosen] = [Infinity, 0];
    for (let turn = 0; turn < TRIALS; turn += 1) {
      let left = random.share() * sum;
      let place = 0;
      for (; place < size - 1; place += 1) {
        left -= distance[place];
        if (left <= 0) break;
      }
      put(kind, place);
      let total = 0;
      for (let at = 0; at < size; at += 1) total += trial[at] = Math.min(apart(points, at, centres, kind), distance[at]);
      if (total < least) {
        [least, chosen] = [total, place];
        [trial, best] = [best, trial];
      }
    }
    put(kind, chosen);
    sum = least;
    [distance, best] = [best, distance];
  }
  return centres;
};

const means = (points, labels, old) => {
  const count = old.length / 3;
  const centres = new Float32Array(old.length);
  const sizes = new Int32Array(count);
  for (let at = 0; at < labels.length; at += 1) {
    const kind = labels[at];
    sizes[kind] += 1;
    for (let axis = 0; axis < 3; axis += 1) centres[3 * kind + axis] += points[3 * at + axis];
  }
  // An empty kind takes the point of the largest one that is farthest from its middle.
  sizes.forEach((size, empty) => {
    if (size) return;
    const most = sizes.indexOf(Math.max(...sizes));
    const middle = centres.subarray(3 * most, 3 * most + 3).map((value) => value / sizes[most]);
    let [far, farthest] = [-1, 0];
    labels.forEach((kind, at) => {
      const distance = kind === most ? apart(points, at, middle, 0) : -1;
      if (distance >= far && kind === most) [far, farthest] = [distance, at];
    });
    labels[farthest] = empty;
    sizes[most] -= 1;
    sizes[empty] = 1;
    for (let axis = 0; axis < 3; axis += 1) {
      centres[3 * most + axis] -= points[3 * farthest + axis];
      centres[3 * empty + axis] = points[3 * farthest + axis];
    }
  });
  return centres.map((value, place) => Math.fround(value * Math.fround(1 / sizes[Math.floor(place / 3)])));
};

const nearest = (points, centres, labels) => {
  const count = centres.length / 3;
  for (let at = 0; at < labels.length; at += 1) {
    let least = Infinity;
    for (let one = 0; one < count; one += 1) {
      const distance = apart(points, at, centres, one);
      if (distance < least) {
        least = distance;
        labels[at] = one;
      }
    }
  }
};

// cv2.kmeans from k-means++ centres: {labels, centres}; `points` are Float32Array, three numbers each.
export const kMeans = (points, count, rounds, random) => {
  const labels = new Int32Array(points.length / 3);
  let centres = firstCentres(points, count, random);
  for (let round = 1; round < rounds; round += 1) {
    nearest(points, centres, labels);
    const moved = means(points, labels, centres);
    const still = moved.every((value, place) => value === centres[place]);
    centres = moved;
    if (still) break;
  }
  return { labels, centres };
};
