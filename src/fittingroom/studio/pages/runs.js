// Runs: all of them, in one table.

export async function show(app) {
  app.command("fittingroom runs", ["import fittingroom as fr"]);
  const button = app.element("a", { class: "button main", href: app.link("train") }, "Train one");
  app.nothing("No run yet", "A run is what a training leaves. The first one takes a few seconds.", button);
}
