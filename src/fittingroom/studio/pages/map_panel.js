// The map with its buttons: how the images are placed, zoom, the outline, and how far the computing is.

import { mapOf } from "./map.js";
import { placesOf, progressOf } from "./places.js";

export { placesOf };

export const mapPanel = (app, data, pictures, places, { open, outline, arranged, chosen }) => {
  const { element } = app;
  const map = mapOf(data, pictures, { open, outline });
  const progress = progressOf();
  const words = element("p", { class: "muted small map-words" });
  const kinds = { pca: "PCA", tsne: "t-SNE" };
  const choices = Object.entries(kinds).map(([kind, text]) => element("button", { type: "button", class: "quiet", "aria-pressed": "false", disabled: true, data: { kind }, onclick: () => chosen(kind) }, text));
  const button = (text, label, work) => element("button", { type: "button", class: "quiet", "aria-label": label, title: label, onclick: work }, text);
  const lasso = button("Outline", "Draw an outline round images (or drag with Shift)", () => {
    const on = lasso.getAttribute("aria-pressed") !== "true";
    lasso.setAttribute("aria-pressed", String(on));
    map.setLassoing(on);
  });
  lasso.setAttribute("aria-pressed", "false");
  const tools = element("div", { class: "map-tools" }, element("span", { class: "segmented", role: "group", "aria-label": "How the images are placed" }, choices), element("span", null, lasso, button("+", "Zoom in", () => map.zoom(1.6)), button("−", "Zoom out", () => map.zoom(1 / 1.6)), button("All", "Show all images", map.fit)));
  const legend = element("ul", { class: "legend map-legend", "aria-hidden": "true" }, element("li", { class: "is-right" }, "● right"), element("li", { class: "is-wrong" }, "✕ wrong"));
  const node = element("section", { class: "panel map-panel", "aria-labelledby": "map-title" }, element("header", null, element("h2", { id: "map-title" }, "Map"), legend), tools, element("div", { class: "map-holder" }, map.canvas, map.tip, progress.node), words);
  let [current, wanted] = [null, null];

  const shownKind = (asked) => (kinds[asked] && places.found[asked] ? asked : places.found.tsne && asked !== "pca" && wanted !== "pca" ? "tsne" : "pca");
  const place = (kind) => {
    for (const one of choices) {
      one.disabled = !places.found[one.dataset.kind];
      one.setAttribute("aria-pressed", String(one.dataset.kind === kind && !one.disabled));
    }
    if (!places.found[kind] || current === `${kind} ${places.found[kind].length}`) return;
    current = `${kind} ${places.found[kind].length}`;
    map.setPlaces(places.found[kind], places.found.index);
    words.textContent = places.words(kind);
    node.dataset.places = kind;
  };
  // A map that people look at stays as it is: t-SNE can be chosen when it is there, and does not come by itself.
  const heard = async (work) => {
    if (work.run !== data.run) return;
    progress.show(work);
    if ((work.places && !places.found.pca) || (work.state === "done" && !places.found.tsne)) {
      if (places.found.pca) wanted = "pca";
      await places.read();
      arranged();
    }
  };
  return {
    node,
    kind: shownKind,
    async start() {
      app.events({ map: app.act(heard) });
      await places.read();
      if (places.found.source !== null) arranged();
      if (!places.found.tsne) await heard(await places.begin());
    },
    update(changes, kind) {
      const among = changes.chosen === null ? null : new Uint8Array(data.count);
      for (const image of changes.chosen ?? []) among[image] = 1;
      place(kind);
      map.update({ ...changes, chosen: among });
    },
    leave: map.leave,
  };
};
