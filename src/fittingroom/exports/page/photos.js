// Photos and drawings in the page: a file read as the run reads it, and made an image of the model.

import { PictureError, checkHasForeground, convertForeground, convertWhole, greyBytes, preparedStyle, rgbBytes } from "./conversion.js";
import { convertDrawing } from "./drawing.js";
import { reducedJpeg } from "./jpeg.js";
import { headOf } from "./picture_head.js";
import { filled, picture, rint } from "./resampling.js";

const KEPT = 256; // pixels along each edge that a reduced photo keeps at least
const MOST_PIXELS = 40_000_000;
const BAND = 4_000_000; // pixels that are read at a time
const VISIBLE = 64; // of 255: the opacity from where on a pixel shows
const WHITE = 230; // of 255: the darkest channel of a pixel that would not be seen on white
const HEAD = 262_144; // bytes in which metadata are looked for

const ACCEPTED = "Accepted are JPEG, PNG, WebP, BMP and GIF.";

const bitmapOf = async (blob, known) => {
  const asStored = { imageOrientation: "from-image", premultiplyAlpha: "none", colorSpaceConversion: "none" };
  try {
    return await createImageBitmap(blob, asStored).catch(() => createImageBitmap(blob));
  } catch {
    if (!blob.size) throw new PictureError(`The picture is not an image: it is empty. ${ACCEPTED}`);
    const damaged = "The picture cannot be decoded; it is cut off or damaged. Get the file again.";
    throw new PictureError(known ? damaged : `The picture cannot be read. ${ACCEPTED}`);
  }
};

// Bands of a bitmap, RGBA, of a whole multiple of `unit` rows but for the last.
const bandsOf = (bitmap, unit, use) => {
  const { width, height } = bitmap;
  const rows = Math.min(Math.max(Math.floor(BAND / width / unit), 1) * unit, height);
  const context = new OffscreenCanvas(width, rows).getContext("2d", { willReadFrequently: true });
  for (let top = 0; top < height; top += rows) {
    const tall = Math.min(rows, height - top);
    context.clearRect(0, 0, width, rows);
    context.drawImage(bitmap, 0, top, width, tall, 0, 0, width, tall);
    use(context.getImageData(0, 0, width, tall).data, top, tall);
  }
};

// What a picture with transparency is laid on: white as in a browser, unless all that shows is white.
const groundOf = (bitmap) => {
  let [opaque, anything, white] = [true, false, true];
  bandsOf(bitmap, 1, (data) => {
    for (let at = 0; at < data.length; at += 4) {
      if (data[at + 3] < 255) opaque = false;
      if (data[at + 3] < VISIBLE) continue;
      anything = true;
      if (Math.min(data[at], data[at + 1], data[at + 2]) < WHITE) white = false;
    }
  });
  if (opaque) return { ground: 255, notes: [] };
  const onBlack = white && anything;
  const reason = onBlack ? ", and all that shows is white" : anything ? "" : " throughout";
  return { ground: onBlack ? 0 : 255, notes: [`transparent${reason}: laid on ${onBlack ? "black" : "white"}.`] };
};

// The picture of a bitmap, its blocks of so many pixels along each side as their mean.
const pixelsOf = (bitmap, block, ground) => {
  const [height, width] = [bitmap.height, bitmap.width].map((side) => Math.ceil(side / block));
  const result = new Uint8Array(height * width * 3);
  bandsOf(bitmap, block, (data, top, tall) => {
    for (let row = 0; row < tall; row += block)
      for (let column = 0; column < width; column += 1) {
        const [down, right] = [Math.min(block, tall - row), Math.min(block, bitmap.width - column * block)];
        let [red, green, blue] = [0, 0, 0];
        for (let y = 0; y < down; y += 1)
          for (let x = 0, at = 4 * ((row + y) * bitmap.width + column * block); x < right; x += 1, at += 4) {
            const cover = data[at + 3];
            const rest = cover === 255 ? 0 : ground * (255 - cover);
            red += cover === 255 ? data[at] : (data[at] * cover + rest) / 255;
            green += cover === 255 ? data[at + 1] : (data[at + 1] * cover + rest) / 255;
            blue += cover === 255 ? data[at + 2] : (data[at + 2] * cover + rest) / 255;
          }
        const target = 3 * (((top + row) / block) * width + column);
        const count = down * right;
        result[target] = Math.round(red / count);
        result[target + 1] = Math.round(green / count);
        result[target + 2] = Math.round(blue / count);
      }
  });
  return picture(height, width, 3, result);
};

// A picture turned upright, as an EXIF orientation says.
const upright = (image, orientation) => {
  if (orientation === 1) return image;
  const { height, width, channels, data } = image;
  const [tall, wide] = orientation > 4 ? [width, height] : [height, width];
  const result = new Uint8Array(data.length);
  const [fromEnd, mirrored] = [[3, 4, 6, 7].includes(orientation), [2, 3, 7, 8].includes(orientation)];
  for (let y = 0; y < tall; y += 1)
    for (let x = 0; x < wide; x += 1) {
      const [down, right] = orientation > 4 ? [x, y] : [y, x];
      const row = fromEnd ? height - 1 - down : down;
      const column = mirrored ? width - 1 - right : right;
      for (let channel = 0; channel < channels; channel += 1) result[(y * wide + x) * channels + channel] = data[(row * width + column) * channels + channel];
    }
  return picture(tall, wide, channels, result);
};

// Grey where it is grey all over.
const plain = (image) => {
  const { height, width, channels, data } = image;
  if (channels === 1) return image;
  for (let at = 0; at < data.length; at += 3) if (data[at] !== data[at + 1] || data[at] !== data[at + 2]) return image;
  return picture(height, width, 1, filled(Uint8Array, height * width, (at) => data[3 * at]));
};

const rgbaOf = ({ height, width, channels, data }) => {
  const rgba = new Uint8ClampedArray(4 * height * width).fill(255);
  for (let at = 0; at < height * width; at += 1)
    for (let channel = 0; channel < 3; channel += 1) rgba[4 * at + channel] = data[channels === 1 ? at : 3 * at + channel];
  return { width, height, data: rgba };
};

// photos(facts, arrays) → {read(blob), convert(what read gives), drawn({strokes, fills}), shown(image)}. The last three
// give pictures as {width, height, data: RGBA}; `image` is what the network takes.
export const photos = (facts, arrays) => {
  const { shape, values, photos: how, drawing, pen, photo } = facts;
  const size = shape.slice(0, 2);
  const style = how?.foreground ? preparedStyle(how.foreground, arrays) : null;

  const stored = ({ data }) => {
    const Type = values.type === "float32" ? Float32Array : Uint8Array;
    if (values.black === 0 && values.white === 255) return new Type(data);
    const [step, black] = [Math.fround((values.white - values.black) / 255), Math.fround(values.black)];
    const value = (pixel) => Math.fround(Math.fround(pixel * step) + black);
    return filled(Type, data.length, values.whole ? (at) => rint(value(data[at])) : (at) => value(data[at]));
  };
  const shown = (image) => {
    const [black, white] = [values.black ?? 0, values.white ?? 255];
    const bytes = filled(Uint8ClampedArray, image.length, (at) => (image[at] - black) * (255 / (white - black)));
    return rgbaOf(picture(size[0], size[1], shape.length === 3 ? 3 : 1, bytes));
  };
  const told = ({ steps, image }, more) => ({
    ...more,
    image: stored(image),
    steps: steps.map((step) => ({ ...step, picture: rgbaOf(step.picture) })),
  });

  // By how much a JPEG is reduced while it is decoded, as the run reduces it.
  const blockFor = (width, height) => {
    const kept = Math.max(KEPT, 2 * Math.max(...size));
    const most = Math.min(Math.floor(width / kept), Math.floor(height / kept));
    return [8, 4, 2].find((one) => one <= most) ?? 1;
  };
  const checkPixels = ({ width, height }) => {
    if (width * height > MOST_PIXELS)
      throw new PictureError(`The picture has ${width}×${height} pixels; at most 40,000,000 are decoded of a picture of its kind. Make it smaller.`);
  };

  const read = async (blob) => {
    if (!photo.possible) throw new PictureError(pen.why_not);
    const { known, jpeg, notes } = headOf(new Uint8Array(await blob.slice(0, HEAD).arrayBuffer()));
    if (jpeg) {
      checkPixels(jpeg);
      const block = blockFor(jpeg.width, jpeg.height);
      const reduced = block > 1 ? reducedJpeg(new Uint8Array(await blob.arrayBuffer()), block) : null;
      if (reduced) return { picture: plain(upright(reduced, jpeg.orientation)), notes };
    }
    const bitmap = await bitmapOf(blob, known);
    checkPixels(bitmap);
    const { ground, notes: more } = jpeg ? { ground: 255, notes: [] } : groundOf(bitmap);
    const image = plain(pixelsOf(bitmap, jpeg ? blockFor(bitmap.width, bitmap.height) : 1, ground));
    bitmap.close();
    return { picture: image, notes: [...notes, ...more] };
  };

  const convert = ({ picture: given, notes }) => {
    if (given.height === size[0] && given.width === size[1]) {
      const coloured = shape.length === 2 && given.channels === 3;
      const image = shape.length === 3 ? rgbBytes(given) : greyBytes(given);
      const step = { name: "model", note: "it has the model's size, and goes in as it is", picture: image };
      return told({ steps: [step], image }, { cutOut: false, notes: coloured ? [...notes, "converted from colour to grey."] : notes });
    }
    if (!how) throw new PictureError(photo.note);
    if (!style) return told(convertWhole(given, how, shape), { cutOut: false, notes });
    checkHasForeground(given);
    return told(convertForeground(given, style, shape), { cutOut: true, notes });
  };

  const drawn = ({ strokes, fills = null }) => {
    if (!drawing) throw new PictureError(pen.why_not);
    return told(convertDrawing(strokes, fills, drawing, shape), { cutOut: false, notes: [] });
  };
  return { read, convert, drawn, shown };
};
