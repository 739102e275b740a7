// Labs: a question, a guess, a measurement.

export async function show(app) {
  app.command("fittingroom lab", ["import fittingroom as fr"]);
  app.nothing("Labs", "This view is being built.");
}
