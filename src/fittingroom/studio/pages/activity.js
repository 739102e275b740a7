// What goes on in the studio besides the view that is shown, in one line of the frame.

import { number } from "./dom.js";

const LIVE = new Set(["loading", "compiling", "training", "validating", "saving"]);
const trainings = new Map(); // name -> the last event `training`
const tasks = new Map(); // key -> the last event `work`

export const begin = (work) => {
  tasks.clear();
  for (const task of work) tasks.set(task.key, task);
};

export const training = (data) => {
  trainings.delete(data.run);
  if (LIVE.has(data.state)) trainings.set(data.name, data);
  else trainings.delete(data.name);
};

export const work = (task) => (task.state === "done" ? tasks.delete(task.key) : tasks.set(task.key, task));

// {text, name}: `name` of the training; null where nothing goes on.
export const current = () => {
  const [one] = [...trainings.values()].slice(-1);
  if (one) {
    const epoch = one.epochs ? `, epoch ${number(Math.min(one.epoch + 1, one.epochs))} of ${number(one.epochs)}` : "";
    const more = trainings.size > 1 ? `, and ${number(trainings.size - 1)} more` : "";
    return { text: `${one.run ?? "a run"} in training${epoch}${more}`, name: one.name };
  }
  const task = [...tasks.values()].find((candidate) => candidate.state === "running");
  return task ? { text: task.done < task.of ? `${task.title}: ${number(task.done)} of ${number(task.of)}` : task.title } : null;
};
