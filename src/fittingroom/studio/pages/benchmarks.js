// Benchmarks: the list, and a new one; one of them is `benchmark.js`.

import { showBenchmark } from "./benchmark.js";

const STATES = { running: "running now", stopped: "stopped: can be continued", damaged: "cannot be read", done: "done" };

const card = ({ element, named, link, number }, one) => {
  const far = one.total && one.state !== "done" ? ` · ${number(one.done)} of ${number(one.total)} cells` : "";
  return element(
    "li",
    { class: "panel benchmark-card" },
    element("h2", null, element("a", { href: link("benchmarks", { benchmark: one.name }) }, named(one.title))),
    element("p", { class: "muted" }, named(one.datasets.join(" · "))),
    one.sentences.map((sentence) => element("p", null, named(sentence))),
    element("p", { class: "hint" }, element("span", { class: `pill${one.state === "running" ? " is-running" : ""}` }, STATES[one.state]), far, ` · ${[one.date, one.name].filter(Boolean).join(" · ")}`),
  );
};

const list = (values) => `[${values.map((value) => JSON.stringify(value)).join(", ")}]`;

// A few datasets and methods to choose from; the command below is the same choice.
const form = (app, choices, begun) => {
  const { element, named } = app;
  const chosen = { datasets: new Set(["digits"]), methods: new Set(["linear", "course"]) };
  const seeds = element("input", { type: "number", min: "1", max: "100", value: "5", id: "benchmark-seeds" });
  const start = element("button", { class: "main", id: "begin-benchmark" }, "Begin");
  const told = () => {
    const [datasets, methods] = [[...chosen.datasets], [...chosen.methods]];
    start.disabled = !datasets.length || !methods.length;
    app.command(`fittingroom benchmark ${datasets.join(" ")} --methods ${methods.join(" ")} --seeds ${Number(seeds.value)}`, ["import fittingroom as fr", `result = fr.benchmark(${list(datasets)}, ${list(methods)}, seeds=${Number(seeds.value)})`, "print(result)"]);
  };
  const boxes = (kind, legend) =>
    element(
      "fieldset",
      { class: "benchmark-choices" },
      element("legend", null, legend),
      choices[kind].map(({ name, title }) => {
        const box = element("input", { type: "checkbox", value: name, checked: chosen[kind].has(name) });
        box.addEventListener("change", () => {
          chosen[kind][box.checked ? "add" : "delete"](name);
          told();
        });
        return element("label", { title }, box, named(name));
      }),
    );
  seeds.addEventListener("input", told);
  start.addEventListener("click", app.act(async () => {
    app.failed(null);
    const { name } = await app.post("/api/benchmarks", { datasets: [...chosen.datasets], methods: [...chosen.methods], seeds: Number(seeds.value) });
    begun(name);
  }));
  return {
    told,
    node: element(
      "details",
      { class: "panel", id: "new-benchmark" },
      element("summary", null, "A new benchmark"),
      boxes("datasets", "Datasets"),
      boxes("methods", "Methods"),
      element("p", { class: "buttons" }, element("label", { for: "benchmark-seeds" }, "Seeds"), seeds, start),
      element("p", { class: "hint" }, "Each method is trained on each dataset with each seed, one core each, and compared on validation images. No test part is opened."),
    ),
  };
};

export async function show(app, query) {
  if (query.benchmark) return showBenchmark(app, query.benchmark);
  const { element } = app;
  const first = await app.get("/api/benchmarks");
  const cards = element("ul", { class: "benchmark-list" });
  const draw = ({ benchmarks }) =>
    cards.replaceChildren(
      ...(benchmarks.length ? benchmarks.map((one) => card(app, one)) : [element("li", { class: "muted" }, "No benchmark in this folder yet.")]),
    );
  draw(first);
  const order = form(app, first, (name) => app.go({ benchmark: name }));
  order.told();
  app.main.replaceChildren(
    element("h1", null, "Benchmarks"),
    element("p", { class: "lead" }, "Methods on several datasets, each with its intervals; and what that says of the next dataset."),
    ...(app.role === "owner" ? [order.node] : []),
    cards,
  );
  let fetching = false;
  app.events({
    benchmark: async ({ ended }) => {
      if (fetching || !(ended || !cards.querySelector(".is-running"))) return;
      fetching = true;
      draw(await app.get("/api/benchmarks"));
      setTimeout(() => (fetching = false), 1000);
    },
  });
  return { update: () => app.again() };
}
