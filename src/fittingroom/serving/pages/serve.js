// The page of `fittingroom serve`: the studio's view Try, for its one run and without the studio's frame.

import * as api from "./api.js";
import { element, named } from "./dom.js";
import { show } from "./try.js";

const byId = (id) => document.getElementById(id);

const failed = (error) => {
  byId("failure").hidden = error === null;
  if (error) byId("failure").replaceChildren(named(error.message), element("button", { class: "quiet", onclick: () => failed(null) }, "Close"));
};

const app = {
  main: byId("view"), base: "", element, named,
  get: async (path) => {
    const found = await api.get(path);
    if (path === "/try") {
      byId("run").replaceChildren(named(found.run));
      byId("dataset").replaceChildren("on ", named(found.dataset));
      document.title = `${found.run} – Fitting Room`;
    }
    return found;
  },
  post: api.post, remove: api.remove,
  run: () => "this one",
  command: () => {},
  failed,
  act: (work) => async (event) => {
    try {
      failed(null);
      await work(event);
    } catch (error) {
      failed(error);
    }
  },
};

show(app, {}).catch(failed);
