// The frame around every view: rail, run chooser, status, what failed, the connection, and the command line.

import { clock, element, named, number } from "./dom.js";
import { icon } from "./icons.js";

const byId = (id) => document.getElementById(id);
const NAMES = { train: "Train", understand: "Understand", try: "Try", teach: "Teach", runs: "Runs", class: "Class", labs: "Labs", benchmarks: "Benchmarks", test: "Test", audit: "Audit" };
const RAIL = Object.keys(NAMES).filter((view) => view !== "audit"); // reached from a run, as its report is
const RUN_STATES = { training: "in training", stopped: "stopped", unreadable: "unreadable" };

export const VIEWS = Object.keys(NAMES);
export const titleOf = (view) => NAMES[view];

// The links stay the same elements, so that the keyboard stays where it is.
export const showRail = (current, link) => {
  const rail = byId("views");
  if (!rail.childElementCount) rail.append(...RAIL.map((view) => element("a", null, icon(view), element("span", null, NAMES[view]))));
  RAIL.forEach((view, index) => {
    rail.children[index].href = link(view);
    if (view === (current === "audit" ? "runs" : current)) rail.children[index].setAttribute("aria-current", "page");
    else rail.children[index].removeAttribute("aria-current");
  });
};

const runTitle = (run) => {
  const about = run.recipe ? `${run.recipe} on ${run.dataset}` : RUN_STATES[run.status];
  const said = run.recipe && run.name.includes(run.recipe) && run.name.includes(run.dataset); // numbered names say it
  return said ? run.name : `${run.name} — ${about}`;
};

// The runs to choose from; hidden in views that are not about one run.
export const showChooser = (runs, chosen, choose) => {
  byId("chooser").hidden = runs.length === 0;
  byId("place").hidden = runs.length > 0;
  const options = runs.map((run) =>
    element("option", { value: run.name, selected: run.name === chosen }, runTitle(run)),
  );
  byId("run").replaceChildren(...options);
  byId("run").value = chosen ?? "";
  byId("run").onchange = () => choose(byId("run").value);
};

// In views that are not about one run: which folder it is that is looked at.
export const showPlace = (folder, count) => {
  const runs = count === 1 ? "1 run" : `${number(count)} runs`;
  byId("place").replaceChildren(`${count ? runs : "no run yet"} in `, named(folder));
};

export const showStatus = (text, kind) => {
  byId("status").textContent = text;
  byId("status").className = kind ?? "";
};

// What goes on elsewhere: trainings and work in the background, also those that another browser or a terminal began.
export const showActivity = (text, href) => {
  byId("activity").hidden = !text;
  byId("activity").textContent = text ?? "";
  byId("activity").href = href ?? "/train";
};

export const showConnection = (lostAt) => {
  byId("connection").hidden = lostAt === null;
  if (lostAt) byId("connection").textContent = `Connection lost: what is shown is of ${clock(lostAt)}. It catches up by itself.`;
};

export const showFailure = (error) => {
  const failed = byId("failure");
  failed.hidden = error === null;
  if (error) failed.replaceChildren(named(error.message), element("button", { class: "quiet", onclick: () => showFailure(null) }, "Close"));
};

export const showRole = (role) => {
  byId("role").hidden = role === "owner";
  byId("role").textContent = role === "owner" ? "" : "You look and try. Training and changing need the owner's link.";
  document.body.classList.toggle("guest", role !== "owner");
};

let lines = { shell: "", python: "" };

const showCommand = () => {
  const python = byId("python").getAttribute("aria-pressed") === "true";
  byId("command").textContent = python ? lines.python : lines.shell;
  byId("command").classList.toggle("is-python", python);
};

export const setCommand = (shell, python) => {
  lines = { shell, python: Array.isArray(python) ? python.join("\n") : python };
  showCommand();
};

const copied = (button, done) => {
  button.textContent = done ? "Copied" : "Select and copy";
  setTimeout(() => (button.textContent = "Copy"), 1500);
};

const copy = async () => {
  try {
    await navigator.clipboard.writeText(byId("command").textContent);
    copied(byId("copy"), true);
  } catch {
    // Beyond localhost a browser allows it over HTTPS only.
    getSelection().selectAllChildren(byId("command"));
    copied(byId("copy"), document.execCommand("copy"));
  }
};

export const startCommand = () => {
  byId("copy").addEventListener("click", copy);
  byId("python").addEventListener("click", () => {
    const button = byId("python");
    button.setAttribute("aria-pressed", String(button.getAttribute("aria-pressed") !== "true"));
    showCommand();
  });
};
