// Class: everybody's runs on one table, best first, by their validation images; importing them; a test set of the owner's.

import { intervalOf } from "./comparison.js";
import { scoringOf, testsOf } from "./classtest.js";

const percent = (share, digits = 1) => `${(100 * share).toFixed(digits)}%`;
const chance = (p) => (p >= 0.9995 ? "1" : p < 0.001 ? "< 0.001" : p.toFixed(3));
const quoted = (text) => (/^[\w.,:/@+=-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);
const MOST_IN_COMMAND = 8;

const boardOf = (app, board, runs) => {
  const { element, named } = app;
  const drawn = intervalOf(board.places);
  const rows = board.places.map((place) => {
    const called = runs[place.run] ?? { title: place.run, warnings: [] };
    const warnings = called.warnings.map((text) => element("span", { class: "below warning" }, named(text)));
    const p = place.behind ? chance(place.behind.p_corrected) : "";
    return element("tr", { class: place.in_bracket ? "in-bracket" : "" },
      element("td", { class: "rank number" }, place.rank),
      element("td", { class: "who" }, element("a", { href: app.link("understand", { run: place.run }) }, named(called.title)), warnings),
      element("td", { class: "recipe" }, named(place.recipe)), element("td", { class: "seeds number" }, place.seeds.length),
      element("td", { class: "number" }, element("b", null, percent(place.accuracy)), " ", element("span", { class: "muted range" }, `${percent(Math.max(place.interval[0], 0)).slice(0, -1)} to ${percent(Math.min(place.interval[1], 1)).slice(0, -1)}`)),
      element("td", { class: "wide" }, drawn(place)), element("td", { class: "p number" }, p));
  });
  const heads = [["", "number"], ["Run", ""], ["Recipe", "recipe"], ["Seeds", "seeds number"], ["Accuracy", "number"], ["95% interval", "wide"], ["p", "p number"]];
  return element("div", { class: "panel board", role: "region", "aria-label": `Leaderboard of ${board.dataset}` },
    element("h2", null, `${board.images.toLocaleString("en")} validation images of `, named(board.dataset)),
    element("p", { class: "board-sentence" }, named(board.sentence)),
    element("div", { class: "scroll" }, element("table", { class: "sheet" },
      element("thead", null, element("tr", null, heads.map(([head, kind]) => element("th", { scope: "col", class: kind, title: head === "p" ? "How likely so large a difference to the first would be by chance, corrected for all pairs" : null }, head)))),
      element("tbody", null, rows))),
    board.places.length < 2 ? null : element("p", { class: "hint key" }, "The bar on the left holds together the runs that are not shown to differ from the first."));
};

export async function show(app, query) {
  const { element, named } = app;
  const mine = app.role === "owner";
  const names = (query.runs ?? "").split("|").filter(Boolean);
  const asked = names.map((name) => `run=${encodeURIComponent(name)}`).join("&");
  const status = element("p", { class: "muted", role: "status" });
  const results = element("div", { class: "imported" });
  const boards = element("div", { class: "boards" });
  const tests = element("div", { class: "tests" });
  const input = element("input", { type: "file", accept: ".zip,application/zip", multiple: true, id: "import", class: "hidden" });
  const pick = element("label", { for: "import", class: "button", tabindex: 0, onkeydown: (event) => (event.key === "Enter" || event.key === " ") && (event.preventDefault(), input.click()) }, "Import runs …");

  let scoring = { of: "", form: null }; // kept while the runs are the same: somebody may be typing in it

  const load = async () => {
    const found = await app.get(`/api/class${asked ? `?${asked}` : ""}`);
    const all = found.boards.flatMap((board) => board.places.map((place) => place.run));
    const some = all.length <= MOST_IN_COMMAND ? all : names.length ? names : [];
    app.command(some.length ? `fittingroom compare ${some.map(quoted).join(" ")}` : `fittingroom compare ${quoted(app.frame.folder)}/*`,
      ["import fittingroom as fr", `print(fr.leaderboard(${JSON.stringify(some.length ? some : all)}))`]);
    const left = found.left_out.map((one) => element("p", { class: "muted" }, named(found.runs[one.run]?.title ?? one.run), " has no place: ", named(one.why)));
    const several = found.sentence ? [element("p", null, named(found.sentence))] : [];
    if (all.length || left.length) boards.replaceChildren(...several, ...found.boards.map((board) => boardOf(app, board, found.runs)), ...left);
    else boards.replaceChildren(element("div", { class: "nothing" }, element("h1", null, "No run yet"), element("p", null, mine ? "Import the runs of your class: ZIP files, or drop them here." : "Whoever has the owner's link imports runs.")));
    const these = JSON.stringify(all);
    if (scoring.of !== these) scoring = { of: these, form: scoringOf(app, all, asked, load) };
    tests.replaceChildren(...testsOf(app, found, load), ...(mine && all.length ? [scoring.form] : []));
  };

  const take = async (files) => {
    results.replaceChildren();
    for (const [at, file] of files.entries()) {
      status.textContent = `Importing ${file.name}${files.length > 1 ? ` (${at + 1} of ${files.length})` : ""} …`;
      try {
        const { imported } = await app.post(`/api/class/import?called=${encodeURIComponent(file.name.slice(0, 200))}`, file);
        results.append(...imported.map((one) => element("p", { class: one.run ? (one.origin?.notes.length ? "warning" : "done") : "warning" }, named(one.sentence))));
      } catch (error) {
        results.append(element("p", { class: "warning" }, named(error.message)));
      }
    }
    status.textContent = "";
    await load();
  };
  input.addEventListener("change", app.act(async () => (await take([...input.files]), (input.value = ""))));
  if (mine) {
    app.main.ondragover = (event) => (event.preventDefault(), app.main.classList.add("dropping"));
    app.main.ondragleave = (event) => !app.main.contains(event.relatedTarget) && app.main.classList.remove("dropping");
    app.main.ondrop = app.act(async (event) => {
      event.preventDefault();
      app.main.classList.remove("dropping");
      await take([...event.dataTransfer.files]);
    });
  }
  app.main.append(
    element("div", { class: "head" }, element("h1", null, "Class"),
      element("p", { class: "muted count" }, "Best first, by validation images only. No test set is opened for it."),
      mine ? element("span", { class: "import" }, input, pick) : null),
    status, results, boards, tests);
  await load();
  app.events({
    runs: app.act(load),
    class: ({ what, done, of }) => {
      if (what === "shown") load();
      else status.textContent = done < of ? `${what === "scoring" ? "Scoring" : "Importing"}: ${done} of ${of} runs` : "";
    },
  });
  return {
    leave() {
      app.main.ondragover = app.main.ondragleave = app.main.ondrop = null;
    },
  };
}
