// One benchmark: how far it is while it runs, and what came out.

const bar = ({ element, named, number }, one) => {
  const told = `${number(one.done)} of ${number(one.total)}${one.failed ? `, ${number(one.failed)} failed` : ""}`;
  return element(
    "tr",
    null,
    element("th", { scope: "row" }, named(one.name)),
    element("td", { class: "part" }, element("progress", { max: "1", value: String(one.total ? (one.done + one.failed) / one.total : 0), "aria-label": `${one.name}: ${told}` })),
    element("td", null, told),
  );
};

export const showBenchmark = async (app, name) => {
  const { element, named, number } = app;
  const path = `/api/benchmarks/${encodeURIComponent(name)}`;
  let one = await app.get(path);
  const owner = app.role === "owner";
  const [head, running, results] = ["benchmark-head", "benchmark-running", "benchmark-results"].map((id) => element("div", { id }));
  app.main.replaceChildren(head, running, results);

  const drawHead = () => {
    head.replaceChildren(
      element("p", { class: "eyebrow" }, element("a", { href: app.link("benchmarks") }, "Benchmarks"), " · ", named(name)),
      element("h1", null, named(one.title)),
      ...(one.results === null ? [] : [element("p", null, element("a", { href: `${path}/page`, target: "_blank", rel: "noopener" }, "The page, to save or to send"))]),
    );
    app.command(one.command ?? "fittingroom benchmark FILE.toml", ["import fittingroom as fr", `result = fr.Benchmark.read(${JSON.stringify(name)})`, "print(result)"]);
  };

  const act = (what) => app.act(async () => {
    app.failed(null);
    const said = await app.post(`${path}/${what}`);
    if (what === "continue") one.progress = said;
    else app.status("stopping; what is trained is kept", "busy");
    drawRunning();
  });

  const drawRunning = () => {
    const { progress } = one;
    const parts = [];
    if (one.said) parts.push(element("p", { class: "note" }, named(one.said)));
    if (progress.running || one.state === "stopped") {
      if (progress.datasets.length) parts.push(element("table", { class: "benchmark-progress" }, element("tbody", null, progress.datasets.map((dataset) => bar(app, dataset)))));
      if (progress.now.length) parts.push(element("p", { class: "muted small" }, "Now: ", named(progress.now.join("; "))));
    }
    if (owner && progress.running) parts.push(element("p", { class: "buttons" }, element("button", { id: "stop-benchmark", onclick: act("stop") }, "Stop, and keep what is done")));
    if (owner && !progress.running && one.own && one.state === "stopped") parts.push(element("p", { class: "buttons" }, element("button", { class: "main", id: "continue-benchmark", onclick: act("continue") }, "Continue")));
    running.hidden = parts.length === 0;
    running.replaceChildren(...(parts.length ? [element("section", { class: "panel" }, element("h2", null, progress.running ? "Running" : "Stopped"), parts)] : []));
    if (!progress.running) app.status("");
    else app.status(progress.total ? `${number(progress.done + progress.failed)} of ${number(progress.total)} cells` : "starting", "busy");
  };

  const drawResults = () => {
    results.className = "benchmark";
    results.replaceChildren(...(one.results === null ? [] : [app.drawn(`<div>${one.results}</div>`)]));
  };

  const draw = () => (drawHead(), drawRunning(), drawResults());
  draw();
  app.events({
    benchmark: async (news) => {
      if (news.name !== name) return;
      if (news.ended) {
        one = await app.get(path);
        draw();
        return;
      }
      one.progress = { ...one.progress, ...news };
      one.said = null;
      drawRunning();
    },
  });
  return { update: () => app.again() };
};
