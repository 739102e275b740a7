// Understand: what a run gets wrong, and why.

export const aboutOneRun = true;

export async function show(app) {
  app.command("fittingroom explain", ["import fittingroom as fr", "print(fr.open_run().explain())"]);
  const button = app.element("a", { class: "button main", href: app.link("train") }, "Train one");
  app.nothing("No run yet", "A run is what a training leaves. The first one takes a few seconds.", button);
}
