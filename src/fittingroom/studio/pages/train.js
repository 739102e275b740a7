// Train: choose, press, watch.

import { datasetChooser } from "./train_data.js";
import { settingControls, stepper, stopConditions } from "./train_settings.js";
import { watchPanel } from "./train_live.js";

const SEPARATOR = "|"; // in the address; no setting has it

const orderOf = (query) => ({
  dataset: query.dataset ?? "fashion-mnist",
  recipe: query.recipe ?? "course",
  settings: Object.fromEntries((query.set ?? "").split(SEPARATOR).filter(Boolean).map((one) => [one.split("=")[0], one.slice(one.indexOf("=") + 1)])),
  seeds: Math.max(1, Number(query.seeds) || 1),
  stop: (query.stop ?? "").split(SEPARATOR).filter(Boolean),
});

const queryOf = (order) => ({
  dataset: order.dataset === "fashion-mnist" ? null : order.dataset,
  recipe: order.recipe === "course" ? null : order.recipe,
  set: Object.entries(order.settings).map(([key, value]) => `${key}=${value}`).join(SEPARATOR) || null,
  seeds: order.seeds === 1 ? null : order.seeds,
  stop: order.stop.join(SEPARATOR) || null,
});

const isOrder = (query) => ["dataset", "recipe", "set", "seeds", "stop"].some((key) => query[key] !== undefined);

export async function show(app, query) {
  const { element } = app;
  const [choices, now] = await Promise.all([app.get("/api/trainings/choices"), app.get("/api/trainings")]);
  const isOwner = app.role === "owner";
  let order = orderOf(query);
  let checked = { problems: {}, closed: {}, command: "fittingroom train", python: ["import fittingroom as fr", "run = fr.train()"] };
  let asked = 0;

  const recipeOf = (name) => choices.recipes.find((one) => one.name === name) ?? choices.recipes.find((one) => one.name === "course");
  const change = (part) => {
    order = { ...order, ...part };
    app.go(queryOf(order), { replace: true });
    showOrder();
    check();
    if (part.dataset) live.showSample(part.dataset).catch(app.failed);
  };
  const setSetting = (key, text) => {
    const settings = { ...order.settings, [key]: text };
    if (text === recipeOf(order.recipe).values[key]) delete settings[key];
    change({ settings });
  };

  const data = datasetChooser(choices, (dataset) => change({ dataset }), app.failed);
  const recipe = element("select", { id: "recipe", onchange: () => change({ recipe: recipe.value, settings: {} }) }, choices.recipes.map((one) => element("option", { value: one.name }, one.name)));
  const summary = element("p", { class: "hint" });
  const controls = settingControls(choices.controls, { ...recipeOf(order.recipe).values, ...order.settings }, setSetting);
  const seeds = stepper("seeds", "1", (text) => change({ seeds: Math.min(1000, Math.max(1, Math.round(Number(text)) || 1)) }), (text, up) => String(Math.max(1, (Number(text) || 1) + (up ? 1 : -1))), { id: "seeds" });
  const stops = stopConditions([choices.course_stop, "val_loss rises 3", "val_accuracy>=0.9"], (stop) => change({ stop }));
  const button = element("button", { class: "main", type: "button" }, "Train");
  const resume = element("button", { type: "button", hidden: true }, "Continue");
  const takes = element("p", { class: "hint takes", role: "status" });

  const panel = element(
    "fieldset",
    { class: "panel what", disabled: !isOwner },
    element("legend", { class: "hidden" }, "What is trained"),
    data.node,
    element("div", { class: "field" }, element("label", { for: "recipe" }, "recipe"), recipe, summary),
    controls.nodes.slice(0, 2),
    element("div", { class: "setting" }, element("label", { for: "seeds", title: "How many times it trains, each from other initial weights: the curves then have a band." }, "seeds"), seeds.node),
    controls.nodes.slice(2, -1),
    stops.node,
    controls.nodes.at(-1),
    element("div", { class: "buttons press" }, button, resume),
    takes,
  );
  const live = watchPanel(app);
  app.main.append(element("div", { class: "train" }, panel, live.node));

  const showOrder = () => {
    const own = recipeOf(order.recipe);
    data.show(order.dataset, checked.problems.dataset);
    recipe.value = own.name;
    summary.textContent = own.summary;
    controls.show({ ...own.values, ...order.settings }, own.values, checked.problems, checked.closed);
    seeds.set(String(order.seeds));
    stops.show(order.stop, own.stop, checked.problems.stop);
    showButtons();
  };
  const showButtons = () => {
    const wrong = Object.keys(checked.problems).length > 0;
    const { facts, isLive } = live;
    button.textContent = isLive ? "■ Stop" : facts?.whole ? "Train again" : "Train";
    button.disabled = isOwner ? !isLive && wrong : true;
    button.classList.toggle("main", !(facts?.whole && !isLive) || Boolean(live.command && checked.command !== live.command));
    resume.hidden = !facts?.resumable || isLive;
    takes.textContent = wrong ? "Mend what is marked to train it." : checked.takes && !isLive ? `Takes about ${checked.takes} on this machine.` : "";
    takes.classList.toggle("costly", Boolean(checked.costly) && !isLive && !wrong);
    if (!isOwner) takes.textContent = "With this link one looks. Training needs the owner's link.";
    app.command(isLive && live.command ? live.command : (checked.command ?? "fittingroom train"), checked.python ?? []);
  };
  const check = async () => {
    if (!isOwner) return showButtons();
    const number = ++asked;
    const found = await app.post("/api/trainings/check", order);
    if (number !== asked) return;
    checked = { command: null, ...found };
    showOrder();
  };

  button.addEventListener("click", app.act(async () => {
    app.failed(null);
    button.disabled = true;
    try {
      if (live.isLive) return await live.stop();
      const before = live.facts?.whole ? live.facts.run : null;
      const { name } = await app.post("/api/trainings", order);
      app.go({ run: name, ghost: live.ghost ?? before });
      if (matchMedia("(max-width: 1020px)").matches) scrollTo({ top: 0 }); // there the curves are above the settings
    } finally {
      button.disabled = false;
    }
  }));
  live.stop = app.act(async () => {
    await app.post(`/api/trainings/${encodeURIComponent(live.name)}/stop`);
    button.textContent = "Stopping …";
  });
  resume.addEventListener("click", app.act(async () => {
    await app.post(`/api/trainings/${encodeURIComponent(live.name)}/continue`);
    await live.refresh();
  }));
  live.changed = (facts) => {
    // A run that was opened by its address alone brings its own settings.
    if (facts.order && !isOrder(Object.fromEntries(new URLSearchParams(location.search))) && live.isFirst) {
      order = { ...facts.order };
      showOrder();
      check();
    }
    showButtons();
  };
  app.events({
    training: ({ name, run }) => {
      if (live.name === null || name === live.name || (run && run === live.facts?.run)) live.heard(run ?? name);
    },
  });

  showOrder();
  await Promise.all([check().catch(app.failed), live.watch(query.run ?? now.running[0] ?? null, query.ghost ?? null)]);
  live.showSample(order.dataset).catch(app.failed);
  return {
    async update(next) {
      if (isOrder(next) || !next.run) order = orderOf(next);
      showOrder();
      await Promise.all([check(), live.watch(next.run ?? null, next.ghost ?? null)]);
    },
  };
}
