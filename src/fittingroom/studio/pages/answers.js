// The six answers of `fittingroom explain`, one line each, that open in place.

import { element } from "./dom.js";

const terms = (found) => {
  if (!found.length) return null;
  const names = found.map((one) => one.name).join(", ");
  const list = element("dl", null, found.flatMap((one) => [element("dt", null, one.name), element("dd", null, one.meaning)]));
  return element("details", { class: "terms" }, element("summary", null, `${names}: what ${found.length > 1 ? "these words mean" : "this word means"}`), list);
};

const answer = (topic) => {
  const body = element("div", { class: "answer-body" }, topic.sentences.map((text) => element("p", null, text)), terms(topic.terms));
  const line = element("summary", null, element("span", { class: "question" }, topic.question), element("strong", null, topic.short));
  return element("details", { class: "one-answer" }, line, body);
};

export const answersOf = (topics) =>
  element("section", { class: "panel answers-panel", "aria-labelledby": "answers-title" }, element("h2", { id: "answers-title" }, "What the numbers say"), topics.map(answer));
