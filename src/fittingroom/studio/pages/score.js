// A score on a test set: the number with its interval, its look and its luck; and the classes, or the seeds.

const AXIS = [0, 100]; // percent

const at = (share) => Math.max(AXIS[0], Math.min(AXIS[1], 100 * share));

// The accuracy as a mark and its interval as a bar, on an axis from 0 to 100%.
const drawing = (app, accuracy, interval, label) => {
  const parts = [app.svg("line", { class: "axis", x1: "0", x2: "100%", y1: "13", y2: "13" })];
  if (interval) {
    const [low, high] = interval.map(at);
    parts.push(app.svg("rect", { class: "interval", x: `${low}%`, width: `${Math.max(high - low, 0.4)}%`, y: "8", height: "10" }));
  }
  parts.push(app.svg("line", { class: "mean", x1: `${at(accuracy)}%`, x2: `${at(accuracy)}%`, y1: "4", y2: "22" }));
  return app.svg("svg", { class: "score-bar", role: "img", "aria-label": label }, ...parts);
};

const intervalOf = (result) => result.accuracy.interval ?? result.per_seed[0].interval;

export const score = (app, result) => {
  const { element, named } = app;
  const several = result.seeds.length > 1;
  const about = several ? `mean over ${result.seeds.length} seeds` : `of ${app.number(result.images)} images`;
  const interval = intervalOf(result);
  const kind = several ? "95% interval for other seeds, these images" : "95% interval for other images of this source";
  return element(
    "section",
    { class: "panel scored", id: "score" },
    element("p", { class: "score-number" }, element("strong", null, result.accuracy_text), ` right, ${about}`),
    result.interval_text && element("p", null, `${result.interval_text}: ${kind}.`),
    interval && drawing(app, result.accuracy.mean, interval, `${result.accuracy_text}, ${result.interval_text}`),
    element(
      "dl",
      { class: "facts" },
      element("dt", null, "look"), element("dd", null, `${result.looks_text} at this test set`),
      element("dt", null, "luck"), element("dd", null, result.luck_text),
      element("dt", null, "loss"), element("dd", null, `${result.loss.mean.toFixed(4)} nats`),
      element("dt", null, "reason"), element("dd", null, named(result.reason)),
    ),
    element("p", { class: "hint" }, "Looking at this page again is not another look."),
  );
};

const row = (app, name, accuracy, interval, text) =>
  app.element(
    "tr",
    null,
    app.element("th", { scope: "row" }, name),
    app.element("td", { class: "bar-cell" }, drawing(app, accuracy, interval, text)),
    app.element("td", null, text),
  );

export const bars = (app, result) => {
  const { element, named } = app;
  const one = result.per_seed[0];
  const rows =
    result.seeds.length > 1
      ? result.per_seed.map((seed) => row(app, `seed ${seed.seed}`, seed.accuracy, seed.interval, seed.accuracy_text))
      : one.per_class.filter((each) => each.count > 0).map((each) => row(app, named(each.name), each.accuracy, each.interval, each.accuracy_text));
  return element(
    "section",
    { class: "panel" },
    element("h2", null, result.seeds.length > 1 ? "Each seed, each a look" : "Each class"),
    element("div", { class: "scroll" }, element("table", { class: "score-table" }, element("tbody", null, rows))),
  );
};
