// Train: choose, press, watch.

export async function show(app) {
  app.command("fittingroom train", ["import fittingroom as fr", "run = fr.train()"]);
  const button = app.element("button", { class: "main", disabled: true }, "Train");
  app.nothing("Train", "This view is being built.", button);
}
