// Runs: all of them in one table. Sorted, filtered and ticked in the browser; the address keeps all three.

import { comparisonOf } from "./comparison.js";
import { detailOf } from "./rundetail.js";
import { COLUMNS, fitting, headOf, rowOf, sizeText, sorted } from "./runtable.js";

const TWO = 2;
const MOST_ON_A_PAGE = 12;
const plural = (count, noun) => `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
const quoted = (text) => (/^[\w.,:/@+=-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);

// The command sorts best first, and a minus turns that round; here a minus means from the largest.
const orderOf = (key) => {
  const name = key.replace("-", "");
  return (COLUMNS[name].best < 0) === key.startsWith("-") ? name : `-${name}`;
};

// Puts lines into a table; where only some are new, the others stay where they are.
const place = (body, lines) => {
  const old = [...body.children];
  const inPlace = old.length === lines.length && lines.every((line, at) => line === old[at] || line.parentNode !== body);
  if (!inPlace) body.replaceChildren(...lines);
  else lines.forEach((line, at) => line !== old[at] && old[at].replaceWith(line));
};

export async function show(app, query) {
  const { element } = app;
  let table = await app.get("/api/runs-table");
  let now = query;
  const search = element("input", { type: "search", id: "filter", placeholder: "Filter: a word, tag=best, accuracy>0.9", "aria-label": "Filter" });
  search.value = query.filter ?? "";
  const count = element("p", { class: "muted count", role: "status" });
  const actions = element("div", { class: "actions buttons" });
  const undo = element("div", { class: "undo", role: "status" });
  const compared = element("div", { class: "compared" });
  const head = element("thead");
  const body = element("tbody");
  const trash = element("details", { class: "trash" });
  const ticked = () => new Set((now.ticked ?? "").split("|").filter((name) => table.rows.some((row) => row.name === name && !row.elsewhere)));
  const sort = () => now.sort ?? "-time";
  let shownComparison = null;

  const change = (what, replace) => {
    now = { ...now, ...what };
    app.go(what, { replace: true });
    draw(replace);
  };
  const tick = (name, on) => {
    const names = ticked();
    on ? names.add(name) : names.delete(name);
    change({ ticked: names.size ? [...names].join("|") : null });
  };
  const open = (name) => change({ open: now.open === name ? null : name });

  const load = async () => {
    table = await app.get("/api/runs-table");
    draw();
  };
  const deleteRuns = async (names) => {
    const done = [];
    let looks = 0;
    try {
      for (const name of names) {
        const one = await app.remove(`/api/runs/${encodeURIComponent(name)}`);
        done.push(one.deleted);
        looks += one.looks;
      }
    } finally {
      const back = async () => {
        for (const name of done) await app.post(`/api/trash/${encodeURIComponent(name)}`);
        undo.replaceChildren();
        await load();
      };
      const what = done.length === 1 ? app.named(done[0]) : plural(done.length, "run");
      const kept = looks ? ` The ledger keeps ${plural(looks, "look")} at test sets.` : "";
      if (done.length) undo.replaceChildren(what, ` ${done.length === 1 ? "is" : "are"} in the trash.${kept} `, element("button", { onclick: app.act(back), id: "undo" }, "Undo"));
      change({ ticked: null, open: null });
      await load();
    }
  };

  const drawActions = (names) => {
    const report = `/api/report?${names.map((name) => `run=${encodeURIComponent(name)}`).join("&")}`;
    const two = names.length === TWO;
    actions.replaceChildren(
      ...(names.length
        ? [
            element("span", { class: "muted" }, `${names.length} ticked`),
            two && element("button", { class: "main", id: "compare", onclick: app.act(compare) }, "Compare"),
            names.length <= MOST_ON_A_PAGE && element("a", { class: "button", href: report, target: "_blank", rel: "noopener" }, "Report"),
            names.length > 1 && element("a", { class: "button", href: app.link("class", { runs: names.join("|") }) }, "Leaderboard"),
            app.role === "owner" && element("button", { onclick: app.act(() => deleteRuns(names)) }, "Delete"),
            element("button", { class: "quiet", onclick: () => change({ ticked: null }) }, "Untick"),
          ].filter(Boolean)
        : [element("span", { class: "muted" }, "Tick two to compare them, several for a report or a leaderboard.")]),
    );
  };
  const compare = async () => {
    const names = [...ticked()];
    const facts = await app.get(`/api/compare?${names.map((name) => `run=${encodeURIComponent(name)}`).join("&")}`);
    shownComparison = names.join("|");
    compared.replaceChildren(comparisonOf(app, facts, titleOf, () => compared.replaceChildren()));
    compared.scrollIntoView({ block: "nearest" });
  };
  const titleOf = (name) => table.rows.find((row) => row.name === name)?.title || name;

  const drawTrash = () => {
    const size = table.deleted.reduce((sum, one) => sum + one.size, 0);
    trash.hidden = table.deleted.length === 0;
    const back = (name) => async () => (await app.post(`/api/trash/${encodeURIComponent(name)}`), load());
    const items = table.deleted.map((one) => element("li", null, app.named(one.name), ` ${sizeText(one.size)} `, element("button", { class: "quiet", onclick: app.act(back(one.name)) }, "Bring back")));
    const sure = element("button", { onclick: app.act(async () => (await app.remove("/api/trash"), load())) }, `Remove ${plural(items.length, "run")} for good`);
    trash.replaceChildren(element("summary", null, `Trash: ${plural(items.length, "run")}, ${sizeText(size)}`), element("ul", null, items), sure);
  };

  const drawCommand = (names) => {
    const words = ["fittingroom runs"];
    if (sort() !== "-time") words.push(`--sort=${orderOf(sort())}`);
    if (now.filter) words.push("--filter", ...now.filter.split(/\s+/).filter(Boolean).map(quoted));
    const python = ["import fittingroom as fr"];
    if (names.length > 1) {
      app.command(`fittingroom compare ${names.map(quoted).join(" ")}`, [...python, `print(fr.compare(${JSON.stringify(names)}))`]);
    } else if (now.open) {
      app.command(`fittingroom show ${quoted(now.open)}`, [...python, `run = fr.open_run(${JSON.stringify(now.open)})`]);
    } else app.command(words.join(" "), [...python, 'run = fr.open_run("latest")']);
  };

  // Lines are made once for each state of a run: of a thousand, a tick changes one.
  const lines = new Map();
  const lineOf = (row, isTicked, isOpen) => {
    const made = lines.get(row.name);
    if (made?.row === row && made.isTicked === isTicked && made.isOpen === isOpen) return made.line;
    const line = rowOf(app, row, { ticked: isTicked, open: isOpen, tick, openRow: open, filter: (text) => setFilter(text) });
    lines.set(row.name, { row, isTicked, isOpen, line });
    return line;
  };

  const draw = () => {
    const names = [...ticked()];
    const chosen = sorted(fitting(table.rows, now.filter ?? ""), sort());
    if (shownComparison !== null && names.join("|") !== shownComparison) (compared.replaceChildren(), (shownComparison = null));
    head.replaceChildren(headOf(app, sort(), (key) => change({ sort: key === "-time" ? null : key })));
    const kept = body.querySelector("form");
    const marked = new Set(names);
    const rows = chosen.flatMap((row) => {
      const line = lineOf(row, marked.has(row.name), now.open === row.name);
      if (now.open !== row.name || row.elsewhere) return [line];
      const again = kept?.dataset.run === row.name ? kept.closest("tr") : detailOf(app, row, { saved: load, remove: () => deleteRuns([row.name]) });
      return [line, again];
    });
    place(body, rows);
    const all = table.rows.length;
    count.textContent = `${chosen.length === all ? plural(all, "run") : `${chosen.length} of ${plural(all, "run")}`}, ${sizeText(table.size)} on the disk`;
    drawActions(names);
    drawTrash();
    drawCommand(names);
  };
  const setFilter = (text) => {
    search.value = text;
    change({ filter: text || null });
  };
  search.addEventListener("input", () => change({ filter: search.value || null }));

  if (table.rows.length === 0 && table.deleted.length === 0) {
    const button = element("a", { class: "button main", href: app.link("train") }, "Train one");
    app.command("fittingroom runs", ["import fittingroom as fr"]);
    app.nothing("No run yet", "A run is what a training leaves. The first one takes a few seconds.", button);
    return { leave() {} };
  }
  app.main.append(
    element("div", { class: "head" }, element("h1", null, "Runs"), count, search),
    actions, undo, compared,
    element("table", { class: "sheet run-table" }, head, body),
    trash,
  );
  draw();
  app.events({ runs: app.act(load) });
  return {
    update(other) {
      now = other;
      search.value = other.filter ?? "";
      draw();
    },
  };
}
