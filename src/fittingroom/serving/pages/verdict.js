// The answer: a bar for each class, always in its place; the set as a bracket; what is unlike as a hatched band.

const ALL = 16; // up to so many classes have a bar each
const TOP = 12; // of more, the most likely

// Whole percent; neither certainty nor impossibility is ever claimed.
const percent = (share) => (share >= 0.995 ? "over 99%" : share < 0.005 ? "under 1%" : `${Math.round(100 * share)}%`);

const listed = (names) => (names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} or ${names.at(-1)}`);

// verdict(app, facts, waiting) → {node, show(answer), clear()}
export const verdict = (app, facts, waiting) => {
  const { element, named } = app;
  const many = facts.classes.length > ALL;
  const head = element("p", { class: "verdict", role: "status", "aria-live": "polite" });
  const why = element("p", { class: "why" });
  const like = element("p", { class: "like" }); // what an image that is unlike resembles most; its line is always there
  const band = element("div", { class: "band", "aria-hidden": "true", hidden: true });
  const rows = Array.from({ length: Math.min(facts.classes.length, many ? TOP : ALL) }, (_, at) => {
    const name = element("span", { class: "name" }, named(many ? "" : facts.classes[at]));
    const fill = element("span", { class: "bar-fill" });
    const share = element("span", { class: "chance" });
    const marks = ["run", "second"].map((whose) => element("span", { class: `alone ${whose}`, hidden: true }));
    return { row: element("li", null, name, element("span", { class: "track" }, fill, marks), share), name, fill, share, marks };
  });
  const legend = element("p", { class: "marks-legend", hidden: true }); // whose marks are on the bars
  const rest = element("p", { class: "hint", hidden: !many });
  const list = element("ol", { class: many ? "class-bars many" : "class-bars" }, rows.map(({ row }) => row));
  const node = element("div", null, head, like, element("div", { class: "bars-and-band" }, list, band), rest, legend, why);

  const set = (at, label, probability, inside, likeliest) => {
    const { row, name, fill, share } = rows[at];
    if (many) name.replaceChildren(named(facts.classes[label]));
    name.title = facts.classes[label];
    fill.style.setProperty("--part", probability.toFixed(4));
    share.textContent = percent(probability);
    row.className = [inside && "inside", likeliest && "likeliest"].filter(Boolean).join(" ");
  };

  // What each of two opinions says alone: a mark on each bar.
  const mark = (second, chosen = []) => {
    legend.hidden = !second;
    if (second) legend.replaceChildren(element("i", { class: "run" }), "the run ", element("i", { class: "second" }), named(second.by));
    rows.forEach(({ marks }, at) =>
      marks.forEach((one, place) => {
        const label = chosen[at]?.label;
        one.hidden = !second || label === undefined;
        if (!one.hidden) one.style.setProperty("--at", [second.run, second.probabilities][place][label].toFixed(4));
      }),
    );
  };

  const title = (answer) => {
    if (answer.unlike) return answer.second_opinion ? "None of its classes, or not sure" : "Unlike the training images";
    if (!answer.set.length) return "No class is likely enough";
    if (answer.set.length > 4) return `One of ${answer.set.length} classes`;
    return listed(answer.set);
  };

  const show = (answer) => {
    const order = answer.probabilities.map((probability, label) => ({ probability, label }));
    // Of many classes the likeliest are shown, in the order of the classes.
    const chosen = many
      ? [...order].sort((one, other) => other.probability - one.probability).slice(0, TOP).sort((one, other) => one.label - other.label)
      : order;
    const inside = new Set(answer.unlike ? [] : answer.set);
    chosen.forEach(({ probability, label }, at) =>
      set(at, label, probability, inside.has(facts.classes[label]), facts.classes[label] === answer.class),
    );
    mark(answer.second_opinion, chosen);
    rows.forEach(({ row }, at) => {
      const is = (place) => rows[place]?.row.classList.contains("inside");
      row.classList.toggle("first", is(at) && !is(at - 1));
      row.classList.toggle("last", is(at) && !is(at + 1));
    });
    if (many) {
      const left = 1 - chosen.reduce((sum, { probability }) => sum + probability, 0);
      rest.textContent = `and ${facts.classes.length - TOP} classes more, together ${percent(Math.max(left, 0))}`;
    }
    head.replaceChildren(named(title(answer)));
    band.hidden = !answer.unlike;
    like.replaceChildren(...(answer.unlike ? ["Most like: ", named(answer.closest ?? answer.class)] : []));
    node.classList.toggle("unlike", answer.unlike);
    node.classList.remove("empty");
    why.replaceChildren(named(answer.why));
  };

  const clear = () => {
    rows.forEach(({ row, fill, share, name }) => {
      row.className = "";
      fill.style.setProperty("--part", "0");
      share.textContent = "";
      if (many) name.replaceChildren("");
    });
    const [title, text] = waiting();
    head.replaceChildren(title);
    why.replaceChildren(named(text ?? ""));
    rest.textContent = many ? `${facts.classes.length} classes` : "";
    band.hidden = true;
    mark(null);
    like.replaceChildren();
    node.classList.remove("unlike");
    node.classList.add("empty");
  };
  clear();
  return { node, show, clear };
};

// The steps of a conversion, and the nearest training images: pictures that are exchanged in place.
export const pictures = (app, kind) => {
  const { element, named } = app;
  const list = element("ol", { class: `shown ${kind}` });
  const figures = [];
  return {
    node: list,
    show: (entries) => {
      while (figures.length < entries.length) {
        const image = element("img", { class: "sharp", alt: "" });
        const caption = element("figcaption");
        figures.push({ item: element("li", null, element("figure", null, image, caption)), image, caption });
      }
      entries.forEach(({ picture, text, note }, at) => {
        const { image, caption, item } = figures[at];
        if (image.src !== picture) image.src = picture;
        image.alt = note ? `${text}: ${note}` : text;
        item.title = note ?? "";
        caption.replaceChildren(named(text));
      });
      list.replaceChildren(...figures.slice(0, entries.length).map(({ item }) => item));
    },
  };
};
