// The router: which view is shown, and what a view is given.
//
// How a view plugs in: `<view>.js` exports
//
//   export const aboutOneRun = true;              // optional: the frame offers the runs to choose from (query `run`)
//   export async function show(app, query) {...}  // fills `app.main`, which is empty; returns {update, leave}, both optional
//
// Its own styles are in `<view>.css`, which every page loads after studio.css; the building blocks are named there.
//
// `query` is a plain object of the address's query, all texts. `update(query)` is called when only the query changed (by
// `app.go`, back, forward or the chooser); without it, `show` is called again. `leave()` is called before another view.
// While `show` runs for more than 300 ms, the frame says so: `app.loading("Reading images", done, of)` makes it count. What
// `show` or `update` throws is shown in place, with a button that tries again.
//
//   app.main, app.element(name, props, ...children), app.svg(name, attributes), app.named(text), app.drawn(html)
//   app.get(path), app.post(path, body), app.put(path, body), app.remove(path)    throw Refused {message, status, code}
//   app.go(query, {replace})      merges into this view's query; a null removes a key; replace for what is dragged
//   app.open(path, query)         another view: app.open("/understand", {run: "course-1"})
//   app.link(view, query)         the address of a view, for <a href>; such links are followed without loading the page
//   app.run(query)                the run that is meant: `query.run`, else the newest finished one, else null
//   app.frame                     {role, version, folder, runs: [{name, status, recipe, dataset, seeds}], work}, kept new
//   app.role                      "owner" or "guest"; hide or disable what guests may not do
//   app.events({kind: handler})   until the view is left; kinds: `runs` {changed}, `work`, `reset` (load everything again),
//                                 and what routes publish with `studio.events.publish(kind, data)`
//   app.command(shell, python)    the last line: always what the page shows; python a text or a list of lines
//   app.status(text, kind)        the line at the top; kind "busy" puts a dot before it
//   app.failed(error)             shows an error above the view, as of a button; null takes it away
//   app.act(function)             an event handler that shows what the function throws
//   app.nothing(title, text, ...buttons)   fills the view with its "nothing yet"
//   app.again()                   shows the view again from nothing

import * as activity from "./activity.js";
import * as api from "./api.js";
import { drawn, element, named, number, svg } from "./dom.js";
import { connect, listen } from "./events.js";
import * as frame from "./frame.js";

const main = document.getElementById("view");
const LOADING_AFTER = 300; // ms
let current = null; // {view, module, shown, stops, token}

const queryOf = () => Object.fromEntries(new URLSearchParams(location.search));
const viewOf = () => location.pathname.slice(1);

const link = (view, query = {}) => {
  const kept = Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== "");
  const text = new URLSearchParams(kept.map(([key, value]) => [key, String(value)])).toString();
  return `/${view}${text ? `?${text}` : ""}`;
};

const report = (error) => {
  if (error.name === "AbortError") return;
  frame.showFailure(error);
  if (!(error instanceof api.Refused)) console.error(error);
};

const app = {
  main, element, svg, named, drawn, number, link,
  get: api.get, post: api.post, put: api.put, remove: api.remove,
  frame: { role: "guest", runs: [], work: [] },
  get role() {
    return app.frame.role;
  },
  run(query) {
    return query.run || app.frame.runs.find((run) => run.status === "finished")?.name || null;
  },
  go(query, { replace = false } = {}) {
    const address = link(viewOf(), { ...queryOf(), ...query });
    if (address === location.pathname + location.search) return;
    history[replace ? "replaceState" : "pushState"](null, "", address);
    if (!replace) arrive();
    else showFrame();
  },
  open(path, query) {
    history.pushState(null, "", link(path.replace(/^\//, ""), query));
    arrive();
  },
  command: frame.setCommand,
  status: frame.showStatus,
  failed: (error) => frame.showFailure(error),
  act: (work) => async (event) => {
    try {
      await work(event);
    } catch (error) {
      report(error);
    }
  },
  nothing(title, text, ...buttons) {
    this.main.replaceChildren(
      element("section", { class: "nothing" }, element("h1", null, title), element("p", null, text), element("p", { class: "buttons" }, buttons)),
    );
  },
  again: () => showView(viewOf(), queryOf()),
};

// Where a link leads from here: the run that is looked at stays the same from view to view.
const railLink = (view) => link(view, current?.module.aboutOneRun && view !== "train" ? { run: queryOf().run } : {});

const showActivity = () => {
  const going = activity.current();
  const elsewhere = going && !(viewOf() === "train" && going.name); // the view itself says more
  frame.showActivity(elsewhere ? going.text : null, going?.name ? link("train", { run: going.name }) : null);
};

function showFrame() {
  showActivity();
  const view = viewOf();
  frame.showRail(view, railLink);
  const runs = current?.module.aboutOneRun ? app.frame.runs.filter((run) => run.status === "finished") : [];
  frame.showChooser(runs, app.run(queryOf()), (run) => app.go({ run }));
  document.title = `${frame.titleOf(view)} – Fitting Room`;
}

const leave = () => {
  current?.stops.forEach((stop) => stop());
  current?.shown?.leave?.();
};

// The same view with another query, or another view.
async function arrive() {
  frame.showFailure(null);
  const [view, query] = [viewOf(), queryOf()];
  if (current?.view === view && current.shown?.update) {
    showFrame();
    const here = current;
    try {
      await here.shown.update(query);
    } catch (error) {
      if (here === current) failedHere(error);
    }
    return;
  }
  await showView(view, query);
}

async function showView(view, query) {
  leave();
  const here = { view, module: {}, shown: null, stops: [] };
  const another = current !== null && current.view !== view;
  current = here;
  frame.showStatus("");
  const loading = element("p", { class: "loading", role: "status" });
  main.setAttribute("aria-busy", "true");
  // Nothing jumps: what a view has filled in already stays where it is, and the line at the top counts.
  let [isLate, hasOwnWords] = [false, false];
  const tell = () => {
    if (here !== current || !isLate) return;
    if (main.children.length === Number(loading.isConnected)) main.prepend(loading);
    else if (!hasOwnWords) frame.showStatus(loading.textContent, "busy");
  };
  const late = setTimeout(() => ((isLate = true), tell()), LOADING_AFTER);
  // What this view listens to ends with it. Where it was left while it loads, it goes on without a page to write to.
  const nowhere = element("main");
  const own = Object.create(app, { main: { get: () => (here === current ? main : nowhere) } });
  for (const name of ["command", "failed"]) own[name] = (...said) => here === current && app[name](...said);
  own.loading = (what, done, of) => {
    loading.textContent = of === undefined ? `${what} …` : `${what}: ${number(done)} of ${number(of)}`;
    tell();
  };
  own.status = (text, kind) => {
    if (here !== current) return;
    hasOwnWords = Boolean(text); // what the view says of itself is not counted over while the rest of it loads
    frame.showStatus(text, kind);
  };
  own.events = (handlers) => {
    const stop = listen(handlers);
    here.stops.push(stop);
    if (here !== current) stop();
    return stop;
  };
  own.loading("Loading");
  try {
    here.module = await import(`./${view}.js`);
    if (here !== current) return;
    main.replaceChildren();
    if (another) scrollTo(0, 0);
    main.className = `view-${view}`;
    showFrame();
    const shown = (await here.module.show(own, query)) ?? {};
    if (here === current) here.shown = shown;
    else shown.leave?.();
  } catch (error) {
    if (here === current) failedHere(error);
  } finally {
    clearTimeout(late);
    loading.remove();
    if (here === current) main.removeAttribute("aria-busy");
    if (document.getElementById("status").textContent === loading.textContent) frame.showStatus("");
  }
  if (another && here === current && document.activeElement?.closest("#views")) main.focus({ preventScroll: true });
}

const failedHere = (error) => {
  if (error.name === "AbortError") return;
  if (!(error instanceof api.Refused)) console.error(error);
  const again = element("button", { onclick: () => showView(viewOf(), queryOf()) }, "Try again");
  main.replaceChildren(
    element("section", { class: "nothing", role: "alert" }, element("h1", null, "This did not work"), element("p", null, named(error.message)), element("p", null, again)),
  );
};

const loadFrame = async () => {
  app.frame = await api.get("/api/frame");
  activity.begin(app.frame.work);
  frame.showRole(app.role);
  frame.showPlace(app.frame.folder, app.frame.runs.length);
};

// Links to our own views are followed without loading the page again.
const follow = (event) => {
  const anchor = event.target.closest?.("a[href]");
  if (!anchor || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  if (anchor.origin !== location.origin || !frame.VIEWS.includes(anchor.pathname.slice(1)) || anchor.target || anchor.hash) return;
  event.preventDefault();
  history.pushState(null, "", anchor.pathname + anchor.search);
  arrive();
};

const start = async () => {
  document.addEventListener("click", follow);
  addEventListener("popstate", arrive);
  addEventListener("unhandledrejection", (event) => {
    if (event.reason instanceof api.Refused || event.reason?.name === "AbortError") event.preventDefault();
    report(event.reason);
  });
  frame.startCommand();
  frame.showRail(viewOf(), railLink);
  try {
    await loadFrame();
  } catch (error) {
    failedHere(error);
    return;
  }
  connect(frame.showConnection);
  const renew = async () => {
    await loadFrame();
    showFrame();
  };
  listen({
    training: (data) => (activity.training(data), showActivity()),
    work: (task) => (activity.work(task), showActivity()),
  });
  listen({ runs: renew, reset: async () => (await renew(), app.again()) });
  await showView(viewOf(), queryOf());
};

start();
