// Try: draw, drop or photograph something, and see what the run says.

export const aboutOneRun = true;

export async function show(app) {
  app.command("fittingroom predict latest FILE", ["import fittingroom as fr", "fr.open_run().predict(\"FILE\")"]);
  const button = app.element("a", { class: "button main", href: app.link("train") }, "Train one");
  app.nothing("No run yet", "A run is what a training leaves. The first one takes a few seconds.", button);
}
