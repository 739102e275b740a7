// "That is a …": keeps what the model got as an example of its right class, and says where.

// correction(app, facts, base, current) → {node, show(answer)}; `current()` is what was tried: {kind, body}.
export const correction = (app, facts, base, current) => {
  const { element, named } = app;
  const kept = facts.corrections;
  if (!kept) return { node: null, show: () => {} };
  const select = element("select", { id: "right-class" }, facts.classes.map((name) => element("option", { value: name }, name)));
  const count = element("span");
  const said = element("p", { class: "hint", role: "status" });
  const size = facts.shape.slice(0, 2).reverse().join("×");
  const counted = (number) => {
    count.textContent = number === 1 ? "1 example is kept." : `${number} examples are kept.`;
  };
  const undo = (name, label) => async () => {
    const { corrections } = await app.remove(`${base}/try/corrections/${name}`);
    counted(corrections.count);
    said.replaceChildren("Taken away again: nothing of it is kept as ", named(label), ".");
  };
  const keep = async () => {
    const { kind, body } = current();
    const label = select.value;
    const answer = await app.post(`${base}/try/corrections/${kind}?label=${encodeURIComponent(label)}`, body);
    counted(answer.corrections.count);
    const back = element("button", { type: "button", class: "quiet", onclick: app.act(undo(answer.kept.name, label)) }, "Undo");
    said.replaceChildren("Kept as ", named(label), ". ", back);
  };
  const button = element("button", { type: "button", disabled: true, onclick: app.act(keep) }, "Keep it");
  const node = element(
    "div",
    { class: "correction" },
    element("p", { class: "buttons" }, element("label", { for: "right-class" }, "That is a"), select, button),
    element("p", { class: "hint" }, `Keeps what the model gets, ${size} pixels and nothing else, as a PNG in `, named(kept.folder, { class: "path" }), " on the machine that runs Fitting Room, as a dataset to train on. ", count),
    said,
  );
  counted(kept.count);
  let touched = false;
  select.addEventListener("change", () => (touched = true));
  return {
    node,
    show: (answer) => {
      button.disabled = !answer;
      if (!touched && answer) select.value = answer.class;
      if (!answer) {
        touched = false;
        said.replaceChildren();
      }
    },
  };
};
