// The slider over epochs: it moves the groups, the markers in the curves, and the sentence together.
const pair = { start: 0, end: 0 };
const watchers = [];

function startLedger() {
  const slider = byId("epoch");
  if (!slider) return showWithoutEpochs();
  const against = byId("against");
  const charts = [...document.querySelectorAll("#ledger .figure .plot-row")];
  const show = () => {
    const found = facts.ledgers[against.value];
    showLedger(found[Number(slider.value)], found, charts);
  };
  slider.addEventListener("input", show);
  against.addEventListener("change", show);
  show();
}

// A model that was fitted in one go: nothing moves, and the images are shown at once.
function showWithoutEpochs() {
  if (!images) return;
  pair.start = pair.end = chosen.epochs[0];
  for (const watch of watchers) watch();
}

function showLedger(one, all, charts) {
  byId("epoch").setAttribute("aria-valuetext", `epoch ${one.epoch}`);
  byId("epoch-value").textContent = one.epoch;
  byId("ledger-words").textContent = one.words;
  byId("ledger-start").textContent = one.start;
  byId("ledger-end").textContent = one.end;
  byId("ledger-sum").textContent = signedNats(one.loss_change);
  byId("ledger-points").textContent = signedPoints(one.accuracy_points);
  const most = Math.max(...all.flatMap((each) => each.groups.map((group) => Math.abs(group.nats)))) || 1;
  for (const group of one.groups) showGroup(group, one.images, most);
  const other = one.epoch === one.start ? one.end : one.start;
  for (const chart of charts) {
    mark(chart, "mark-other", other, "other");
    mark(chart, "mark-epoch", one.epoch, "");
  }
  pair.start = one.start;
  pair.end = one.end;
  for (const watch of watchers) watch();
}

function showGroup(group, images, most) {
  const row = document.querySelector(`#ledger-table tr[data-group="${group.name}"]`);
  row.querySelector(".count").textContent = number(group.count);
  row.querySelector(".nats").textContent = signedNats(group.nats);
  const moved = ({ count, nats }, how) => `${number(count)} ${how}${count ? ` ${signedNats(nats)}` : ""}`;
  row.querySelector(".parts").textContent = `${moved(group.rose, "rose")}, ${moved(group.fell, "fell")}`;
  row.querySelector(".bar-count").setAttribute("width", (100 * group.count) / images);
  const bar = row.querySelector(".bar-nats");
  const length = (100 * Math.abs(group.nats)) / most;
  bar.setAttribute("x", group.nats < 0 ? -length : 0);
  bar.setAttribute("width", length);
}
