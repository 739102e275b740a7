// The images of the explorer: what is known of each, and its thumbnail.
const chosen = facts.explorer;
const images = chosen ? readImages(chosen) : null;

function readImages(given) {
  // A row for each epoch; a last one for the kept weights where no epoch says the same.
  const rows = given.rows;
  const predicted = pairsOfBytes(given.predicted);
  const losses = pairsOfBytes(given.loss);
  const classes = pairsOfBytes(given.keptClasses);
  const probabilities = bytes(given.probabilities);
  return {
    count: given.index.length,
    rows,
    label: (image) => given.label[image],
    predicted: (image, row) => predicted[image * rows + row],
    right: (image, row) => predicted[image * rows + row] === given.label[image],
    loss: (image, row) => losses[image * rows + row] / given.lossSteps,
    // The classes whose probabilities are kept, each with its course over the epochs.
    courses: (image) =>
      Array.from({ length: given.kept }, (_, at) => {
        const start = (image * given.kept + at) * rows;
        return {
          label: classes[image * given.kept + at],
          shares: Array.from(probabilities.subarray(start, start + rows), (value) => value / 255),
        };
      }),
    confidence(image, row) {
      const taken = this.predicted(image, row);
      const at = Array.from({ length: given.kept }, (_, kept) => classes[image * given.kept + kept]).indexOf(taken);
      return at < 0 ? null : probabilities[(image * given.kept + at) * rows + row] / 255;
    },
  };
}

function group(image) {
  const start = chosen.epochs.indexOf(pair.start);
  const end = chosen.epochs.indexOf(pair.end);
  const before = images.right(image, start);
  const after = images.right(image, end);
  if (before === after) return after ? "stayed right" : "stayed wrong";
  return after ? "became right" : "became wrong";
}

function describe(image, row) {
  const truth = facts.classes[images.label(image)];
  const confidence = images.confidence(image, row);
  const sure = confidence === null ? "" : `, ${percent(confidence)} sure`;
  if (images.right(image, row)) return `${truth}, recognised${sure}`;
  return `${truth}, taken for ${facts.classes[images.predicted(image, row)]}${sure}`;
}

function setThumb(thumb, image) {
  const sheet = chosen.sheet;
  if (!sheet) {
    thumb.hidden = true;
    return;
  }
  const column = image % sheet.columns;
  const row = Math.floor(image / sheet.columns);
  thumb.style.setProperty("--columns", sheet.columns);
  thumb.style.setProperty("--rows", sheet.rows);
  thumb.style.setProperty("--ratio", sheet.ratio);
  const down = sheet.rows > 1 ? (100 * row) / (sheet.rows - 1) : 0;
  thumb.style.backgroundPosition = `${(100 * column) / (sheet.columns - 1)}% ${down}%`;
}

// A button with the picture of an image; `shown` are the images beside it, for going on to the next.
// The file that an image came from, or its place among the validation images.
function nameOf(image) {
  return chosen.files ? chosen.files[image] : String(chosen.index[image]);
}

function shot(image, shown) {
  const row = chosen.shown;
  const button = element("button", undefined, `shot ${group(image).replace(" ", "-")}`);
  button.type = "button";
  button.dataset.image = image;
  button.setAttribute("aria-label", `Image ${nameOf(image)}: ${describe(image, row)}`);
  if (chosen.files) button.title = nameOf(image);
  const thumb = element("span", undefined, "thumb");
  setThumb(thumb, image);
  const names = element("span", undefined, "names");
  names.append(element("bdi", facts.classes[images.label(image)]));
  if (!images.right(image, row)) {
    const taken = element("span", "→ ");
    taken.append(element("bdi", facts.classes[images.predicted(image, row)]));
    names.append(taken);
  }
  const confidence = images.confidence(image, row);
  button.append(thumb, names, element("span", confidence === null ? "" : percent(confidence), "muted"));
  button.addEventListener("click", () => openDetail(image, shown));
  return button;
}
