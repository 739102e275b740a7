// Questions to `work.js` from the page, each with a promise: in a thread of its own, or here where there can be none.

import { worker } from "./work.js";

// Within the thread: answers each message.
export const answerMessages = () => {
  let work;
  self.onmessage = async ({ data: { id, kind, body } }) => {
    try {
      const answer = kind === "open" ? void (work = await worker(body)) : await work[kind](body);
      self.postMessage({ id, answer });
    } catch (error) {
      self.postMessage({ id, error: error.message });
    }
  };
};

const inThread = (program) => {
  const address = URL.createObjectURL(new Blob([program], { type: "text/javascript" }));
  const thread = new Worker(address);
  const waiting = new Map();
  let count = 0;
  const failed = () => {
    for (const { reject } of waiting.values()) reject(new Error("The browser ended the page's thread. Load the page again."));
    waiting.clear();
  };
  thread.onmessage = ({ data: { id, answer, error } }) => {
    const { resolve, reject } = waiting.get(id);
    waiting.delete(id);
    if (error === undefined) resolve(answer);
    else reject(new Error(error));
  };
  thread.onerror = failed;
  return (kind, body) =>
    new Promise((resolve, reject) => {
      count += 1;
      waiting.set(count, { resolve, reject });
      thread.postMessage({ id: count, kind, body });
    });
};

const here = () => {
  let work;
  return async (kind, body) => {
    if (kind !== "open") return work[kind](body);
    work = await worker(body);
    return null;
  };
};

// opened(program, archives) → ask(kind, body) → a promise of the answer. The thread starts at once; `archives` is a
// promise of the page's texts, which may not have arrived yet.
export const opened = async (program, archives) => {
  try {
    const ask = inThread(program);
    await ask("open", await archives);
    return ask;
  } catch {
    const ask = here(); // an old browser, or one that allows no threads to a file
    await ask("open", await archives);
    return ask;
  }
};
