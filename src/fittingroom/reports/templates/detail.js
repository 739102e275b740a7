// One image: its picture, and the probabilities of its classes over the epochs.
const shownNow = { image: 0, among: [], courses: [] };

function startDetail() {
  const dialog = byId("detail");
  if (!dialog || !images) return;
  byId("detail-epoch").max = images.rows - 1;
  byId("detail-epoch").addEventListener("input", showEpoch);
  byId("detail-close").addEventListener("click", () => dialog.close());
  byId("detail-previous").addEventListener("click", () => step(-1));
  byId("detail-next").addEventListener("click", () => step(1));
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close(); // beside it
  });
}

function step(by) {
  const { image, among } = shownNow;
  openDetail(among[(among.indexOf(image) + by + among.length) % among.length], among);
}

function openDetail(image, among) {
  Object.assign(shownNow, { image, among, courses: images.courses(image) });
  const row = chosen.shown;
  byId("detail-title").textContent = describe(image, row);
  setThumb(byId("detail-picture"), image);
  byId("detail-picture").setAttribute("aria-label", `Picture of validation image ${nameOf(image)}`);
  byId("detail-epoch").value = row;
  drawCourses();
  showEpoch();
  if (!byId("detail").open) byId("detail").showModal();
}

function kind(label) {
  if (label === images.label(shownNow.image)) return "true";
  return label === images.predicted(shownNow.image, chosen.shown) ? "taken" : "";
}

function drawCourses() {
  const chart = byId("detail-chart");
  const wrong = !images.right(shownNow.image, chosen.shown);
  byId("detail-legend-wrong").hidden = !wrong;
  const { svg, x, y } = frameOf(chart);
  // The two that matter come last, above the others.
  const order = [...shownNow.courses].sort((one, other) => kind(one.label).length - kind(other.label).length);
  svg.querySelector(".stretched").replaceChildren(
    ...order.map(({ label, shares }) =>
      drawn("polyline", {
        class: `path ${kind(label)}`,
        points: chosen.epochs.map((epoch, row) => `${x(epoch)},${y(shares[row])}`).join(" "),
        "vector-effect": "non-scaling-stroke",
      }),
    ),
  );
  const truth = shownNow.courses.find(({ label }) => kind(label) === "true");
  chart.setAttribute(
    "aria-label",
    truth
      ? `Probability of the true class: ${percent(truth.shares[0])} after epoch ${chosen.epochs[0]}, ` +
          `${percent(truth.shares[chosen.epochs.length - 1])} after epoch ${chosen.epochs.at(-1)}. The table has all classes.`
      : "This run did not store the probabilities of its classes.",
  );
}

function showEpoch() {
  const { image, courses } = shownNow;
  const row = Number(byId("detail-epoch").value);
  const epoch = chosen.epochs[row];
  const when = epoch === undefined ? ", of the kept weights" : facts.hasEpochs ? `, after epoch ${epoch}` : "";
  byId("detail-epoch-value").textContent = epoch ?? "kept weights";
  byId("detail-epoch").setAttribute("aria-valuetext", epoch === undefined ? "kept weights" : `epoch ${epoch}`);
  mark(byId("detail-chart"), "mark-epoch", epoch ?? chosen.epochs.at(-1), "other");
  const taken = facts.classes[images.predicted(image, row)];
  byId("detail-facts").textContent =
    `Validation image ${nameOf(image)}${when}: loss ${images.loss(image, row).toFixed(3)} nats, ` +
    `predicted ${taken}, ${images.right(image, row) ? "right" : "wrong"}.`;
  byId("detail-rows").replaceChildren(...courses.map(({ label, shares }) => probability(label, shares[row])));
}

function probability(label, share) {
  const row = element("tr", undefined, kind(label));
  const name = element("th");
  name.scope = "row";
  name.append(element("bdi", facts.classes[label]));
  const bar = element("td");
  const svg = drawn("svg", { viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" });
  svg.append(drawn("rect", { width: 100 * share, height: 10 }));
  bar.append(svg);
  row.append(name, element("td", percent(share), "share"), bar);
  return row;
}
