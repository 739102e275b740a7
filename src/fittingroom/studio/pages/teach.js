// Teach: classes are filled with photos, a run learns them in seconds, and says at once what it makes of another photo.

import { camera } from "./camera.js";
import { latest } from "./latest.js";
import { photoStage, receive } from "./photo.js";
import { classCard } from "./teach_class.js";
import { verdict } from "./verdict.js";

export const aboutOneRun = true;

const percent = (share) => `${Math.round(100 * share)}%`;

const nothing = (app) => {
  app.command("fittingroom train", ["import fittingroom as fr", "run = fr.train()"]);
  app.nothing("No run yet", "A run is taught your own photos. Train one first; it takes a few seconds.", app.element("a", { class: "button main", href: app.link("train") }, "Train one"));
};

export async function show(app, query) {
  const run = app.run(query);
  if (!run) return nothing(app);
  const base = `/api/teach/${encodeURIComponent(run)}`;
  return view(app, run, base, await app.get(base));
}

const view = (app, run, base, first) => {
  const { element, named } = app;
  const owner = app.role === "owner";
  const cam = camera(app);
  let state = first;
  let holder = null; // who has the camera
  let cards = [];
  let working = app.frame.work.some((task) => task.key === `teaching ${run}` && ["waiting", "running"].includes(task.state));

  const claim = (next) => {
    if (holder !== next) holder?.release();
    holder = next;
  };

  // The classes.
  const list = element("ul", { class: "taught-classes" });
  const suggestions = element("datalist", { id: "known-classes" });
  const problem = element("p", { class: "hint problem", role: "alert", hidden: true });
  const add = app.act(async () => {
    const taken = new Set(cards.map((card) => card.name()));
    let number = cards.length + 1;
    while (taken.has(`class ${number}`)) number += 1;
    const { name } = await app.post(`${base}/classes`, { name: `class ${number}` });
    const card = cardOf({ name, known: false, photos: [], count: 0 });
    cards.push(card);
    list.append(card.node);
    card.focus();
    drawTeach();
  });
  const cardOf = (one) => classCard(app, cam, base, one, { knows: state.known, changed: () => { cards = cards.filter((card) => card.node.isConnected); drawTeach(); }, claim });
  const drawClasses = () => {
    suggestions.replaceChildren(...state.known.map((name) => element("option", { value: name })));
    cards = state.classes.map(cardOf);
    list.replaceChildren(...cards.map((card) => card.node));
  };

  // Teaching, and what came of it.
  const result = element("div", { class: "taught-result" });
  const counting = element("span", { class: "wait", role: "status", hidden: true });
  const button = element("button", { type: "button", class: "main", id: "teach", onclick: app.act(async () => {
    problem.hidden = true;
    working = true;
    counting.textContent = "";
    drawTeach();
    try {
      await app.post(`${base}/begin`);
    } catch (error) {
      working = false;
      drawTeach();
      throw error;
    }
  }) }, "Teach");
  const hint = element("p", { class: "hint" });
  const changedSince = () => {
    const taught = new Map((state.taught?.per_class ?? []).map((one) => [one.class, one.photos]));
    return cards.some((card) => card.count() && taught.get(card.name()) !== card.count());
  };
  const drawTeach = () => {
    const photos = cards.reduce((sum, card) => sum + card.count(), 0);
    button.disabled = working || !photos;
    button.textContent = state.taught && !working ? "Teach again" : "Teach";
    counting.hidden = !working;
    hint.textContent = working
      ? ""
      : !photos
        ? "Give a class some photos: five are a beginning, twenty are good. Classes that the run knows may get photos, and new ones."
        : state.taught && changedSince()
          ? "The photos have changed since; teach again to use them."
          : "";
  };
  const line = (label, value) => element("div", { class: "line" }, element("span", null, named(label)), element("b", null, value));
  const drawResult = () => {
    const taught = state.taught;
    if (!taught) return result.replaceChildren();
    const curve = element("div");
    if (taught.drawing) curve.append(app.drawn(`<div>${taught.drawing}</div>`));
    result.replaceChildren(
      element(
        "p",
        { class: "numbers-big" },
        taught.accuracy === null ? "Taught" : percent(taught.accuracy),
        element("small", { class: "muted" }, taught.accuracy === null ? "With so few photos nothing can be checked." : "of your photos, by models that had not seen them"),
      ),
      ...(taught.sentences ?? []).map((text) => element("p", null, named(text))),
      curve,
      element("div", { class: "lines" }, (taught.per_class ?? []).map((one) => line(one.class, one.checked ? `${one.right} of ${one.checked} right` : `${one.photos} photos`))),
      element("p", { class: "buttons" }, element("a", { class: "button", href: app.link("try", { run: taught.run, from: "photo" }) }, "Open in Try"), element("a", { class: "button", href: app.link("understand", { run: taught.run }) }, "Understand it")),
    );
  };

  // The answer, live.
  const answers = element("div", { class: "try" });
  let asking = null; // {run, answer, ask}
  let loop = 0;
  const trying = element("div", { class: "camera-stage", hidden: true });
  const failed = element("p", { class: "note", role: "alert", hidden: true });
  const say = (text) => {
    failed.hidden = !text;
    failed.replaceChildren(text ? named(text) : "");
  };
  const photo = photoStage(app, (blob) => tryPhoto(blob));
  const tryPhoto = (blob) => {
    claim(null);
    cam.stop();
    photo.show(URL.createObjectURL(blob));
    asking?.ask.push(blob);
  };
  const live = {
    release: () => {
      loop += 1;
      trying.hidden = true;
      photo.node.hidden = false;
      watch.textContent = "Camera";
    },
  };
  const watch = element("button", { type: "button", onclick: async () => {
    if (!trying.hidden) {
      cam.stop();
      return live.release();
    }
    claim(live);
    say(null);
    photo.show(null);
    try {
      await cam.start();
    } catch (error) {
      return say(error.message);
    }
    if (!cam.on()) return;
    trying.replaceChildren(cam.video);
    cam.video.play();
    trying.hidden = false;
    photo.node.hidden = true;
    watch.textContent = "Camera off";
    const own = (loop += 1);
    while (own === loop) {
      const frame = await cam.frame();
      if (frame && own === loop) await asking?.once(frame);
      await new Promise((resolve) => setTimeout(resolve, 60));
    }
  } }, "Camera");
  const drawAnswer = async () => {
    const taught = state.taught?.run;
    if (!taught) {
      answers.replaceChildren(element("p", { class: "hint" }, "When the run is taught, show it a photo or hold something before the camera: the answer appears here at once."));
      return;
    }
    if (asking?.run === taught) return;
    const place = `/api/runs/${encodeURIComponent(taught)}`;
    const facts = await app.get(`${place}/try`);
    const answer = verdict(app, facts, () => ["Show it a photo", facts.photo.note]);
    // A run that was just taught may be prepared for photos first.
    const prepared = async () => {
      for (; facts.photo.wait !== null; facts.photo.wait = (await app.get(`${place}/try`)).photo.wait) {
        say(`Photos are answered in about ${Math.max(Math.round(facts.photo.wait), 1)} s: the run is being made ready for them, once.`);
        await new Promise((resolve) => setTimeout(resolve, 1000));
      }
    };
    const send = async (blob) => {
      await prepared();
      return app.post(`${place}/try/photo`, blob, { headers: { "content-type": blob.type || "application/octet-stream" } });
    };
    const shown = (found) => (say(null), answer.show(found));
    const wrong = (error) => (answer.clear(), say(error.message));
    asking = {
      run: taught,
      ask: latest(send, shown, wrong),
      once: async (blob) => {
        try {
          shown(await send(blob));
        } catch (error) {
          wrong(error);
        }
      },
    };
    answers.replaceChildren(photo.node, trying, element("div", { class: "buttons" }, watch), failed, answer.node);
  };

  const draw = async () => {
    drawResult();
    drawTeach();
    await drawAnswer();
  };
  const command = () => {
    const photos = state.folder || "photos/";
    app.command(`fittingroom teach ${run} ${photos}`, ["import fittingroom as fr", `run = fr.open_run(${JSON.stringify(run)}).teach(${JSON.stringify(photos)})`, "print(run.teaching)"]);
  };
  command();
  drawClasses();
  app.main.replaceChildren(
    element("h1", null, "Teach ", named(run), " your own photos"),
    element(
      "div",
      { class: "teach" },
      element("section", { "aria-label": "Classes" }, list, suggestions, owner ? element("button", { type: "button", onclick: add, id: "add-class" }, "Add a class") : element("p", { class: "hint" }, "Adding photos and teaching need the owner's link.")),
      element("section", { class: "panel", "aria-label": "Teaching" }, element("h2", null, "Teaching"), owner ? element("p", { class: "buttons" }, button, counting) : "", hint, problem, result),
      element("section", { class: "panel", "aria-label": "Answer" }, element("h2", null, "The answer"), answers),
    ),
  );
  draw().catch((error) => app.failed(error));

  const stopReceiving = receive(app.main, (file) => state.taught && tryPhoto(file));
  app.events({
    work: app.act(async (task) => {
      if (task.key !== `teaching ${run}`) return;
      working = ["waiting", "running"].includes(task.state);
      counting.textContent = `teaching, ${task.done} s`;
      problem.hidden = task.state !== "failed";
      problem.replaceChildren(named(task.message ?? ""));
      if (task.state === "done") {
        const fresh = await app.get(base);
        state = { ...state, taught: fresh.taught };
        await draw();
      }
      drawTeach();
    }),
  });
  return {
    leave: () => {
      loop += 1;
      stopReceiving();
      cam.stop();
    },
    update: (query) => (app.run(query) === run ? undefined : app.again()),
  };
};
