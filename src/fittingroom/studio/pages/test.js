// Test: open the sealed test set of a run, once and on purpose. First what it costs, then a second click, then the score.

import { bars, score } from "./score.js";

export const aboutOneRun = true;

const REASONS = ["the final score of the run that I chose", "to compare with a published result", "to show a class what a look is"];

const quoted = (text) => (/^[\w./:-]+$/.test(text) ? text : `'${text.replaceAll("'", `'"'"'`)}'`);

const commands = (app, run, reason) => {
  const what = reason === null ? "--cost" : `--reason ${quoted(reason)}`;
  const python = reason === null ? "print(*run.look_cost.sentences, sep=\"\\n\")" : `print(run.evaluate(${JSON.stringify(reason)}))`;
  app.command(`fittingroom evaluate ${quoted(run)} ${what}`, ["import fittingroom as fr", `run = fr.open_run(${JSON.stringify(run)})`, python]);
};

export async function show(app, query) {
  const { element, named } = app;
  const run = app.run(query);
  if (run === null) {
    commands(app, "RUN", null);
    const train = element("a", { class: "button main", href: app.link("train") }, "Train one");
    app.nothing("Nothing to score yet", "Train a run first. Its test set stays closed until you open it here.", train);
    return {};
  }
  const path = `/api/test/${encodeURIComponent(run)}`;
  let facts = await app.get(path);
  let reason = REASONS[0];
  let moved = false;
  let busy = false;

  const sentences = (list) => list.map((one) => element("li", null, named(one)));

  const cost = () =>
    element("section", { class: "panel" }, element("h2", null, "What it costs"), element("ul", { class: "said" }, sentences(facts.cost.sentences)));

  const meaning = () =>
    element(
      "section",
      { class: "panel" },
      element("h2", null, "What it will mean"),
      element("p", null, "The score says how often this model is right on images that it has never seen and that nobody chose by, as long as they come from the same source as these."),
      element("p", null, "It is for the one run that you have decided on. To choose between runs, compare them on validation images, which costs nothing."),
      element("p", { class: "buttons" }, element("a", { class: "button", href: app.link("class") }, "Compare runs"), element("a", { class: "button", href: app.link("understand", { run }) }, "See its mistakes")),
    );

  const asked = () => {
    const input = element("input", { id: "reason", type: "text", maxlength: "500", value: reason, autocomplete: "off" });
    const use = (text) => {
      reason = text;
      commands(app, run, reason);
      confirm.disabled = busy || !reason.trim();
    };
    input.addEventListener("input", () => use(input.value));
    const choices = REASONS.map((text) =>
      element("button", { type: "button", class: "quiet", onclick: () => ((input.value = text), use(text)) }, text),
    );
    const place = element("input", { id: "moved", type: "text", placeholder: "folder:/data/clothes", autocomplete: "off" });
    const { looks, own } = facts.cost;
    const which = own > 1 ? `looks ${looks + 1} to ${looks + own}` : `look ${looks + 1}`;
    const confirm = element("button", { class: "main", id: "confirm", disabled: busy }, busy ? "Opening …" : `Yes, take ${which}`);
    confirm.addEventListener("click", () => open(place.value.trim()));
    return element(
      "section",
      { class: "panel confirm", tabindex: "-1" },
      element("h2", null, `Open it? This is ${which}.`),
      element("p", null, "It cannot be taken back. The ledger keeps it, with the reason."),
      element("div", { class: "field" }, element("label", { for: "reason" }, "Reason"), input, element("p", { class: "choices-row" }, choices)),
      moved && element("div", { class: "field" }, element("label", { for: "moved" }, "Where the dataset is now, if it has moved"), place),
      element("p", { class: "buttons" }, confirm, element("button", { id: "not-now", disabled: busy, onclick: () => app.go({ step: null }) }, "Not now")),
    );
  };

  const open = async (data) => {
    [busy, moved] = [true, moved];
    draw(query);
    app.failed(null);
    app.status("scoring the test images", "busy");
    try {
      facts = await app.post(path, { reason, looks: facts.cost.looks, data: data || null });
      busy = false;
      app.go({ step: null }, { replace: true });
      draw({});
    } catch (error) {
      busy = false;
      moved = true; // the sentence may be that the dataset is not where it was
      facts = await app.get(path).catch(() => facts);
      draw(query);
      app.failed(error);
    } finally {
      app.status("");
    }
  };

  const begin = () => {
    if (facts.cost.closed) return null;
    if (app.role !== "owner") return element("p", { class: "hint" }, "Only the owner's link opens a test set.");
    return element("p", { class: "buttons" }, element("button", { class: "main", id: "open", onclick: () => app.go({ step: "open" }) }, "Open the test set …"));
  };

  const draw = (state) => {
    query = state;
    const asking = state.step === "open" && !facts.result && !facts.cost.closed && app.role === "owner";
    commands(app, run, facts.result || asking ? (facts.result?.reason ?? reason) : null);
    const title = element("h1", null, facts.result ? "The test set, opened" : "The test set is closed");
    const lead = element("p", { class: "lead" }, named(run), ` on `, named(facts.cost.dataset));
    if (facts.result) {
      app.main.replaceChildren(title, lead, score(app, facts.result), bars(app, facts.result));
      return;
    }
    const steps = asking ? asked() : begin();
    app.main.replaceChildren(title, lead, element("div", { class: "panels test-panels" }, cost(), meaning()), ...(steps ? [steps] : []));
    if (asking && !busy) app.main.querySelector(".confirm").focus({ preventScroll: true });
  };

  app.events({
    test: async ({ run: other }) => {
      if (busy) return;
      if (other !== run && facts.result) return;
      facts = await app.get(path); // another page has opened it: this run has its score, or the cost has changed
      draw(query);
    },
  });
  draw(query);
  return {
    update: async (state) => (app.run(state) === run ? draw(state) : app.again()),
  };
}
