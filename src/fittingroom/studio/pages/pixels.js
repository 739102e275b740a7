// Maps of pixels and pictures of weights: what speaks for is blue, what speaks against is orange, nothing is the paper.

import { element } from "./dom.js";

const rgb = (name) => {
  const probe = element("span", { style: { color: `var(${name})` }, hidden: false });
  document.body.append(probe);
  const found = getComputedStyle(probe).color.match(/[\d.]+/g).slice(0, 3).map(Number);
  probe.remove();
  return found;
};

const painted = (values, width, height, steps) => {
  const [paper, plus, minus] = ["--surface", "--training", "--validation"].map(rgb);
  const canvas = element("canvas", { width, height });
  const pen = canvas.getContext("2d");
  const image = pen.createImageData(width, height);
  for (let at = 0; at < width * height; at++) {
    const share = Math.min(Math.abs(values[at]) / steps, 1);
    const colour = values[at] < 0 ? minus : plus;
    for (let channel = 0; channel < 3; channel++) image.data[4 * at + channel] = paper[channel] + share * (colour[channel] - paper[channel]);
    image.data[4 * at + 3] = 255;
  }
  pen.putImageData(image, 0, 0);
  return canvas;
};

// Places of a photo, each as large as the part of it that it stands for, laid over the photo in grey.
const overPicture = (found, picture, width, height) => {
  const [plus, minus] = ["--training", "--validation"].map(rgb);
  const canvas = element("canvas", { width, height });
  const pen = canvas.getContext("2d");
  const paint = () => {
    const [wide, high] = [width / found.width, height / found.height];
    pen.filter = "grayscale(1)";
    pen.drawImage(picture, 0, 0, width, height);
    pen.filter = "none";
    found.values.forEach((value, at) => {
      pen.fillStyle = `rgba(${(value < 0 ? minus : plus).join(",")},${0.75 * Math.min(Math.abs(value) / found.steps, 1)})`;
      pen.fillRect((at % found.width) * wide, Math.floor(at / found.width) * high, wide, high);
    });
  };
  if (picture.complete && picture.naturalWidth) paint();
  else picture.addEventListener("load", paint, { once: true });
  return canvas;
};

// `picture` is an image element that shows the image in this size.
export const drawPixels = (found, width, height, picture) => {
  const canvas = found.kind === "places" ? overPicture(found, picture, width, height) : painted(found.values, found.width, found.height, found.steps);
  canvas.className = "sharp pixel-map";
  Object.assign(canvas.style, { width: `${width}px`, height: `${height}px` });
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", found.kind === "places" ? "Map of the places" : "Map of the pixels");
  const key = found.kind === "gradient" ? [element("span", { class: "key plus" }, "moves it most")] : [element("span", { class: "key plus" }, "speaks for it"), element("span", { class: "key minus" }, "speaks against it")];
  return element("div", { class: "pixel-view" }, canvas, element("p", { class: "keys small" }, key));
};

// The pictures of a dense first layer's weights, side by side.
export const weightPictures = ({ arrays, units, classes, of }, names) => {
  const [count, height, width] = arrays.weights.shape;
  const factor = Math.max(Math.floor(56 / Math.max(width, height)), 1);
  const all = Array.from({ length: count }, (_, unit) => {
    const canvas = painted(arrays.weights.subarray(unit * width * height, (unit + 1) * width * height), width, height, 127);
    canvas.className = "sharp";
    Object.assign(canvas.style, { width: `${factor * width}px`, height: `${factor * height}px` });
    canvas.title = classes ? names[units[unit]] : `unit ${units[unit] + 1}`;
    return canvas;
  });
  const text = classes
    ? "This model has no hidden layer: each picture is what its class adds up, pixel by pixel."
    : `The weights of ${count} of ${of} units of the first layer, those with the largest first. Blue pixels switch a unit on, orange ones off.`;
  return [element("p", { class: "small muted" }, text), element("div", { class: "images" }, all)];
};
