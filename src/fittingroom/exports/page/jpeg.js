// A JPEG at an eighth, a quarter or half of its size, as libjpeg decodes it: from the low frequencies of each block, to
// the rounding. A browser gives all pixels, and means of these differ by a level here and there, which is enough to cut
// out something else. Huffman-coded files, sequential or progressive, grey or YCbCr; null for all others.

import { picture } from "./resampling.js";

const ZIGZAG = [
  0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29,
  22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
];
const FAST = 9; // bits that are looked up at once

class Unknown extends Error {}

// Codes in the order of their lengths: `fast` has length << 8 | value for short ones.
const huffmanTable = (counts, values) => {
  const fast = new Uint16Array(1 << FAST);
  const [most, offset] = [new Int32Array(18).fill(-1), new Int32Array(18)];
  let [code, at] = [0, 0];
  for (let length = 1; length <= 16; length += 1) {
    offset[length] = at - code;
    for (let step = 0; step < counts[length - 1]; step += 1, code += 1, at += 1)
      if (length <= FAST) fast.fill((length << 8) | values[at], code << (FAST - length), (code + 1) << (FAST - length));
    if (counts[length - 1]) most[length] = code - 1;
    code <<= 1;
  }
  return { fast, most, offset, values };
};

// Bits of a scan, without the zeros that follow bytes of ones; zeros after its end, which a marker tells.
class Bits {
  constructor(bytes, at) {
    this.bytes = bytes;
    this.at = at;
    this.held = 0;
    this.count = 0;
  }

  fill() {
    while (this.count <= 16) {
      if (this.at >= this.bytes.length) throw new Unknown("cut off");
      let byte = this.bytes[this.at];
      if (byte !== 0xff) this.at += 1;
      else if (this.bytes[this.at + 1] === 0) this.at += 2;
      else byte = 0; // a marker: it stays where it is
      this.held = ((this.held << 8) | byte) & 0xffffff;
      this.count += 8;
    }
  }

  peek(length) {
    if (this.count < length) this.fill();
    return (this.held >> (this.count - length)) & ((1 << length) - 1);
  }

  take(length) {
    if (!length) return 0;
    const value = this.peek(length);
    this.count -= length;
    return value;
  }

  signed(length) {
    const value = this.take(length);
    return length && value < 1 << (length - 1) ? value - (1 << length) + 1 : value;
  }

  symbol({ fast, most, offset, values }) {
    const found = fast[this.peek(FAST)];
    if (found) {
      this.count -= found >> 8;
      return found & 0xff;
    }
    for (let length = FAST + 1, code = this.peek(length); length <= 16; length += 1, code = this.peek(length))
      if (code <= most[length]) {
        this.count -= length;
        return values[code + offset[length]];
      }
    throw new Unknown("a code of no table");
  }

  // To the marker of a restart, and over it.
  restart() {
    this.count = 0;
    while (this.at < this.bytes.length - 1 && !(this.bytes[this.at] === 0xff && this.bytes[this.at + 1] >= 0xd0 && this.bytes[this.at + 1] <= 0xd7)) this.at += 1;
    this.at += 2;
  }
}

// What a scan does to a block of coefficients, of which `at` is the first.
const blockReader = (bits, { from, to, high, low, progressive }, state) => {
  const sequential = (component, blocks, at) => {
    component.before += bits.signed(bits.symbol(component.dc));
    blocks[at] = component.before;
    for (let place = 1; place < 64; place += 1) {
      const symbol = bits.symbol(component.ac);
      if (!(symbol & 15)) {
        if (symbol !== 0xf0) return;
        place += 15;
        continue;
      }
      place += symbol >> 4;
      blocks[at + ZIGZAG[place]] = bits.signed(symbol & 15);
    }
  };
  const firstOfDc = (component, blocks, at) => {
    component.before += bits.signed(bits.symbol(component.dc));
    blocks[at] = component.before * (1 << low);
  };
  const moreOfDc = (component, blocks, at) => {
    if (bits.take(1)) blocks[at] |= 1 << low;
  };
  const firstOfAc = (component, blocks, at) => {
    if (state.empty) {
      state.empty -= 1;
      return;
    }
    for (let place = from; place <= to; place += 1) {
      const symbol = bits.symbol(component.ac);
      const [run, size] = [symbol >> 4, symbol & 15];
      if (size) {
        place += run;
        blocks[at + ZIGZAG[place]] = bits.signed(size) * (1 << low);
      } else if (run === 15) place += 15;
      else {
        state.empty = (1 << run) - 1 + bits.take(run);
        return;
      }
    }
  };
  const refine = (blocks, at) => {
    const value = blocks[at];
    if (bits.take(1) && !(Math.abs(value) & (1 << low))) blocks[at] += value > 0 ? 1 << low : -(1 << low);
  };
  const moreOfAc = (component, blocks, at) => {
    let place = from;
    if (!state.empty)
      for (; place <= to; place += 1) {
        const symbol = bits.symbol(component.ac);
        let run = symbol >> 4;
        let value = 0;
        if (symbol & 15) value = bits.take(1) ? 1 << low : -(1 << low);
        else if (run < 15) {
          state.empty = (1 << run) + bits.take(run);
          break;
        }
        for (; place <= to; place += 1) {
          const target = at + ZIGZAG[place];
          if (blocks[target]) refine(blocks, target);
          else if (run === 0) {
            if (value) blocks[target] = value;
            break;
          } else run -= 1;
        }
      }
    if (!state.empty) return;
    for (; place <= to; place += 1) if (blocks[at + ZIGZAG[place]]) refine(blocks, at + ZIGZAG[place]);
    state.empty -= 1;
  };
  if (!progressive) return sequential;
  if (from === 0) return high ? moreOfDc : firstOfDc;
  return high ? moreOfAc : firstOfAc;
};

const readScan = (bytes, start, frame, components, range, interval) => {
  const bits = new Bits(bytes, start);
  const state = { empty: 0 };
  const read = blockReader(bits, { ...range, progressive: frame.progressive }, state);
  const single = components.length === 1;
  const [down, across] = single ? [components[0].rows, components[0].columns] : [frame.rows, frame.columns];
  for (let unit = 0; unit < down * across; unit += 1) {
    if (interval && unit && unit % interval === 0) {
      bits.restart();
      state.empty = 0;
    }
    if (!interval ? unit === 0 : unit % interval === 0) for (const component of components) component.before = 0;
    const [row, column] = [Math.floor(unit / across), unit % across];
    for (const component of components) {
      const { blocks, stride, h, v } = component;
      if (single) read(component, blocks, 64 * (row * stride + column));
      else
        for (let y = 0; y < v; y += 1) for (let x = 0; x < h; x += 1) read(component, blocks, 64 * ((row * v + y) * stride + column * h + x));
    }
  }
  return bits.at;
};

const frameOf = (view, at, progressive) => {
  const [height, width, count] = [view.getUint16(at + 1), view.getUint16(at + 3), view.getUint8(at + 5)];
  if (view.getUint8(at) !== 8 || ![1, 3].includes(count) || !height) throw new Unknown("another kind");
  const components = Array.from({ length: count }, (_, index) => {
    const place = at + 6 + 3 * index;
    const sampling = view.getUint8(place + 1);
    return { id: view.getUint8(place), h: sampling >> 4, v: sampling & 15, table: view.getUint8(place + 2), before: 0 };
  });
  if (count === 1) components[0].h = components[0].v = 1;
  const [mostH, mostV] = [Math.max(...components.map(({ h }) => h)), Math.max(...components.map(({ v }) => v))];
  const [rows, columns] = [Math.ceil(height / (8 * mostV)), Math.ceil(width / (8 * mostH))];
  for (const component of components) {
    component.rows = Math.ceil(Math.ceil((height * component.v) / mostV) / 8);
    component.columns = Math.ceil(Math.ceil((width * component.h) / mostH) / 8);
    component.stride = columns * component.h;
    component.tall = rows * component.v;
    component.blocks = new Int16Array(64 * component.stride * component.tall);
  }
  return { height, width, components, mostH, mostV, rows, columns, progressive };
};

const coefficientsOf = (bytes) => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const [quantities, tables] = [[], { dc: [], ac: [] }];
  let [frame, interval, adobe] = [null, 0, -1];
  let at = 2;
  while (at < bytes.length - 1) {
    if (bytes[at] !== 0xff || bytes[at + 1] === 0xff || bytes[at + 1] === 0) {
      at += 1;
      continue;
    }
    const kind = bytes[at + 1];
    at += 2;
    if (kind === 0xd9) break;
    if (kind >= 0xd0 && kind <= 0xd8) continue;
    const end = at + view.getUint16(at);
    let place = at + 2;
    if (kind === 0xdb)
      while (place < end) {
        const head = bytes[place++];
        const quantity = new Int32Array(64);
        for (let step = 0; step < 64; step += 1, place += head >> 4 ? 2 : 1) quantity[ZIGZAG[step]] = head >> 4 ? view.getUint16(place) : bytes[place];
        quantities[head & 15] = quantity;
      }
    else if (kind === 0xc4)
      while (place < end) {
        const head = bytes[place];
        const counts = bytes.subarray(place + 1, place + 17);
        const total = counts.reduce((sum, count) => sum + count, 0);
        tables[head >> 4 ? "ac" : "dc"][head & 15] = huffmanTable(counts, bytes.subarray(place + 17, place + 17 + total));
        place += 17 + total;
      }
    else if (kind === 0xdd) interval = view.getUint16(place);
    else if (kind === 0xee && view.getUint32(place) === 0x41646f62) adobe = bytes[place + 11];
    else if ([0xc0, 0xc1, 0xc2].includes(kind)) frame = frameOf(view, place, kind === 0xc2);
    else if (kind >= 0xc3 && kind <= 0xcf && kind !== 0xc8) throw new Unknown("another coding");
    at = end;
    if (kind !== 0xda) continue;
    const count = bytes[place];
    const components = Array.from({ length: count }, (_, index) => {
      const [id, chosen] = [bytes[place + 1 + 2 * index], bytes[place + 2 + 2 * index]];
      const component = frame.components.find((one) => one.id === id);
      return Object.assign(component, { dc: tables.dc[chosen >> 4], ac: tables.ac[chosen & 15] });
    });
    const [from, to, shift] = bytes.subarray(place + 1 + 2 * count, place + 4 + 2 * count);
    at = readScan(bytes, at, frame, components, { from, to, high: shift >> 4, low: shift & 15 }, interval);
  }
  const letters = frame.components.map(({ id }) => String.fromCharCode(id)).join("");
  if (adobe === 0 || (adobe < 0 && letters === "RGB")) throw new Unknown("RGB");
  for (const component of frame.components) component.quantity = quantities[component.table];
  return frame;
};

// One dimension of the inverse transforms of jidctint.c and jidctred.c: from `step` apart to `step` apart.
const along = {
  2: (x, at, step, shift, out, to, toStep) => {
    const even = x[at] * 32768;
    const odd = x[at + step] * 29692 - x[at + 3 * step] * 10426 + x[at + 5 * step] * 6967 - x[at + 7 * step] * 5906;
    const half = 2 ** (shift + 1);
    out[to] = Math.floor((even + odd + half) / (2 * half));
    out[to + toStep] = Math.floor((even - odd + half) / (2 * half));
  },
  4: (x, at, step, shift, out, to, toStep) => {
    const one = x[at + step];
    const three = x[at + 3 * step];
    const five = x[at + 5 * step];
    const seven = x[at + 7 * step];
    const turned = x[at + 2 * step] * 15137 - x[at + 6 * step] * 6270;
    const outer = x[at] * 16384 + turned;
    const inner = x[at] * 16384 - turned;
    const near = one * 8697 - three * 17799 + five * 11893 - seven * 1730;
    const far = one * 20995 + three * 7373 - five * 4926 - seven * 4176;
    const half = 2 ** shift;
    const scale = 1 / (2 * half); // a power of two
    out[to] = Math.floor((outer + far + half) * scale);
    out[to + toStep] = Math.floor((inner + near + half) * scale);
    out[to + 2 * toStep] = Math.floor((inner - near + half) * scale);
    out[to + 3 * toStep] = Math.floor((outer - far + half) * scale);
  },
  8: (x, at, step, shift, out, to, toStep) => {
    const [x2, x6] = [x[at + 2 * step], x[at + 6 * step]];
    const shared = (x2 + x6) * 4433;
    const [low, high] = [shared - x6 * 15137, shared + x2 * 6270];
    const [sum, apart] = [(x[at] + x[at + 4 * step]) * 8192, (x[at] - x[at + 4 * step]) * 8192];
    const evens = [sum + high, apart + low, apart - low, sum - high];
    let [t0, t1, t2, t3] = [x[at + 7 * step], x[at + 5 * step], x[at + 3 * step], x[at + step]];
    let [z1, z2, z3, z4] = [t0 + t3, t1 + t2, t0 + t2, t1 + t3];
    const z5 = (z3 + z4) * 9633;
    [t0, t1, t2, t3] = [t0 * 2446, t1 * 16819, t2 * 25172, t3 * 12299];
    [z1, z2, z3, z4] = [z1 * -7373, z2 * -20995, z3 * -16069 + z5, z4 * -3196 + z5];
    const odds = [t3 + z1 + z4, t2 + z2 + z3, t1 + z2 + z4, t0 + z1 + z3];
    const half = 2 ** (shift - 1);
    for (let place = 0; place < 4; place += 1) {
      out[to + place * toStep] = Math.floor((evens[place] + odds[place] + half) / (2 * half));
      out[to + (7 - place) * toStep] = Math.floor((evens[place] - odds[place] + half) / (2 * half));
    }
  },
};
const USED = { 2: [0, 1, 3, 5, 7], 4: [0, 1, 2, 3, 5, 6, 7], 8: [0, 1, 2, 3, 4, 5, 6, 7] };

// A component's samples, each block as `side` × `side` of them: Uint8ClampedArray rows.
const samplesOf = ({ blocks, stride, tall, quantity }, side) => {
  const wide = stride * side;
  const samples = new Uint8ClampedArray(wide * tall * side);
  const [dequantized, half, done] = [new Float64Array(64), new Float64Array(64), new Float64Array(64)];
  for (let block = 0; block < stride * tall; block += 1) {
    const from = 64 * block;
    const start = Math.floor(block / stride) * side * wide + (block % stride) * side;
    if (side === 1) {
      samples[start] = ((blocks[from] * quantity[0] + 4) >> 3) + 128;
      continue;
    }
    for (let place = 0; place < 64; place += 1) dequantized[place] = blocks[from + place] * quantity[place];
    for (const column of USED[side]) along[side](dequantized, column, 8, 11, half, column, 8);
    for (let row = 0; row < side; row += 1) along[side](half, 8 * row, 1, 18, done, 8 * row, 1);
    for (let row = 0; row < side; row += 1) for (let column = 0; column < side; column += 1) samples[start + row * wide + column] = done[8 * row + column] + 128;
  }
  return { wide, samples };
};

// Twice as wide: three parts of the nearer sample and one of the farther, or each twice.
const widened = ({ wide, samples }, width, fancy) => {
  const rows = samples.length / wide;
  const result = new Uint8Array(rows * wide * 2);
  for (let row = 0; row < rows; row += 1)
    for (let column = 0; column < width; column += 1) {
      const at = row * wide + column;
      const value = samples[at];
      result[2 * at] = fancy && column > 0 ? (3 * value + samples[at - 1] + 1) >> 2 : value;
      result[2 * at + 1] = fancy && column < width - 1 ? (3 * value + samples[at + 1] + 2) >> 2 : value;
    }
  return { wide: 2 * wide, samples: result };
};

const planesOf = ({ width, components, mostH, mostV }, side) =>
  components.map((component) => {
    const { h, v } = component;
    let own = side; // a component with fewer samples is scaled less rather than widened
    while (own < 8 && (mostH * side) % (h * own * 2) === 0 && (mostV * side) % (v * own * 2) === 0) own *= 2;
    const plane = samplesOf(component, own);
    const [across, down] = [(mostH * side) / (h * own), (mostV * side) / (v * own)];
    if (across === 1 && down === 1) return plane;
    if (across !== 2 || down !== 1) throw new Unknown("another sampling");
    return widened(plane, Math.ceil((width * h * own) / (mostH * 8)), side > 1);
  });

// reducedJpeg(bytes, block) → a picture with one pixel for `block` × `block` of them (8, 4 or 2), not turned upright; null
// where the file is of another kind or damaged.
export const reducedJpeg = (bytes, block) => {
  try {
    const frame = coefficientsOf(bytes);
    const side = 8 / block;
    const planes = planesOf(frame, side);
    const [height, width] = [Math.ceil(frame.height / block), Math.ceil(frame.width / block)];
    const channels = planes.length;
    const data = new Uint8ClampedArray(height * width * channels);
    for (let row = 0; row < height; row += 1)
      for (let column = 0; column < width; column += 1) {
        const light = planes[0].samples[row * planes[0].wide + column];
        const to = (row * width + column) * channels;
        if (channels === 1) {
          data[to] = light;
          continue;
        }
        const blue = planes[1].samples[row * planes[1].wide + column] - 128;
        const red = planes[2].samples[row * planes[2].wide + column] - 128;
        data[to] = light + ((91881 * red + 32768) >> 16);
        data[to + 1] = light + ((-22554 * blue - 46802 * red + 32768) >> 16);
        data[to + 2] = light + ((116130 * blue + 32768) >> 16);
      }
    return picture(height, width, channels, new Uint8Array(data.buffer));
  } catch {
    return null;
  }
};
