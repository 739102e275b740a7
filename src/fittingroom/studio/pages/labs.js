// Labs: the list of questions; one of them is `lab.js`.

import { showLab } from "./lab.js";

const STATES = { running: "running now", stopped: "stopped: can be continued", damaged: "cannot be read", new: "not answered here yet" };
const SIGNS = { supported: ["✓", "yes"], "not supported": ["✗", "no"], "no difference shown": ["≈", "open"] };

const verdicts = ({ element, named }, lab) =>
  element(
    "ul",
    { class: "verdicts" },
    lab.verdicts.map(({ says, verdict }) => {
      const [sign, color] = SIGNS[verdict] ?? ["–", "open"];
      return element("li", null, element("span", { class: `verdict-mark ${color}`, title: verdict }, `${sign} `), named(says));
    }),
  );

const answer = (app, lab) => {
  const { element, named } = app;
  if (lab.state !== "done") return element("p", { class: "lab-state" }, element("span", { class: "pill" }, STATES[lab.state]));
  return element("div", { class: "lab-state" }, lab.outcome && element("p", { class: "lab-outcome" }, named(lab.outcome)), verdicts(app, lab));
};

const card = (app, lab) => {
  const { element, named } = app;
  const coded = lab.first.split(/`([^`]+)`/).map((part, place) => (place % 2 ? element("code", null, part) : part));
  return element(
    "li",
    { class: "panel lab-card" },
    element(
      "h2",
      null,
      element("a", { href: app.link("labs", { lab: lab.name }) }, element("span", { class: "lab-number" }, lab.number ?? ""), named(lab.title)),
    ),
    element("p", { class: "muted" }, coded),
    answer(app, lab),
    lab.takes && lab.state !== "done" && element("p", { class: "hint" }, `Takes about ${lab.takes} on two cores.`),
  );
};

export async function show(app, query) {
  if (query.lab) return showLab(app, query.lab);
  const { element } = app;
  app.command("fittingroom lab", ["import fittingroom as fr", "result = fr.lab(\"neurons\")", "print(result.claims)"]);
  const list = element("ol", { class: "lab-list" });
  const draw = ({ labs }) => list.replaceChildren(...labs.map((lab) => card(app, lab)));
  draw(await app.get("/api/labs"));
  app.main.replaceChildren(
    element("h1", null, "Labs"),
    element("p", { class: "lead" }, "Questions of the course, answered by measurement: guess first, then train, then see what the numbers say."),
    list,
  );
  let fetching = false;
  app.events({
    lab: async ({ ended }) => {
      if (fetching || !(ended || !list.querySelector(".is-running"))) return;
      fetching = true;
      draw(await app.get("/api/labs"));
      setTimeout(() => (fetching = false), 1000);
    },
  });
  return { update: () => app.again() };
}
