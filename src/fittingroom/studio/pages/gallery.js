// The images of the selection: told in words at the top, each a button that opens it.

import { element, named, number } from "./dom.js";
import { sure } from "./outcomes.js";
import { SORTS, sorted } from "./selection.js";

const STEP = 60;

export const galleryOf = (data, pictures, { open, clear, sort }) => {
  const title = element("h2", { id: "selection-title", "aria-live": "polite" });
  const cleared = element("button", { type: "button", class: "quiet", title: "Escape", onclick: clear }, "Clear");
  const order = element("select", { "aria-label": "Order of the images", onchange: () => sort(order.value) }, Object.entries(SORTS).map(([value, text]) => element("option", { value }, text)));
  const shots = element("div", { class: "shots" });
  const more = element("button", { type: "button", onclick: () => (append(shown + STEP), shots.children[shown - STEP]?.focus()) }, "Show more");
  const node = element("section", { class: "panel selection", "aria-labelledby": "selection-title" }, element("header", null, title, cleared), order, shots, more);
  let [images, row, opened, shown, before] = [[], 0, null, 0, null];

  const shot = (image) => {
    const right = data.right(image, row);
    const [truth, taken] = [data.classes[data.labels[image]], data.classes[data.predicted(image, row)]];
    const confidence = data.confidence(image, row);
    const line = (name, share, kind) => element("span", { class: `answer ${kind}` }, named(name), share === null ? null : element("b", null, sure(share)));
    const lines = right ? [line(truth, confidence ?? data.probability(image, row), "is-right")] : [line(taken, confidence, "is-wrong"), line(truth, data.probability(image, row), "truth")];
    const told = right ? `${truth}, recognised` : `${truth}, taken for ${taken}`;
    return element("button", { type: "button", class: "shot-button", data: { image }, "aria-label": `Image ${image}: ${told}${confidence === null ? "" : `, ${sure(confidence)} sure`}`, "aria-current": image === opened ? "true" : null, onclick: () => open(image) }, pictures.thumb(image, 84), lines);
  };
  const append = (most) => {
    const from = shots.children.length;
    shown = Math.min(most, images.length);
    shots.append(...images.slice(from, shown).map(shot));
    more.hidden = shown >= images.length;
  };
  // Nothing moves where only another image is open.
  const mark = () => {
    const at = images.indexOf(opened);
    if (at >= shown) append(Math.ceil((at + 1) / STEP) * STEP);
    for (const one of shots.children) {
      if (Number(one.dataset?.image) === opened && opened !== null) one.setAttribute("aria-current", "true");
      else one.removeAttribute("aria-current");
    }
  };
  return {
    node,
    get images() {
      return images;
    },
    update(found, words, state) {
      [row, opened] = [state.row, state.image];
      images = sorted(found, state.listed ? null : state.sort, data, row);
      const name = words.classes.length ? [...words.classes.map((text) => named(text)), words.rest && `, ${words.rest}`] : [words.rest ? words.rest[0].toUpperCase() + words.rest.slice(1) : "Mistakes"];
      title.replaceChildren(...name.filter(Boolean), `: ${number(images.length)}`);
      cleared.hidden = state.empty;
      order.value = state.sort;
      order.hidden = state.listed;
      const same = before === `${row} ${images.join()}` && shots.childElementCount;
      before = `${row} ${images.join()}`;
      if (same) return mark();
      shots.replaceChildren();
      append(STEP);
      if (!images.length) shots.append(element("p", { class: "muted" }, state.empty ? `No mistakes ${data.after(row)}.` : `No image fits ${data.after(row)}.`));
    },
    // Scrolls the row of images to the one that is open, and nothing else.
    bringIntoView() {
      const one = shots.querySelector("[aria-current]");
      if (one) shots.scrollLeft = one.offsetLeft - shots.offsetLeft - (shots.clientWidth - one.clientWidth) / 2;
    },
  };
};
