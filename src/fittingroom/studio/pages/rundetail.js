// A run opened in the table: where to go with it, what people write about it, and deleting it.

import { element, named } from "./dom.js";
import { COLUMNS, sizeText } from "./runtable.js";

const field = (label, control, hint) =>
  element("div", { class: "field" }, element("label", { for: control.id }, label), control, hint ? element("p", { class: "hint" }, hint) : null);

const written = (app, row, saved) => {
  const title = element("input", { type: "text", id: "run-title", maxlength: 80, placeholder: row.name });
  const tags = element("input", { type: "text", id: "run-tags", placeholder: "best, class 7b" });
  const notes = element("textarea", { id: "run-notes", rows: 3, maxlength: 4000 });
  [title.value, tags.value, notes.value] = [row.title, row.tags.join(", "), row.notes];
  const done = element("span", { class: "muted", role: "status" });
  const save = async (event) => {
    event.preventDefault();
    const list = tags.value.split(",").map((tag) => tag.trim()).filter(Boolean);
    await app.put(`/api/runs/${encodeURIComponent(row.name)}/notes`, { title: title.value, notes: notes.value, tags: list });
    done.textContent = "Kept.";
    await saved();
  };
  const form = element("form", { data: { run: row.name }, onsubmit: app.act(save), oninput: () => (done.textContent = "") },
    field("Title", title, "Shown in place of the folder's name, which stays."), field("Tags, with commas between", tags), field("Notes", notes),
    element("p", { class: "buttons" }, element("button", { type: "submit" }, "Keep"), done));
  return form;
};

const read = (row) => (row.notes ? element("p", { class: "note-text" }, named(row.notes)) : null);

const originOf = (row) => {
  if (!row.origin) return null;
  const { source, notes, claimed, found, looks } = row.origin;
  const text = `Its validation accuracy was computed again from its weights: ${(100 * found).toFixed(1)}%${claimed === null ? "" : `, as claimed: ${(100 * claimed).toFixed(1)}%`}.`;
  return element("div", { class: "origin" },
    element("p", null, "Imported from ", named(source), ". ", notes.length ? null : text),
    notes.map((note) => element("p", { class: "warning" }, named(note))),
    looks ? element("p", { class: "muted" }, `Its author looked at a test set ${looks === 1 ? "once" : `${looks} times`}; here it has not been scored by that.`) : null);
};

export const detailOf = (app, row, { saved, remove }) => {
  const mine = app.role === "owner";
  const finished = row.seeds > 0 && !["training", "unfinished", "unreadable"].includes(row.status);
  const ways = finished
    ? [["understand", "See its mistakes"], ["try", "Show it a drawing"], ["test", "Test set"], ["audit", "Audit"]]
        .filter(([view]) => mine || view !== "test")
        .map(([view, label]) => element("a", { class: "button", href: app.link(view, { run: row.name }) }, label))
    : row.status === "unreadable" ? [] : [element("a", { class: "button", href: app.link("train", { run: row.name }) }, "See the training")];
  const place = `/api/runs/${encodeURIComponent(row.name)}`;
  const cards = mine && finished
    ? element("p", { class: "muted" }, "To pass it on: ", element("a", { href: `${place}/model-card`, download: "README.md" }, "model card"), ", ",
        element("a", { href: `${place}/data-card`, download: "croissant.json" }, "data card"), ".")
    : null;
  const facts = element("p", { class: "muted run-facts" },
    [`${row.epochs || 0} epochs`, row.loss === null ? null : `loss ${row.loss.toFixed(4)} nats`, sizeText(row.size), named(row.name)].filter(Boolean).flatMap((one, at) => (at ? [" · ", one] : [one])));
  const side = element("div", { class: "side" },
    element("p", { class: "buttons" }, ways), facts, cards, row.error ? element("p", { class: "warning" }, named(row.error)) : null, originOf(row),
    mine ? element("p", null, element("button", { type: "button", class: "quiet delete", disabled: row.status === "training", onclick: app.act(remove) }, "Delete"),
      element("span", { class: "muted" }, row.status === "training" ? " Stop the training first." : " goes to the trash, and comes back whole.")) : null);
  return element("tr", { class: "detail" }, element("td", { colspan: Object.keys(COLUMNS).length + 1 }, element("div", { class: "detail-box" }, mine ? written(app, row, saved) : read(row), side)));
};
