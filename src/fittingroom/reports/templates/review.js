// The review: one image after the other, decided by a person, kept in this browser where it may, and saved as a list.
const review = facts.review;
const reviewKey = review ? `fittingroom-review:${review.key}` : "";
const reviewState = { place: 0, decisions: {}, kept: false, studio: null };

function nameOfItem(item) {
  return `${item.part}:${item.index}`;
}

function startReview() {
  if (!review || !byId("review")) return;
  readDecisions();
  review.items.forEach((item, place) => byId("review-list").append(listedItem(item, place)));
  byId("review-begin").addEventListener("click", beginReview);
  byId("review-back").addEventListener("click", () => showItem(reviewState.place - 1));
  byId("review-next").addEventListener("click", () => showItem(reviewState.place + 1));
  byId("review-save").addEventListener("click", saveReview);
  byId("review-class").addEventListener("change", (event) => {
    if (event.target.value !== "") decideClass(review.classes[Number(event.target.value)]);
  });
  for (const button of byId("review-decide").querySelectorAll("button")) {
    button.addEventListener("click", () => decide(button.dataset.decision));
  }
  byId("review-card").addEventListener("keydown", reviewKeys);
  showCounts();
}

function beginReview() {
  byId("review-card").hidden = false;
  const open = review.items.findIndex((item) => !(nameOfItem(item) in reviewState.decisions));
  showItem(open < 0 ? 0 : open);
  byId("review-card").focus({ preventScroll: true });
  byId("review-card").scrollIntoView({ block: "nearest" });
}

function reviewKeys(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.tagName === "SELECT") return;
  const key = event.key.toLowerCase();
  const said = { c: "right", a: "suggested", x: "none", s: "skipped" }[key];
  if (said) decide(said);
  else if (key === "arrowleft") showItem(reviewState.place - 1);
  else if (key === "arrowright") showItem(reviewState.place + 1);
  else if (/^[0-9]$/.test(key) && shortcuts().includes(review.classes[Number(key)])) {
    decideClass(review.classes[Number(key)]);
  } else return;
  event.preventDefault();
}

// With more than ten classes a digit would name an arbitrary few.
function shortcuts() {
  return review.classes.length > 10 ? [] : review.classes;
}

function decide(said) {
  const item = review.items[reviewState.place];
  if (said === "suggested") {
    if (item.suggested !== null) decideClass(item.suggested);
  } else setDecision(said === "none" ? { decision: "wrong", label: null } : { decision: said, label: item.label });
}

function decideClass(label) {
  const item = review.items[reviewState.place];
  setDecision({ decision: label === item.label ? "right" : "wrong", label });
}

function setDecision(decision) {
  reviewState.decisions[nameOfItem(review.items[reviewState.place])] = decision;
  keepDecisions();
  showCounts();
  relist(reviewState.place);
  if (reviewState.place + 1 < review.items.length) showItem(reviewState.place + 1);
  else showItem(reviewState.place);
}

function showItem(place) {
  if (place < 0 || place >= review.items.length) return;
  reviewState.place = place;
  const item = review.items[place];
  byId("review-card").hidden = false;
  byId("review-image").src = item.url;
  byId("review-image").alt = `Image ${place + 1}, labelled ${item.label}`;
  const where = item.file || `${item.part}, image ${number(item.index)}`;
  byId("review-where").textContent = `${place + 1} of ${review.items.length}: ${where}`;
  byId("review-label").textContent = item.label ?? "unknown";
  byId("review-why").textContent = whyInWords(item);
  byId("review-said").replaceChildren(...item.said.map((one) => saidRow(one, item)));
  byId("review-like").hidden = item.neighbours.length === 0;
  byId("review-neighbours").replaceChildren(...item.neighbours.map(shotOf));
  // Disabled, not hidden: the buttons beside it stay where they are.
  byId("review-suggested").textContent = item.suggested === null ? "No suggestion" : `It is ${item.suggested}`;
  byId("review-decide").querySelector("[data-decision=suggested]").disabled = item.suggested === null;
  byId("review-back").disabled = place === 0;
  byId("review-next").disabled = place + 1 === review.items.length;
  showDecision(item);
  // A button that has just been hidden would take the focus, and with it the keys, away from the review.
  if (document.activeElement === document.body) byId("review-card").focus({ preventScroll: true });
}

function whyInWords(item) {
  const why = `${item.why.charAt(0).toUpperCase()}${item.why.slice(1)}.`.replace("..", ".");
  if (item.probability === null) return why;
  const chance = item.probability < 0.001 ? "less than 0.1%" : percent(item.probability);
  return `${why} The label is wrong with a probability of ${chance}.`;
}

function saidRow([name, share], item) {
  const row = element("tr", undefined, name === item.label ? "true" : name === item.suggested ? "taken" : "");
  const head = element("th");
  head.scope = "row";
  const digit = shortcuts().indexOf(name);
  if (digit >= 0) head.append(element("kbd", String(digit)), " ");
  head.append(element("bdi", name));
  const bar = element("td");
  const svg = drawn("svg", { "aria-hidden": "true" });
  svg.append(drawn("rect", { width: `${100 * share}%`, height: 12 }));
  bar.append(svg);
  row.append(head, bar, element("td", percent(share), "share"));
  return row;
}

function shotOf(shown) {
  const item = element("li");
  const image = element("img");
  image.src = shown.url;
  image.alt = `Training image of ${shown.caption}`;
  item.append(image, element("bdi", shown.caption));
  return item;
}

function showDecision(item) {
  const decided = reviewState.decisions[nameOfItem(item)];
  const pressed = { right: "right", skipped: "skipped" }[decided?.decision];
  for (const button of byId("review-decide").querySelectorAll("button")) {
    const said = button.dataset.decision;
    const isWrong = decided?.decision === "wrong";
    const on = isWrong ? said === (decided.label === null ? "none" : decided.label === item.suggested ? "suggested" : "") : said === pressed;
    button.setAttribute("aria-pressed", String(Boolean(decided) && on));
  }
  byId("review-class").value = decided?.decision === "wrong" && decided.label !== null ? String(review.classes.indexOf(decided.label)) : "";
  const before = reviewState.place && reviewState.decisions[nameOfItem(review.items[reviewState.place - 1])];
  byId("review-decided").textContent = decided ? `Decided: ${inWords(decided)}.` : before ? `The one before: ${inWords(before)}.` : "";
}

function inWords({ decision, label }) {
  if (decision === "wrong") return label === null ? "none of the classes" : `it is ${label}`;
  return decision === "right" ? "the label is right" : "skipped";
}

function listedItem(item, place) {
  const row = element("li");
  const button = element("button");
  button.type = "button";
  button.addEventListener("click", () => {
    showItem(place);
    byId("review-card").focus();
  });
  const image = element("img");
  image.src = item.url;
  image.loading = "lazy";
  image.alt = `Review image ${place + 1}`;
  button.append(image);
  const caption = item.suggested === null ? item.label : `${item.label} → ${item.suggested}`;
  row.append(button, element("bdi", caption), element("span", "", "decided"));
  const decided = reviewState.decisions[nameOfItem(item)];
  if (decided) row.lastChild.textContent = inWords(decided);
  return row;
}

function relist(place) {
  const decided = reviewState.decisions[nameOfItem(review.items[place])];
  byId("review-list").children[place].lastChild.textContent = inWords(decided);
}

function showCounts() {
  const all = Object.values(reviewState.decisions).map((one) => one.decision);
  const count = (name) => all.filter((one) => one === name).length;
  const kept = reviewState.studio ? "Decisions are kept beside the run." : reviewState.kept ? "Decisions are kept in this browser." : "This browser keeps nothing for this page: save the list before you close it.";
  byId("review-count").textContent = all.length
    ? `${all.length} of ${review.items.length} reviewed: ${count("wrong")} wrong, ${count("right")} right, ${count("skipped")} skipped. ${kept}`
    : `${review.items.length} images, the most suspicious first.`;
  byId("review-begin").textContent = all.length ? "Continue the review" : "Begin the review";
  byId("review-rate").textContent = rateInWords();
}

function rateInWords() {
  if (!review.plan) return "";
  const places = {};
  for (const item of review.items) {
    const decided = reviewState.decisions[nameOfItem(item)];
    if (decided && item.place !== null) places[item.place] = decided.decision;
  }
  if (Object.keys(places).length === 0) return "";
  const { estimate, interval, images, reviewed } = errorRate(review.plan, places);
  if (!reviewed) return "For an estimate of how many labels are wrong, review the images in their order.";
  return (
    `About ${percent(estimate)} of all ${number(images)} labels are wrong, by the ${number(reviewed)} that you reviewed in order ` +
    `(95% interval ${percent(interval[0])} to ${percent(interval[1])}, whenever you stop).`
  );
}

function readDecisions() {
  try {
    const stored = JSON.parse(localStorage.getItem(reviewKey) ?? "{}");
    const known = new Set(review.items.map(nameOfItem));
    for (const [name, one] of Object.entries(stored)) {
      const label = one.label === null || review.classes.includes(one.label);
      if (known.has(name) && ["right", "wrong", "skipped"].includes(one.decision) && label) reviewState.decisions[name] = one;
    }
    localStorage.setItem(reviewKey, JSON.stringify(reviewState.decisions));
    reviewState.kept = true;
  } catch {
    reviewState.kept = false; // a frame without storage, or a browser that is told to keep nothing
  }
}

// The studio shows this page in a frame, says what was decided before, and keeps what is decided here beside the run.
function hearStudio(event) {
  if (window.parent === window || event.source !== window.parent || !Array.isArray(event.data?.decided)) return;
  reviewState.studio = event.origin;
  byId("review-private").textContent = "What you decide is kept beside the run, in reviewed.csv.";
  const [part, index] = ["part", "index"].map((name) => review.rows.header.indexOf(name));
  review.items.forEach((item, place) => {
    const cells = review.rows.rows[place];
    const row = event.data.decided.find((one) => one.part === cells[part] && String(one.index) === cells[index]);
    if (!row || (row.decision === "relabel" && !review.classes.includes(row.new_label))) return;
    const right = row.decision === "keep";
    const label = right ? item.label : row.new_label || null;
    reviewState.decisions[nameOfItem(item)] = { decision: right ? "right" : "wrong", label };
    relist(place);
  });
  showCounts();
  if (!byId("review-card").hidden) showItem(reviewState.place);
}

function keepDecisions() {
  if (reviewState.studio) window.parent.postMessage({ list: reviewedList() }, reviewState.studio);
  if (!reviewState.kept) return;
  try {
    localStorage.setItem(reviewKey, JSON.stringify(reviewState.decisions));
  } catch {
    reviewState.kept = false;
  }
}

// As spreadsheets and Python's csv module read it.
function csvLine(cells) {
  return cells.map((cell) => (/[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell)).join(",") + "\r\n";
}

// The row of an image as `review_list.py` reads it; a text that a spreadsheet would execute gets an apostrophe.
function decidedRow(row, decided) {
  const filled = [...row];
  const said = { right: "keep", wrong: decided?.label === null ? "exclude" : "relabel" }[decided?.decision] ?? "";
  filled[review.rows.header.indexOf("decision")] = said;
  const label = said === "relabel" ? decided.label : "";
  filled[review.rows.header.indexOf("new_label")] = /^'*[=+\-@\t\r]/.test(label) ? `'${label}` : label;
  return filled;
}

function reviewedList() {
  const lines = [csvLine(review.rows.header)];
  review.items.forEach((item, place) => {
    lines.push(csvLine(decidedRow(review.rows.rows[place], reviewState.decisions[nameOfItem(item)])));
  });
  return lines.join("");
}

function saveReview() {
  const link = element("a");
  link.href = URL.createObjectURL(new Blob([reviewedList()], { type: "text/csv" }));
  link.download = "reviewed.csv";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  const count = Object.values(reviewState.decisions).filter((one) => one.decision !== "skipped").length;
  byId("review-saved").textContent = `reviewed.csv has ${review.items.length} rows, ${count} of them with a decision.`;
}

startReview();
if (review && byId("review")) window.addEventListener("message", hearStudio);
