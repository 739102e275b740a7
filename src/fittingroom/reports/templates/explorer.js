// The explorer and the confusion matrix: both choose images and show them.
const STEP = 60;
let most = STEP;

function startExplorer() {
  const form = byId("filters");
  if (!form || !images) return;
  const again = () => {
    most = STEP;
    showImages();
  };
  form.addEventListener("change", again);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(again));
  byId("more").addEventListener("click", showMore);
  watchers.push(() => {
    if (byId("by-group")) {
      byId("group-start").textContent = pair.start;
      byId("group-end").textContent = pair.end;
    }
    showImages();
  });
  for (const cell of document.querySelectorAll(".matrix .cell")) cell.addEventListener("click", () => showCell(cell));
}

function showMore() {
  const before = most;
  most += STEP;
  showImages();
  byId("gallery").children[before]?.focus();
}

function filtered() {
  const value = (id) => byId(id)?.value ?? "";
  const [label, predicted, inGroup] = [value("by-label"), value("by-predicted"), value("by-group")];
  const [low, high] = value("by-confidence") ? value("by-confidence").split(",").map(Number) : [-1, 2];
  const list = value("by-list");
  const all = Array.from({ length: images.count }, (_, image) => image);
  const ordered = list
    ? chosen.lists[Number(list)].images
    : all.sort((one, other) => images.loss(other, chosen.shown) - images.loss(one, chosen.shown));
  return ordered.filter((image) => {
    const confidence = images.confidence(image, chosen.shown);
    return (
      (!label || images.label(image) === Number(label)) &&
      (!predicted || images.predicted(image, chosen.shown) === Number(predicted)) &&
      (!inGroup || group(image) === inGroup) &&
      (low < 0 || (confidence !== null && confidence > low && confidence <= high))
    );
  });
}

function showImages() {
  const found = filtered();
  const list = byId("by-list").value;
  const rule = list ? `: ${chosen.lists[Number(list)].rule}` : ", largest loss first";
  byId("images-status").textContent = `${number(found.length)} of ${number(images.count)} images${rule}.`;
  byId("gallery").replaceChildren(...found.slice(0, most).map((image) => shot(image, found)));
  byId("more").hidden = found.length <= most;
}

function showCell(cell) {
  const [label, predicted, count] = [Number(cell.dataset.label), Number(cell.dataset.predicted), Number(cell.textContent)];
  const all = Array.from({ length: images.count }, (_, image) => image);
  const found = all
    .filter((image) => images.label(image) === label && images.predicted(image, chosen.shown) === predicted)
    .sort((one, other) => images.loss(other, chosen.shown) - images.loss(one, chosen.shown));
  for (const other of document.querySelectorAll(".matrix .cell[aria-pressed]")) other.removeAttribute("aria-pressed");
  cell.setAttribute("aria-pressed", "true");
  const how = label === predicted ? "recognised" : `taken for ${facts.classes[predicted]}`;
  const part = found.length < count ? `${number(found.length)} of ${number(count)}` : number(count);
  byId("cell-title").textContent = `${facts.classes[label]}, ${how}: ${part} image${count === 1 ? "" : "s"}`;
  byId("cell-gallery").replaceChildren(...found.map((image) => shot(image, found)));
  byId("cell").hidden = false;
  byId("cell").focus();
}
