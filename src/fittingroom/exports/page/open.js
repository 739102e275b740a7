// The page of a model: the studio's view Try, answered in the page itself.

import { element, named } from "./dom.js";
import { answerMessages, opened } from "./thread.js";
import { show } from "./try.js";

const byId = (id) => document.getElementById(id);
const textOf = (id) => byId(id).textContent;

const failed = (error) => {
  byId("failure").hidden = error === null;
  if (error) byId("failure").replaceChildren(named(error.message), element("button", { class: "quiet", onclick: () => failed(null) }, "Close"));
};

// A picture of the thread, `{width, height, data}`, as what an image element shows.
const addressOf = ({ width, height, data }) => {
  const canvas = element("canvas", { width, height });
  canvas.getContext("2d").putImageData(new ImageData(new Uint8ClampedArray(data), width, height), 0, 0);
  return canvas.toDataURL();
};

const IDLE = 400; // ms after which nobody waits for a first answer

// What the first drawing needs is compiled before it comes.
const warmUp = async ({ drawing }, ask) => {
  await new Promise((done) => setTimeout(done, IDLE));
  const points = [[0.3, 0.3], [0.7, 0.3], [0.7, 0.7], [0.3, 0.7], [0.3, 0.3]];
  for (let times = 0; drawing.possible && times < 2; times += 1) await ask("drawing", { strokes: [points], fills: drawing.fills });
};

// This script stands before the texts of the model, so that the thread starts while they are read.
const open = async () => {
  const parsed = new Promise((done) => document.addEventListener("DOMContentLoaded", done, { once: true }));
  const ask = await opened(
    document.currentScript.textContent,
    parsed.then(() => ({ model: textOf("model"), answers: textOf("answers") })),
  );
  const facts = JSON.parse(textOf("facts"));
  facts.samples = (await ask("samples")).map(addressOf);
  const post = async (path, body) => {
    const answer = await ask(path.split("/").at(-1), body);
    answer.steps = answer.steps.map((step) => ({ ...step, picture: addressOf(step.picture) }));
    return answer;
  };
  const app = {
    main: byId("view"), base: "", element, named, post, failed,
    get: async () => facts,
    run: () => facts.run,
    command: () => {},
    act: (work) => async (event) => {
      try {
        failed(null);
        await work(event);
      } catch (error) {
        failed(error);
      }
    },
  };
  await show(app, {});
  warmUp(facts, ask).catch(failed);
  return { ask, post };
};

if (typeof document === "undefined") answerMessages();
else globalThis.fittingRoom = open().catch((error) => (failed(error), Promise.reject(error)));
