// Try: draw, drop or photograph something, and see what the run says of it while the pen moves.

import { brush } from "./brush.js";
import { correction } from "./correction.js";
import { latest } from "./latest.js";
import { cameraStage, photoStage, receive } from "./photo.js";
import { pictures, verdict } from "./verdict.js";

export const aboutOneRun = true;

const AGAIN = 1_000; // ms between two looks at whether photos are answered yet
const WAITING = ["Photos are answered in about", "s: the run is being calibrated on synthetic photos, once. Drawings are answered meanwhile."];

const nothing = (app) => {
  app.command("fittingroom train", ["import fittingroom as fr", "run = fr.train()"]);
  const button = app.element("a", { class: "button main", href: app.link("train") }, "Train one");
  app.nothing("No run yet", "A run is what a training leaves. The first one takes a few seconds.", button);
};

export async function show(app, query) {
  const run = app.run(query);
  if (!run) return nothing(app);
  const base = app.base ?? `/api/runs/${encodeURIComponent(run)}`;
  const facts = await app.get(`${base}/try`);
  app.command(`fittingroom predict ${run} model-input.png`, [
    "import fittingroom as fr",
    `print(fr.open_run(${JSON.stringify(run)}).answer("model-input.png")[0].why)`,
  ]);
  return view(app, facts, base, query);
}

const sampleStage = ({ element }, facts, chose) => {
  const button = (picture, at) => element("button", { type: "button", onclick: () => chose(at) }, element("img", { src: picture, alt: `Image ${at + 1}` }));
  return element("div", { class: "samples", role: "group", "aria-label": "Samples" }, (facts.samples ?? []).map(button));
};

const view = (app, facts, base, query) => {
  const { element } = app;
  // A page that holds its model has samples to look at: pictures of images that nobody has to draw first.
  const modes = { draw: "Draw", photo: "Photo", camera: "Camera", ...(facts.samples?.length ? { sample: "Samples" } : {}) };
  let mode = modes[query.from] ? query.from : facts.photo.first || !facts.drawing.possible ? "photo" : "draw";
  let fills = facts.drawing.fills;
  let tried = null; // {kind, body}, of the answer that is shown
  let timer = null;
  let turn = 0; // counts what was begun and left

  const side = Math.max(...facts.shape.slice(0, 2));
  const multiple = (size) => `${side > size ? size : Math.max(Math.round(size / side), 1) * side}px`;
  const failed = element("p", { class: "note", role: "alert", hidden: true });
  const say = (text) => {
    failed.hidden = !text;
    failed.replaceChildren(text ? app.named(text) : "");
  };
  const waiting = () => {
    if (mode === "sample") return ["Choose an image", null];
    if (mode === "draw" && facts.drawing.possible) return ["Draw something", facts.drawing.note];
    return facts.photo.possible ? ["Show it a photo", facts.photo.note] : ["It takes no pictures", null];
  };
  const answer = verdict(app, facts, waiting);
  const steps = pictures(app, "steps");
  const nearest = pictures(app, "nearest");
  const notes = element("p", { class: "hint" });
  const save = element("a", { class: "quiet button", download: "model-input.png", hidden: true }, "Save what the model gets");
  const middle = element("div", { class: "after-answer", hidden: true });

  const shown = (found, what) => {
    tried = what;
    say(null);
    answer.show(found);
    middle.hidden = false;
    steps.show(found.steps.map(({ name, note, picture }) => ({ text: name, note, picture })));
    nearest.show(found.nearest.map(({ label, picture, likeness }) => ({ text: label, picture, note: `${Math.round(100 * likeness)}% alike` })));
    notes.textContent = found.notes.join(" ");
    save.hidden = false;
    save.href = found.steps.at(-1).picture;
    corrected.show(found);
    if (what.kind === "drawing") sheet.show(found.steps.find(({ name }) => name === "filled")?.picture ?? null);
    else if (what.kind === "photo") photo.show(found.steps[0].picture);
  };
  const empty = () => {
    tried = null;
    answer.clear();
    middle.hidden = true;
    corrected.show(null);
  };

  const drawings = latest(
    (body) => app.post(`${base}/try/drawing`, body),
    (found, body) => shown(found, { kind: "drawing", body }),
    (error) => (empty(), say(error.message)),
  );
  // A run that was just trained is prepared for photos first; what is shown counts down meanwhile.
  const prepared = async () => {
    for (const own = turn; facts.photo.wait !== null && own === turn; ) {
      say(`${WAITING[0]} ${Math.max(Math.round(facts.photo.wait), 1)} ${WAITING[1]}`);
      await new Promise((done) => setTimeout(done, AGAIN));
      facts.photo.wait = (await app.get(`${base}/try`)).photo.wait;
    }
  };
  const photos = latest(
    async (body) => {
      await prepared();
      return app.post(`${base}/try/photo`, body, { headers: { "content-type": body.type || "application/octet-stream" } });
    },
    (found, body) => shown(found, { kind: "photo", body }),
    (error, body) => {
      empty();
      photo.show(null);
      say(error.message);
      // Somebody else has had it prepared again meanwhile.
      if (error.code === "preparing") timer = setTimeout(() => photos.push(body), AGAIN);
    },
  );
  const samples = latest(
    (index) => app.post(`${base}/try/sample`, { index }),
    (found, index) => shown(found, { kind: "sample", body: { index } }),
    (error) => (empty(), say(error.message)),
  );
  const stop = () => {
    turn += 1;
    clearTimeout(timer);
    for (const questions of [drawings, photos, samples]) questions.drop();
  };

  const drew = () => {
    if (mode !== "draw") return;
    if (!sheet.strokes.length) {
      drawings.drop();
      say(null);
      return empty();
    }
    drawings.push({ strokes: sheet.strokes.map(({ points, erases }) => (erases ? { points, erases } : points)), fills });
  };
  const took = (blob, { stay = false } = {}) => {
    if (!stay) change("photo");
    clearTimeout(timer);
    say(null);
    photos.push(blob);
  };

  const sheet = facts.drawing.possible ? brush(app, facts, drew) : { node: element("p", { class: "note" }, facts.drawing.why_not), strokes: [], show: () => {}, focus: () => {} };
  const photo = facts.photo.possible ? photoStage(app, took) : { node: element("p", { class: "note" }, facts.drawing.why_not), show: () => {} };
  const camera = facts.photo.possible ? cameraStage(app, took, facts.photo.where) : { node: photo.node, leave: () => {} };
  const corrected = correction(app, facts, base, () => tried);

  const fill = element("input", { type: "checkbox", checked: fills, onchange: () => ((fills = fill.checked), drew()) });
  const draw = element(
    "div",
    null,
    sheet.node,
    facts.drawing.placed ? element("label", { class: "check" }, fill, " Fill what lines enclose") : null,
  );
  const stages = { draw, photo: photo.node, camera: camera.node, sample: sampleStage(app, facts, samples.push) };
  const tabs = Object.entries(modes).map(([name, text]) => element("button", { type: "button", onclick: () => change(name) }, text));
  const stage = element("div", { class: "stage" });

  const change = (name) => {
    const before = mode;
    mode = name;
    tabs.forEach((tab, at) => tab.setAttribute("aria-pressed", String(Object.keys(modes)[at] === name)));
    stage.replaceChildren(stages[name]);
    if (name !== "camera") camera.leave();
    if (before === name) return;
    stop();
    say(null);
    app.go?.({ from: name }, { replace: true });
    empty();
    photo.show(null);
    if (name === "draw") drew();
  };

  middle.append(
    element("h2", null, "What the model gets"),
    steps.node,
    notes,
    save,
    facts.nearest ? element("h2", null, "Nearest in training ", element("small", null, facts.nearest)) : "",
    facts.nearest ? nearest.node : "",
  );
  const hint = element("p", { class: "hint steps-empty" }, "Every step from your drawing or photo to the model's image is shown here.");
  app.main.replaceChildren(
    element(
      "div",
      { class: "try", style: { "--model": multiple(112), "--near": multiple(84), "--drawn": side > 112 ? "auto" : "pixelated" } }, // whole multiples keep pixels equal
      element("div", { role: "region", class: "panel try-stage", "aria-label": "Drawing or photo" }, element("div", { class: "segmented", role: "group", "aria-label": "From" }, tabs), stage, failed),
      element("div", { role: "region", class: "panel try-steps", "aria-label": "What the model gets" }, middle, hint),
      element("div", { role: "region", class: "panel try-answer", "aria-label": "Answer" }, answer.node, corrected.node ?? ""),
    ),
  );
  change(mode);
  const stopReceiving = receive(app.main, took);
  if (mode === "draw") {
    sheet.focus();
    drew();
  }
  return {
    leave: () => {
      stop();
      stopReceiving();
      camera.leave();
    },
    // The mode is part of the address; another run is shown from nothing.
    update: (next) => (app.base || app.run(next) === facts.run ? change(modes[next.from] ? next.from : mode) : app.again()),
  };
};
