// Understand: what a run gets wrong, and why. One selection links the map, the matrix, the images and the curves.

import { answersOf } from "./answers.js";
import { unpacked } from "./binary.js";
import { courseOf } from "./course.js";
import { galleryOf } from "./gallery.js";
import { groupsOf } from "./groups.js";
import { imagePanel } from "./image.js";
import { mapPanel } from "./map_panel.js";
import { matrixOf } from "./matrix.js";
import { readOutcomes } from "./outcomes.js";
import { weightPictures } from "./pixels.js";
import { CLEARED, SORTS, isEmpty, readSelection, selected, sentence, wordsOf } from "./selection.js";
import { placesOf } from "./places.js";
import { pictureSource } from "./thumbnails.js";

export const aboutOneRun = true;

const nothing = (app) => {
  app.command("fittingroom train", ["import fittingroom as fr", "run = fr.train()"]);
  app.nothing("No run yet", "A run is what a training leaves. The first one takes a few seconds.", app.element("a", { class: "button main", href: app.link("train") }, "Train one"));
};

// What cannot be looked at says why: a training under way, a run without validation images, a damaged file.
const unavailable = (app, run, { code, message }) => {
  // It opens by itself when the training ends.
  const look = async ({ changed }) => {
    if (changed.includes(run) && !(await app.get(`/api/runs/${encodeURIComponent(run)}/answers`)).unavailable) app.again();
  };
  if (code === "in_training") app.events({ runs: app.act(look) });
  app.command("fittingroom runs", ["import fittingroom as fr", `run = fr.open_run(${JSON.stringify(run)})`]);
  const [view, text] = code === "in_training" ? ["train", "Watch it train"] : ["runs", "Choose another run"];
  app.nothing(code === "in_training" ? "Not finished yet" : "Nothing to look at here", app.named(message), app.element("a", { class: "button", href: app.link(view) }, text));
};

export async function show(app, query) {
  const run = app.run(query);
  if (run === null) return nothing(app);
  const base = `/api/runs/${encodeURIComponent(run)}`;
  app.loading(`Reading ${run}`);
  const [outcomes, answers] = await Promise.all([app.get(`${base}/outcomes`), app.get(`${base}/answers`)]);
  if (answers.unavailable) return unavailable(app, run, answers.unavailable);
  return new View(app, run, readOutcomes(outcomes), answers).start(query);
}

class View {
  constructor(app, run, data, { topics, lists }) {
    Object.assign(this, { app, run, data, topics, lists });
    this.pictures = pictureSource(data);
    this.places = placesOf(app, run);
    this.state = null;
  }

  async start(query) {
    const { app, data } = this;
    this.map = mapPanel(app, data, this.pictures, this.places, { open: this.open, outline: (lasso) => this.select({ lasso }), arranged: this.arranged, chosen: (map) => app.go({ map, lasso: null }) });
    this.matrix = matrixOf(data, this.select);
    this.groups = groupsOf(data, this.select, (list) => this.select({ list }, true), this.lists);
    this.gallery = galleryOf(data, this.pictures, { open: this.open, clear: this.clear, sort: (sort) => app.go({ sort }) });
    this.image = imagePanel(app, data, this.pictures, this.places, { open: this.open, close: () => app.go({ image: null }), step: this.step, setRow: this.setRow });
    this.loss = courseOf("Loss, in nats", data.names, { go: this.setRow, format: (value, digits) => value.toFixed(digits) });
    this.right = courseOf("Share that is right", data.names, { go: this.setRow, format: (value, digits) => `${(100 * value).toFixed(Math.max(digits - 2, digits === 3 ? 1 : 0))}%`, limits: [0, 1] });
    app.main.replaceChildren(...this.layout());
    this.everything = data.courses(null);
    addEventListener("keydown", this.keys);
    app.status(this.told());
    this.apply(query);
    await this.map.start();
    return { update: (next) => this.update(next), leave: () => this.leave() };
  }

  layout() {
    const { app, data } = this;
    const { element } = app;
    this.slider = element("input", { type: "range", min: "0", max: String(data.rows - 1), step: "1", id: "epoch", oninput: () => this.setRow(Number(this.slider.value), true) });
    this.epochName = element("output", { for: "epoch" });
    const slider = element("div", { class: "epoch-slider", hidden: data.rows < 2 }, element("label", { for: "epoch" }, "After"), this.slider, this.epochName);
    const matrix = element("section", { class: "panel matrix-panel", "aria-labelledby": "matrix-title" }, element("h2", { id: "matrix-title" }, "Confusion matrix"), slider, this.groups.node, this.matrix.node);
    const side = element("div", { class: "understand-side" }, this.gallery.node, this.image.node);
    const curves = element("section", { class: "panel curves-panel", "aria-label": "Curves" }, this.loss.node, this.right.node);
    // A classifier that was fitted in one go has neither a course nor layers.
    const below = element("div", { class: "understand-below" }, answersOf(this.topics), data.has_epochs ? [curves, this.weights()] : []);
    return [(this.grid = element("div", { class: "understand" }, element("div", { class: "understand-main" }, this.map.node, matrix), side, below))];
  }

  // The weights are asked for when somebody wants to see them: Keras takes seconds to start.
  weights() {
    const { app, data } = this;
    const body = app.element("div", null, app.element("p", { class: "muted" }, "Reading the weights …"));
    const load = app.act(async () => {
      const found = await app.get(`${this.pictures.base}/weights`);
      body.replaceChildren(...(found.unavailable ? [app.element("p", { class: "muted" }, app.named(found.unavailable.message))] : weightPictures(unpacked(found), data.classes)));
    });
    const node = app.element("details", { class: "panel weights-panel" }, app.element("summary", null, "What the first layer looks for"), body);
    node.addEventListener("toggle", () => node.open && load(), { once: true });
    return node;
  }

  told() {
    const { data } = this;
    const parts = [`${this.app.number(data.count)} validation images`];
    if (data.seeds > 1) parts.push(`seed ${data.seed}, the one with the median loss of ${data.seeds}`);
    if (data.epochs.length < data.all_epochs) parts.push(`${data.epochs.length} of ${data.all_epochs} epochs`);
    if (data.left_out.length) parts.push(`without epoch ${data.left_out.join(", ")}, whose losses are not finite`);
    if (data.no_pictures) parts.push(`no pictures: ${data.no_pictures}`);
    return parts.join(" · ");
  }

  update(query) {
    if (this.app.run(query) !== this.run) return this.another(this.app.run(query));
    this.apply(query);
  }

  // Another run on the same dataset keeps the selection, so that both can be compared; an outline belongs to one map.
  another(run) {
    const datasetOf = (name) => this.app.frame.runs.find((one) => one.name === name)?.dataset;
    const gone = datasetOf(run) === datasetOf(this.run) ? { lasso: null } : { ...CLEARED, image: null, epoch: null };
    this.app.go(gone, { replace: true });
    return this.app.again();
  }

  // Everything that is shown follows from the address.
  apply(query) {
    const { data, lists } = this;
    const row = data.row(query.epoch);
    const from = Math.max(Math.min(row, data.epochs.length) - 1, 0);
    const kind = this.map.kind(query.map);
    const selection = readSelection(query, data, lists);
    const number = /^\d+$/.test(query.image ?? "") ? Number(query.image) : NaN;
    const image = number < data.count ? number : null;
    const sort = query.sort in SORTS ? query.sort : "surest";
    const opened = image !== null && image !== this.state?.image;
    this.state = { query, row, from, kind, selection, image, sort };
    const empty = isEmpty(selection);
    const at = (one) => this.places.at(one, kind);
    const found = empty ? selected(data, { ...CLEARED, group: "wrong" }, { row, from, lists, places: { at } }) : selected(data, selection, { row, from, lists, places: { at } });
    const words = wordsOf(selection, data, row, from);
    this.slider.value = row;
    this.epochName.textContent = data.titleOf(row);
    this.slider.setAttribute("aria-valuetext", data.titleOf(row));
    this.matrix.update(row, selection);
    this.groups.update(row, from, selection);
    this.gallery.update(found, words, { row, image, sort, empty, listed: selection.list !== null });
    this.grid.classList.toggle("with-image", image !== null);
    this.image.update(image, row);
    this.map.update({ row, chosen: empty ? null : found, opened: image, lasso: selection.lasso }, kind);
    this.showCourses(empty ? null : found, row);
    this.showCommand();
    if (opened) this.bringIntoView();
  }

  // An image that was opened on the map of a phone lies below the screen.
  bringIntoView() {
    this.gallery.bringIntoView();
    const { top } = this.image.node.getBoundingClientRect();
    if (top > innerHeight - 160 || top < 0) this.gallery.node.scrollIntoView({ block: "start" });
  }

  showCourses(found, row) {
    const { data, everything } = this;
    const own = found?.length ? data.courses(found) : null;
    const lines = (name) => [
      ...(name === "loss" && data.training_loss ? [{ name: "training", kind: "c-training dashed", values: data.training_loss }] : []),
      { name: "validation", kind: "c-validation", values: everything.map((one) => one[name]) },
      ...(own ? [{ name: "selection", kind: "of-selection", values: own.map((one) => one[name]) }] : []),
    ];
    this.loss.update(lines("loss"), row);
    this.right.update(lines("right"), row);
  }

  showCommand() {
    const { data, run, state } = this;
    const { selection, row } = state;
    const name = /^[\w.+-]+$/.test(run) ? run : `'${run.replaceAll("'", "'\\''")}'`;
    const kept = data.names[row] === "kept";
    const predicted = kept ? "found.kept.predicted" : `found.predicted[list(found.epoch).index(${data.names[row] - 1})]`;
    const tests = [
      ...(selection.label === null ? [] : [`(found.labels == ${selection.label})`]),
      ...(selection.predicted === null ? [] : [`(predicted == ${selection.predicted})`]),
    ];
    const which = tests.length ? tests.join(" & ") : "predicted != found.labels";
    const one = data.seeds > 1 ? `next(one for one in run if one.record.seed == ${data.seed})` : "run";
    this.app.command(`fittingroom explain ${name}`, [
      "import fittingroom as fr",
      `run = fr.open_run(${JSON.stringify(run)})`,
      "print(run.explain())",
      `found = ${one}.outcomes`,
      `predicted = ${predicted}`,
      `print((${which}).nonzero()[0])`,
    ]);
  }

  select = (change, keep = false) => {
    const old = this.state.selection;
    const same = Object.entries(change).every(([key, value]) => String(old[key]) === String(value)) && !keep;
    // A second press on what is chosen lets go of it. A class in the matrix is chosen afresh, the rest is added to it.
    const classes = "label" in change || "predicted" in change ? { label: null, predicted: null } : {};
    const next = same ? Object.fromEntries(Object.keys(change).map((key) => [key, null])) : { ...(keep ? {} : classes), ...change };
    this.app.go({ ...next, ...("lasso" in next ? {} : {}), image: null });
  };
  clear = () => this.app.go({ ...CLEARED });
  open = (image) => this.app.go({ image });
  step = (by) => {
    const { images } = this.gallery;
    const at = images.indexOf(this.state.image);
    if (images.length) this.open(images[at < 0 ? 0 : (at + by + images.length) % images.length]);
  };
  // While the slider is dragged, the address changes in place; each step is not one to go back to.
  setRow = (row, dragged = false) => {
    const epoch = row === this.data.shown ? null : this.data.names[row];
    this.app.go({ epoch }, { replace: dragged });
    if (dragged) this.apply({ ...this.state.query, epoch: epoch ?? undefined });
  };
  arranged = () => {
    this.image.showNeighbours();
    this.apply(this.state.query);
  };
  keys = (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = event.target.closest?.("input, select, textarea");
    if (event.key === "Escape") {
      if (this.state.image !== null) this.app.go({ image: null });
      else if (!isEmpty(this.state.selection)) this.clear();
    } else if ((event.key === "ArrowRight" || event.key === "ArrowLeft") && this.state.image !== null && !typing) {
      event.preventDefault();
      this.step(event.key === "ArrowRight" ? 1 : -1);
    }
  };
  leave() {
    removeEventListener("keydown", this.keys);
    for (const part of [this.map, this.image, this.loss, this.right]) part.leave();
  }
}

export { sentence };
