// The arms of a lab while it is measured: for each of their seeds how far it is, and what it has reached.

const WORDS = { waiting: "waiting", training: "training", done: "done", failed: "failed" };

const seedBar = ({ element }, seed) => {
  const told = seed.reason ?? (seed.of ? `${seed.epochs} of ${seed.of} epochs` : WORDS[seed.state]);
  const name = seed.seed < 0 ? "" : `seed ${seed.seed}: `;
  return element(
    "span",
    { class: `seed ${seed.state}`, role: "img", "aria-label": `${name}${told}`, title: `${name}${told}` },
    element("span", { class: "seed-fill", style: { "--part": String(seed.state === "failed" ? 1 : seed.share) } }),
  );
};

const reached = (arm) => {
  const known = arm.seeds.map((seed) => seed.accuracy).filter((value) => value !== null);
  if (!known.length) return "–";
  const mean = known.reduce((sum, value) => sum + value, 0) / known.length;
  return `${(100 * mean).toFixed(1)}%`;
};

export const showArms = (app, progress) => {
  const { element, named } = app;
  const rows = progress.arms.map((arm) =>
    element(
      "tr",
      null,
      element("th", { scope: "row" }, named(arm.name)),
      element("td", { class: "seeds" }, element("span", { class: "seed-row" }, arm.seeds.map((seed) => seedBar(app, seed)))),
      element("td", null, reached(arm)),
      element("td", { class: "stage muted" }, progress.running && arm.seeds.every((seed) => seed.state !== "done") ? arm.stage : ""),
    ),
  );
  return element(
    "table",
    { class: "arms" },
    element("thead", null, element("tr", null, ["", "each bar a seed", "right so far", ""].map((text) => element("th", { scope: "col" }, text)))),
    element("tbody", null, rows),
  );
};
