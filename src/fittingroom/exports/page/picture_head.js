// What the first bytes of a picture file tell that a decoded picture no longer does.

const ORIENTATION = 0x0112;

const textAt = (view, at, length) => String.fromCharCode(...new Uint8Array(view.buffer, view.byteOffset + at, length));

// The orientation in TIFF data, 1 to 8; 1 where there is none.
const orientationIn = (view, start) => {
  const little = view.getUint16(start) === 0x4949;
  const table = start + view.getUint32(start + 4, little);
  for (let entry = table + 2, left = view.getUint16(table, little); left > 0; left -= 1, entry += 12)
    if (view.getUint16(entry, little) === ORIENTATION) return view.getUint16(entry + 8, little);
  return 1;
};

const ofJpeg = (view) => {
  const found = { jpeg: true };
  for (let at = 2; view.getUint8(at) === 0xff; at += 2 + view.getUint16(at + 2)) {
    const kind = view.getUint8(at + 1);
    if (kind === 0xda) break;
    if (kind === 0xe1 && textAt(view, at + 4, 4) === "Exif") found.orientation = orientationIn(view, at + 10);
    const isFrame = kind >= 0xc0 && kind <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(kind);
    if (!isFrame) continue;
    found.cmyk = view.getUint8(at + 9) === 4;
    [found.height, found.width] = [view.getUint16(at + 5), view.getUint16(at + 7)];
  }
  return found;
};

const ofPng = (view) => {
  const found = { sixteen: view.getUint8(24) === 16 };
  for (let at = 8; textAt(view, at + 4, 4) !== "IDAT"; at += 12 + view.getUint32(at)) if (textAt(view, at + 4, 4) === "acTL") found.animated = view.getUint32(at + 8) > 1;
  return found;
};

// Whether a second picture follows the first.
const ofGif = (view) => {
  const tableOf = (flags) => (flags & 0x80 ? 3 << ((flags & 7) + 1) : 0);
  let at = 13 + tableOf(view.getUint8(10));
  const skipBlocks = () => {
    while (view.getUint8(at)) at += 1 + view.getUint8(at);
    at += 1;
  };
  for (let pictures = 0; ; ) {
    const kind = view.getUint8(at);
    if (kind === 0x2c) {
      pictures += 1;
      if (pictures > 1) return { animated: true };
      at += 11 + tableOf(view.getUint8(at + 9));
      skipBlocks();
    } else if (kind === 0x21) {
      at += 2;
      skipBlocks();
    } else return {};
  }
};

const ofWebp = (view) => ({ animated: textAt(view, 12, 4) === "VP8X" && (view.getUint8(20) & 2) > 0 });

// headOf(bytes) → {known, jpeg, notes}: whether it is a picture of a kind that is read; what has to be done to it, as the
// run says it; `jpeg` is null for other files, else {height, width, orientation} as the file has them, 0 and 1 where it
// does not say.
export const headOf = (bytes) => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let [found, known] = [{}, true];
  try {
    if (view.getUint16(0) === 0xffd8) found = ofJpeg(view);
    else if (textAt(view, 1, 3) === "PNG") found = ofPng(view);
    else if (textAt(view, 0, 3) === "GIF") found = ofGif(view);
    else if (textAt(view, 8, 4) === "WEBP") found = ofWebp(view);
    else known = textAt(view, 0, 2) === "BM";
  } catch {
    found = { jpeg: bytes[0] === 0xff && bytes[1] === 0xd8 }; // broken metadata tell nothing; the pixels may be fine
    known = bytes.length > 12;
  }
  const { height = 0, width = 0, orientation = 1 } = found;
  const turned = orientation > 1 && orientation < 9 ? orientation : 1; // others mean nothing
  const said = [
    [found.animated, "animated: its first frame is used."],
    [turned > 1, "turned upright as its EXIF data say."],
    [found.cmyk, "converted from CMYK."],
    [found.sixteen, "reduced from 16 bits to 8."],
  ];
  return { known, jpeg: found.jpeg ? { height, width, orientation: turned } : null, notes: said.filter(([is]) => is).map(([, note]) => note) };
};
