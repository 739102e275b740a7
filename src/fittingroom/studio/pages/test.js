// Test: open the sealed test set, once, on purpose.

export const aboutOneRun = true;

export async function show(app) {
  app.command("fittingroom evaluate", ["import fittingroom as fr", "fr.open_run().evaluate()"]);
  const button = app.element("a", { class: "button main", href: app.link("train") }, "Train one");
  app.nothing("No run yet", "A run is what a training leaves. The first one takes a few seconds.", button);
}
