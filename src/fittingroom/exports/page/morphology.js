// Masks: grown, shrunk, filled, and taken apart. A mask is a Uint8Array of 0 and 1, in rows.

// How far each row of OpenCV's ellipse of a side reaches from its middle.
export const ellipseReach = (side) => {
  const radius = side >> 1;
  return Array.from({ length: side }, (_, row) => {
    const down = row - radius;
    return radius ? Math.round(radius * Math.sqrt((radius * radius - down * down) / (radius * radius))) : 0;
  });
};

// Whether any pixel under the ellipse is 1; what lies outside is 0.
export const dilated = (mask, height, width, side) => {
  const reach = ellipseReach(side);
  const radius = side >> 1;
  const result = new Uint8Array(mask.length);
  for (let row = 0; row < height; row += 1) {
    const end = (row + 1) * width;
    for (let start = mask.indexOf(1, row * width); start >= 0 && start < end; ) {
      let stop = start + 1;
      while (stop < end && mask[stop]) stop += 1;
      const [left, right] = [start - row * width, stop - row * width];
      for (let target = Math.max(row - radius, 0); target <= Math.min(row + radius, height - 1); target += 1) {
        const far = reach[radius + target - row];
        result.fill(1, target * width + Math.max(left - far, 0), target * width + Math.min(right + far, width));
      }
      start = stop < end ? mask.indexOf(1, stop) : -1;
    }
  }
  return result;
};

export const inverse = (mask) => {
  const result = new Uint8Array(mask.length);
  for (let at = 0; at < mask.length; at += 1) result[at] = 1 - mask[at];
  return result;
};

// Whether all pixels under the ellipse are 1; what lies outside is 1.
export const eroded = (mask, height, width, side) => inverse(dilated(inverse(mask), height, width, side));

// Connected parts of what is 1, with 4 or 8 neighbours: {labels (0 where it is 0), count of parts}.
export const partsOf = (mask, height, width, neighbours) => {
  const labels = new Int32Array(mask.length);
  const stack = [];
  let count = 0;
  for (let first = 0; first < mask.length; first += 1) {
    if (!mask[first] || labels[first]) continue;
    count += 1;
    labels[first] = count;
    stack.push(first);
    while (stack.length) {
      const at = stack.pop();
      const row = Math.floor(at / width);
      const column = at - row * width;
      for (let down = -1; down <= 1; down += 1)
        for (let right = -1; right <= 1; right += 1) {
          if (neighbours === 4 && down && right) continue;
          const [y, x] = [row + down, column + right];
          if (y < 0 || x < 0 || y >= height || x >= width) continue;
          const next = y * width + x;
          if (!mask[next] || labels[next]) continue;
          labels[next] = count;
          stack.push(next);
        }
    }
  }
  return { labels, count };
};

// First row, one past the last, first column, one past the last; of an empty mask, the whole picture.
export const boxOf = (mask, height, width) => {
  let [top, bottom, left, right] = [height, 0, width, 0];
  for (let row = 0; row < height; row += 1)
    for (let column = 0; column < width; column += 1)
      if (mask[row * width + column]) {
        top = Math.min(top, row);
        bottom = row + 1;
        left = Math.min(left, column);
        right = Math.max(right, column + 1);
      }
  return bottom ? { top, bottom, left, right } : { top: 0, bottom: height, left: 0, right: width };
};

// 0 around a mask, so many pixels wide; and the same taken away.
export const padded = (mask, height, width, by) => {
  const result = new Uint8Array((height + 2 * by) * (width + 2 * by));
  for (let row = 0; row < height; row += 1)
    result.set(mask.subarray(row * width, (row + 1) * width), (row + by) * (width + 2 * by) + by);
  return result;
};

export const unpadded = (mask, height, width, by) => {
  const result = new Uint8Array(height * width);
  for (let row = 0; row < height; row += 1) {
    const start = (row + by) * (width + 2 * by) + by;
    result.set(mask.subarray(start, start + width), row * width);
  }
  return result;
};

// What is 0 and cannot be reached from outside over pixels that are 0, with 4 neighbours.
export const enclosedBy = (mask, height, width) => {
  const [tall, wide] = [height + 2, width + 2];
  const open = padded(mask, height, width, 1); // becomes 2 where the outside reaches
  const waiting = [0];
  while (waiting.length) {
    const at = waiting.pop();
    if (open[at]) continue;
    const first = at - (at % wide);
    let [left, right] = [at, at + 1];
    while (left > first && !open[left - 1]) left -= 1;
    while (right < first + wide && !open[right]) right += 1;
    open.fill(2, left, right);
    for (const beside of [-wide, wide]) {
      if (left + beside < 0 || left + beside >= tall * wide) continue;
      for (let place = left + beside; place < right + beside; place += 1)
        if (!open[place] && (place === left + beside || open[place - 1])) waiting.push(place);
    }
  }
  const inside = unpadded(open, height, width, 1);
  for (let at = 0; at < inside.length; at += 1) inside[at] = inside[at] ? 0 : 1;
  return inside;
};
