// Class: one leaderboard for everybody's runs.

export async function show(app) {
  app.command("fittingroom compare RUN RUN", ["import fittingroom as fr", "print(fr.compare([\"RUN\", \"RUN\"]))"]);
  const button = app.element("a", { class: "button main", href: app.link("train") }, "Train one");
  app.nothing("No run yet", "A run is what a training leaves. The first one takes a few seconds.", button);
}
