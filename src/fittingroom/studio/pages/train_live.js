// The right side of the view: which training is watched, what it says, and what comes after it.

import { element, named } from "./dom.js";
import { callbackTable, changedImages, curvesPanel, sampleOfClasses } from "./train_watch.js";

const LIVE = ["loading", "compiling", "training", "validating", "saving"];
const DOING = { loading: "loading the data", compiling: "compiling", training: "training", validating: "validating", saving: "saving the run" };
const PACE = 400; // ms between two looks

const left = (seconds) => (seconds < 90 ? `${Math.max(1, Math.round(seconds))} s` : seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`);

const statusOf = (facts) => {
  if (facts.state === "loading") return `loading the data${facts.seconds > 3 ? `, ${Math.round(facts.seconds)} s` : ""}`;
  const seeds = facts.seeds.length > 1 ? ` of ${facts.seeds.length} seeds` : "";
  if (!facts.has_epochs) return facts.state === "saving" ? "saving the run" : `fitting${seeds}`;
  const epoch = Math.min(facts.epochs, facts.epoch + (facts.state === "saving" ? 0 : 1));
  const remains = facts.seconds_left === null || facts.seconds_left === undefined ? "" : `, ${left(facts.seconds_left)} left`;
  return `${DOING[facts.state]}${seeds}, epoch ${epoch} of ${facts.epochs}${remains}`;
};

export const watchPanel = (app) => {
  const curves = curvesPanel();
  const table = callbackTable();
  const changes = changedImages((query) => app.open("/understand", query));
  const sample = sampleOfClasses();
  const bar = element("progress", { max: 1, value: 0, class: "idle", "aria-label": "done" });
  const heading = element("h1", null, "Train");
  const sentence = element("p", { class: "sentence", role: "status" });
  const doors = element("p", { class: "buttons doors" });
  const stop = element("button", { type: "button", class: "stop-here", hidden: true, onclick: () => live.stop() }, "■ Stop"); // where the other is far below
  const notes = element("div", { class: "notes" });
  const ghost = element("select", { id: "ghost" });
  const seed = element("select", { id: "seed", "aria-label": "seed" });
  const tools = element("p", { class: "tools" }, element("label", { for: "ghost" }, "compare with ", ghost), seed);
  const node = element("div", { class: "live" }, element("div", { class: "about" }, element("div", null, heading, sentence), element("div", { class: "beside" }, doors, stop, tools)), bar, curves.node, sample.node, changes.node, table.node, notes);
  let [running, again, timer, epochShown] = [false, false, undefined, null];

  const live = {
    node, name: null, facts: null, ghost: null, isFirst: true, changed: () => {}, stop: () => {},
    get isLive() {
      return LIVE.includes(live.facts?.state);
    },
    get command() {
      return live.facts?.command ?? null;
    },
    async watch(name, ghostName) {
      live.isFirst = name !== live.name && name !== live.facts?.run;
      if (live.isFirst) [live.facts, epochShown] = [null, null];
      [live.name, live.ghost] = [name, ghostName];
      if (name === null) return showNothing();
      await live.refresh();
    },
    // Of a dataset that may be trained on next; a training that is watched has pictures of its own.
    async showSample(dataset) {
      if (live.name !== null) return;
      const { sample: found } = await app.get(`/api/trainings/sample?dataset=${encodeURIComponent(dataset)}`);
      if (live.name === null) sample.show(found);
    },
    // Something of a training has changed; looks are spaced, and never overlap.
    heard(name) {
      if (live.name === null) {
        live.isFirst = true;
        live.name = name;
      }
      if (running) again = true;
      else timer ??= setTimeout(() => live.refresh().catch(app.failed), PACE);
    },
    async refresh() {
      clearTimeout(timer);
      timer = undefined;
      running = true;
      const asked = live.name;
      try {
        const query = new URLSearchParams({ ...(live.ghost ? { ghost: live.ghost } : {}), ...(seed.value ? { seed: seed.value } : {}) });
        const facts = await app.get(`/api/trainings/${encodeURIComponent(asked)}?${query}`);
        if (asked !== live.name) return;
        live.facts = facts;
        if (facts.run && facts.run !== live.name) {
          live.name = facts.run; // the address outlives the ticket
          app.go({ run: facts.run }, { replace: true });
        }
        showFacts(facts);
        await showChanges(facts);
      } finally {
        running = false;
      }
      live.isFirst = false;
      if (again || live.isLive) {
        const pause = again ? PACE : 1000; // the stream tells of what moves; this is for what is silent
        again = false;
        timer ??= setTimeout(() => node.isConnected && live.refresh().catch(app.failed), pause);
      }
    },
  };

  const showNothing = () => {
    heading.textContent = "Train";
    sentence.textContent = "Everything is chosen. Press Train, and watch loss and accuracy move.";
    doors.replaceChildren();
    tools.hidden = stop.hidden = true;
    delete node.dataset.state;
    bar.classList.add("idle");
    app.status("");
    curves.show({ rows: [] });
    table.show({ rows: [] });
    changes.show(null);
    live.changed({});
  };
  const showChoices = (facts) => {
    const runs = app.frame.runs.filter((run) => run.status === "finished" && run.name !== facts.run);
    tools.hidden = !facts.rows.length || (!runs.length && facts.seeds.length < 2);
    const key = `${runs.map((run) => run.name)} ${live.ghost}`;
    if (ghost.dataset.key !== key && document.activeElement !== ghost) {
      ghost.dataset.key = key;
      ghost.replaceChildren(element("option", { value: "" }, "no other run"), ...runs.map((run) => element("option", { value: run.name }, run.name)));
      ghost.value = live.ghost ?? "";
    }
    ghost.parentElement.hidden = !runs.length;
    seed.hidden = facts.seeds.length < 2;
    if (seed.children.length !== facts.seeds.length) seed.replaceChildren(...facts.seeds.map((one) => element("option", { value: one }, `seed ${one}`)));
  };
  const showFacts = (facts) => {
    if (facts.epoch) sample.show(null);
    const what = facts.recipe ? [named(facts.recipe), " on ", named(facts.dataset.split(/[\\/]/).at(-1), { title: facts.dataset })] : [live.isLive ? "Starting" : "This training left no run"];
    heading.replaceChildren(...what);
    const doing = live.isLive ? statusOf(facts) : "";
    app.status(doing, doing ? "busy" : null);
    sentence.replaceChildren(named(facts.sentence || (doing ? `${doing[0].toUpperCase()}${doing.slice(1)}.` : "")));
    sentence.classList.toggle("failed", facts.state === "failed" || facts.state === "diverged");
    node.dataset.state = facts.state;
    bar.classList.toggle("idle", !live.isLive);
    if (["loading", "compiling", "saving"].includes(facts.state)) bar.removeAttribute("value");
    else bar.value = facts.share;
    const query = { run: facts.run };
    const door = (view, text, main) => element("a", { class: main ? "button main" : "button", href: app.link(view, query) }, text);
    const key = facts.whole && !live.isLive ? facts.run : "";
    if (doors.dataset.key !== key) doors.replaceChildren(...(key ? [door("understand", "See its mistakes", true), door("try", "Show it a drawing", false), door("test", "Open its test set", false)] : []));
    doors.dataset.key = key;
    for (const panel of [curves.node, table.node]) panel.style.display = facts.has_epochs ? "" : "none"; // fitted in one go
    curves.show(facts);
    table.show(facts);
    showChoices(facts);
    stop.hidden = !live.isLive || app.role !== "owner";
    const told = facts.notes.join("\n");
    if (notes.dataset.told !== told) notes.replaceChildren(...facts.notes.map((text) => element("p", { class: "note" }, named(text))));
    notes.dataset.told = told;
    live.changed(facts);
  };
  // The pictures come once for each epoch, and no more often than once a second.
  let lastPictures = 0;
  const showChanges = async (facts) => {
    const key = `${facts.run} ${facts.seed} ${facts.epoch} ${live.isLive ? "" : facts.whole}`;
    if (!facts.run || !facts.epoch) {
      if (live.isFirst) changes.show(null);
      return;
    }
    if (key === epochShown || (live.isLive && Date.now() - lastPictures < 1000)) return;
    [epochShown, lastPictures] = [key, Date.now()];
    const { changed } = await app.get(`/api/trainings/${encodeURIComponent(facts.run)}/changed?seed=${facts.seed}`);
    if (facts.run === live.facts?.run) changes.show(changed, facts.whole && !live.isLive ? facts.run : null, facts.has_epochs);
  };
  ghost.addEventListener("change", () => app.go({ ghost: ghost.value || null }));
  seed.addEventListener("change", () => ((epochShown = null), live.refresh().catch(app.failed)));
  return live;
};
