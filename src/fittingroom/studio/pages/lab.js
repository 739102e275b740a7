// One lab: the question, the guess, the training while it runs, and what came out.

import { showArms } from "./arms.js";

const shell = (lab, quick, guess) => `fittingroom lab ${lab.name}${guess === null ? "" : ` --guess ${guess + 1}`}${quick ? " --quick" : ""}`;
const python = (lab, quick, guess) => {
  const settings = [JSON.stringify(lab.name), guess === null ? "" : `predicted=${guess}`, quick ? "quick=True" : ""].filter(Boolean);
  return ["import fittingroom as fr", `result = fr.lab(${settings.join(", ")})`, "print(result.claims)"];
};

const left = (seconds) => (seconds === null ? "" : seconds < 90 ? `about ${seconds} s left` : `about ${Math.round(seconds / 60)} min left`);

export const showLab = async (app, name) => {
  const { element, named } = app;
  const path = `/api/labs/${encodeURIComponent(name)}`;
  let lab = await app.get(path);
  let guess = lab.guess;
  const owner = app.role === "owner";
  const holder = (id) => element("div", { id });
  const [head, guessing, running, results] = ["lab-head", "lab-guess", "lab-running", "lab-results"].map(holder);
  app.main.replaceChildren(head, guessing, running, results);

  const paragraphs = (texts, kind) => texts.map((text) => element("p", { class: kind }, ...coded(text)));
  const coded = (text) => text.split(/`([^`]+)`/).map((part, place) => (place % 2 ? element("code", null, part) : part));
  const isRunning = () => lab.progress.running;
  const command = (quick = false) => app.command(shell(lab, quick, guess), python(lab, quick, guess));

  const drawHead = () => {
    const codes = lab.codes.map(({ name: arm, code }) =>
      element("details", null, element("summary", null, "The code of ", named(arm)), element("pre", { class: "block", tabindex: "0" }, element("code", null, code))),
    );
    head.replaceChildren(
      element("p", { class: "eyebrow" }, element("a", { href: app.link("labs") }, "Labs"), lab.number ? ` · ${lab.number}` : ""),
      element("h1", null, named(lab.title)),
      ...paragraphs(lab.question, "question lead"),
      ...(lab.course ? [element("p", { class: "hint" }, "The course says:"), element("blockquote", null, paragraphs(lab.course, "lead"))] : []),
      ...(lab.results === null || isRunning() ? codes : []), // the results have them too
    );
  };

  // Until something is measured the guess may change; then it stands, and the results say what became of it.
  const drawGuess = () => {
    guessing.hidden = lab.ask === null || (lab.results !== null && !isRunning());
    if (guessing.hidden) return;
    const fixed = lab.measured || isRunning() || !owner;
    const choice = (text, place) => {
      const input = element("input", { type: "radio", name: "guess", value: String(place), checked: place === guess, disabled: fixed });
      input.addEventListener("change", app.act(async () => {
        guess = place;
        command();
        await app.post(`${path}/guess`, { chosen: place });
        drawRunning();
      }));
      return element("label", { class: "guess" }, input, named(text));
    };
    const said = guess !== null ? "Your guess is kept." : fixed ? (lab.measured ? "No guess was made before this was measured." : "") : "Guess first. It is kept, and compared with what comes out.";
    guessing.replaceChildren(
      element("section", { class: "panel" }, element("fieldset", { class: "guesses" }, element("legend", null, named(lab.ask)), lab.answers.map(choice)), element("p", { class: "hint" }, said)),
    );
  };

  const begin = (quick) => app.act(async () => {
    app.failed(null);
    command(quick);
    lab.progress = await app.post(`${path}/run`, { chosen: lab.measured ? null : guess, quick });
    lab.said = null;
    draw();
  });
  const stop = app.act(async () => {
    running.querySelector("#stop-lab").disabled = true;
    await app.post(`${path}/stop`);
    app.status("stopping; what is trained is kept", "busy");
  });

  const buttons = () => {
    if (isRunning()) return owner ? [element("button", { id: "stop-lab", onclick: stop }, "Stop, and keep what is done")] : [];
    if (!owner) return [element("p", { class: "hint" }, "Running a lab needs the owner's link.")];
    const again = lab.results !== null;
    const name = again ? null : lab.measured ? "Continue" : guess === null && lab.ask !== null ? "Measure without a guess" : "Measure";
    const whole = name && element("button", { class: "main", id: "run-lab", onclick: begin(false) }, name);
    const quick = lab.quick && !lab.measured && element("button", { id: "quick-lab", onclick: begin(true) }, `Quick: ${lab.quick.seeds} seeds${lab.quick.takes ? `, about ${lab.quick.takes}` : ""}`);
    const more = again && lab.was_quick && element("button", { class: "main", id: "run-lab", onclick: begin(false) }, "Add the other seeds");
    return [whole, quick, more].filter(Boolean);
  };

  const drawRunning = () => {
    const parts = [];
    const takes = lab.takes && !isRunning() && lab.results === null ? `All of it takes about ${lab.takes} on two cores${lab.cores === 2 ? "" : ` (this machine has ${lab.cores})`}.` : "";
    if (lab.said) parts.push(element("p", { class: "note" }, named(lab.said)));
    if (isRunning() || (lab.measured && lab.results === null)) parts.push(showArms(app, lab.progress), curvesOf(lab.curves));
    const row = buttons();
    if (row.length) parts.push(element("p", { class: "buttons" }, row, takes && element("span", { class: "hint" }, takes)));
    running.hidden = parts.length === 0;
    running.replaceChildren(...(parts.length ? [element("section", { class: "panel" }, element("h2", null, isRunning() ? "Measuring" : "The measurement"), parts)] : []));
    if (!isRunning()) app.status("");
    else app.status(["measuring", `${Math.round(100 * lab.progress.share)}%`, left(lab.progress.seconds_left)].filter(Boolean).join(", "), "busy");
  };

  const curvesOf = (html) => {
    const place = element("div", { id: "lab-curves" });
    if (html.trim()) place.append(app.drawn(`<div>${html}</div>`));
    return place;
  };

  const drawResults = () => {
    results.replaceChildren();
    if (lab.results === null || isRunning()) return;
    results.className = "lab";
    results.append(app.drawn(`<div>${lab.results}</div>`));
  };

  const draw = () => (drawHead(), drawGuess(), drawRunning(), drawResults(), command(lab.was_quick));
  draw();

  app.events({
    lab: async (news) => {
      if (news.name !== lab.name) return;
      if (news.ended) {
        lab = await app.get(path);
        guess = lab.guess;
        draw();
        return;
      }
      const began = !isRunning();
      lab.progress = { ...lab.progress, ...news };
      if (news.curves !== undefined) lab.curves = news.curves;
      lab.measured = true;
      if (began) draw();
      else drawRunning();
    },
  });
  return { update: () => app.again() };
};
