// The class on a test set that it does not have: what it costs, said before the click; then the scores with looks and luck.

import { element, named } from "./dom.js";

const percent = (share, digits = 1) => `${(100 * share).toFixed(digits)}%`;

export const testsOf = (app, found, load) =>
  found.tests.map((test) => {
    const rows = test.rows.map((row, at) =>
      element("tr", null, element("td", { class: "rank number" }, at + 1), element("td", { class: "who" }, named(found.runs[row.run]?.title ?? row.run)),
        element("td", { class: "number" }, element("b", null, percent(row.accuracy)), " ", element("span", { class: "muted" }, row.interval ? `${percent(Math.max(row.interval[0], 0)).slice(0, -1)} to ${percent(Math.min(row.interval[1], 1)).slice(0, -1)}` : "")),
        element("td", { class: "muted look" }, row.looks)));
    const shown = element("input", { type: "checkbox", checked: found.shown_to_guests });
    shown.addEventListener("change", app.act(async () => (await app.put("/api/class/shown", { shown: shown.checked }), load())));
    return element("div", { class: "panel board test-board", role: "region", "aria-label": "Scores on a test set" },
      element("h2", null, `Test set: ${test.images.toLocaleString("en")} images of `, named(test.dataset)),
      element("p", { class: "board-sentence" }, "Luck: ", named(test.luck), "."),
      element("div", { class: "scroll" }, element("table", { class: "sheet" },
        element("thead", null, element("tr", null, ["", "Run", "Accuracy, 95% interval", "Look"].map((head, at) => element("th", { scope: "col", class: at % 2 ? "" : "number" }, head)))),
        element("tbody", null, rows))),
      test.problems.map((text) => element("p", { class: "warning" }, named(text))),
      app.role === "owner" ? element("label", { class: "shown" }, shown, " Show these scores to guests") : null);
  });

export const scoringOf = (app, runs, asked, load) => {
  const place = element("input", { type: "text", id: "on", placeholder: "/home/me/hidden-test or hidden.npz" });
  const cost = element("div", { class: "cost" });
  const ask = async (event) => {
    event.preventDefault();
    const on = place.value.trim();
    cost.replaceChildren(element("p", { class: "muted" }, "Reading the images …"));
    try {
      const told = await app.get(`/api/class/cost?on=${encodeURIComponent(on)}${asked ? `&${asked}` : ""}`);
      const refused = Object.entries(told.refused).map(([run, why]) => element("p", { class: "warning" }, named(run), " is left out: ", named(why)));
      const able = runs.filter((run) => !(run in told.refused));
      const go = async () => {
        cost.replaceChildren(element("p", { class: "muted" }, "Scoring …"));
        const done = await app.post("/api/class/score", { on, runs: able });
        await load();
        const failed = Object.entries(done.refused).map(([run, why]) => element("p", { class: "warning" }, named(run), ": ", named(why)));
        document.querySelector(".scoring .cost")?.replaceChildren(...failed);
        document.querySelector(".test-board")?.scrollIntoView({ block: "nearest" });
      };
      const looks = told.own === 1 ? "1 look" : `${told.own} looks`;
      cost.replaceChildren(
        told.whole ? element("p", null, "Its files have no test part, so all its images are the test set.") : "",
        ...told.sentences.map((text) => element("p", null, named(text))), ...refused,
        element("p", { class: "buttons" }, element("button", { type: "button", class: "main", id: "score", onclick: app.act(go) }, told.own ? `Open it: ${looks}` : "Show the scores"),
          element("button", { type: "button", class: "quiet", onclick: () => cost.replaceChildren() }, "Leave it closed")));
      app.command(`fittingroom evaluate ${able[0] ?? "RUN"} --on ${on.includes(" ") ? `'${on}'` : on}`, ["import fittingroom as fr", `fr.open_run(${JSON.stringify(able[0] ?? "RUN")}).evaluate("the class", on=${JSON.stringify(on)})`]);
    } catch (error) {
      cost.replaceChildren(element("p", { class: "warning" }, named(error.message)));
    }
  };
  return element("div", { class: "panel scoring" },
    element("h2", null, "Score these runs on a test set of yours"),
    element("p", { class: "hint" }, "One that your students do not have: a folder with a folder for each class, an NPZ or a CSV file on this machine, with the same classes. Each score is a look at it, and is counted."),
    element("form", { class: "buttons", onsubmit: app.act(ask) }, element("label", { for: "on", class: "hidden" }, "Dataset with the test set"), place, element("button", { type: "submit" }, "What does it cost?")),
    cost);
};
