// Thumbnails, cut out of sheets of 1,024 that are loaded when one of them is first needed.

import { element } from "./dom.js";

export const pictureSource = (data) => {
  const sheets = data.sheets;
  const loaded = new Map();
  const base = `/api/runs/${encodeURIComponent(data.run)}`;

  const cut = (image) => {
    const place = data.place(image);
    if (place < 0) return null;
    const [sheet, at] = [Math.floor(place / sheets.each), place % sheets.each];
    return { sheet, column: at % sheets.columns, row: Math.floor(at / sheets.columns) };
  };
  const rowsOf = (sheet) => Math.ceil(Math.min(sheets.pictures - sheet * sheets.each, sheets.each) / sheets.columns);
  const address = (sheet) => `${base}/sheets/${sheet}`;

  // Small pictures are drawn at whole multiples of their size, larger ones fitted into `size` pixels.
  const sizeFor = (size, width = sheets.width, height = sheets.height) => {
    const factor = size / Math.max(width, height);
    const whole = factor >= 1 ? Math.max(Math.floor(factor + 0.01), 1) : factor;
    return { width: Math.round(width * whole), height: Math.round(height * whole), sharp: factor >= 1 };
  };

  return {
    base,
    sizeFor,
    // An element that shows an image about `size` pixels large; empty where there is no picture of it.
    thumb(image, size) {
      const found = sheets && cut(image);
      if (!found) return element("span", { class: "thumbnail missing", style: { width: `${size}px`, height: `${size}px` } }, String(image));
      const { width, height, sharp } = sizeFor(size);
      const node = element("span", { class: sharp ? "thumbnail sharp" : "thumbnail", "aria-hidden": "true" });
      Object.assign(node.style, {
        width: `${width}px`,
        height: `${height}px`,
        backgroundImage: `url("${address(found.sheet)}")`,
        backgroundSize: `${width * sheets.columns}px ${height * rowsOf(found.sheet)}px`,
        backgroundPosition: `${-width * found.column}px ${-height * found.row}px`,
      });
      return node;
    },
    // For a canvas: [sheet, x, y, width, height], or null while the sheet is on its way; then `later` is called.
    cutFor(image, later) {
      const found = sheets && cut(image);
      if (!found) return null;
      if (!loaded.has(found.sheet)) {
        const sheet = new Image();
        loaded.set(found.sheet, sheet);
        sheet.onload = later;
        sheet.src = address(found.sheet);
      }
      const sheet = loaded.get(found.sheet);
      if (!sheet.complete || !sheet.naturalWidth) return null;
      return [sheet, found.column * sheets.width, found.row * sheets.height, sheets.width, sheets.height];
    },
    // The image itself, at a whole multiple of its pixels.
    picture(image, size) {
      const { width, height, sharp } = sizeFor(size, sheets.own_width, sheets.own_height);
      return element("img", { src: `${base}/images/${image}/picture`, class: sharp ? "sharp" : null, width, height, alt: "" });
    },
  };
};
