// Audit: the page of a run's audit in a frame of its own, which can reach nothing here. What is decided in its review it
// tells this view, which keeps it beside the run.

export const aboutOneRun = true;

const quoted = (text) => (/^[\w./:-]+$/.test(text) ? text : `'${text.replaceAll("'", `'"'"'`)}'`);
const SAVE_AFTER = 400; // ms without a decision

const commands = (app, run) =>
  app.command(`fittingroom audit ${quoted(run)}`, ["import fittingroom as fr", `print(fr.open_run(${JSON.stringify(run)}).audit())`]);

export async function show(app, query) {
  const { element } = app;
  const run = app.run(query);
  commands(app, run ?? "RUN");
  if (run === null) {
    app.nothing("Nothing to audit yet", "Train a run first. An audit then says whether its data and its model can be trusted.",
      element("a", { class: "button main", href: app.link("train") }, "Train one"));
    return {};
  }
  const path = `/api/runs/${encodeURIComponent(run)}`;
  const facts = await app.get(`${path}/audit`);
  if (!facts.made) {
    app.nothing("Not audited yet",
      "An audit takes some minutes: duplicates, wrong labels, groups for which the model is worse, disturbed pictures. Copy the command below into a terminal; what it finds appears here.",
      element("button", { class: "main", onclick: () => app.again() }, "Look again"));
    return {};
  }
  const page = element("iframe", { class: "audit-page", title: `Audit of ${run}`, sandbox: "allow-scripts allow-downloads", src: `${path}/audit-page` });
  const kept = element("span", { class: "muted", role: "status" });
  let [waiting, list] = [null, null];

  const keep = async () => {
    [waiting, list] = [null, list];
    const done = await app.put(`${path}/review`, { list });
    kept.textContent = `${done.decided} decisions are kept beside the run, in ${done.file}.`;
  };
  const hear = (event) => {
    if (event.source !== page.contentWindow || typeof event.data?.list !== "string") return;
    list = event.data.list;
    clearTimeout(waiting);
    waiting = setTimeout(app.act(keep), SAVE_AFTER);
  };
  window.addEventListener("message", hear);
  page.addEventListener("load", () => {
    // The page has no origin of its own, so no other target can be named. It learns only what was decided in it before.
    if (app.role === "owner") page.contentWindow.postMessage({ decided: facts.rows }, "*");
  });
  app.main.append(element("div", { class: "audit-view" }, element("p", { class: "audit-kept" }, kept), page));
  return {
    leave: () => {
      window.removeEventListener("message", hear);
      if (waiting === null) return;
      clearTimeout(waiting);
      app.act(keep)();
    },
  };
}
