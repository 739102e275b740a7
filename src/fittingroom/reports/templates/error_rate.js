// How many labels are wrong, from what was decided so far: what `audits/error_rate.py` computes, to the same numbers.
const errorRateFails = 0.05;
const errorRateStrength = 8;
const errorRateLeastMean = 0.002;

// plan: {images, bands: [{count, mean, indices}]}; decisions: {position: "wrong" | "right" | "skipped"}.
function errorRate(plan, decisions) {
  const found = plan.bands.map((band) => [band, decisionsInOrder(band, decisions)]);
  const all = found.flatMap(([, some]) => some);
  const low = errorTotals(found.map(([band, some]) => drawnOf(band, some, false)))[0];
  const high = errorTotals(found.map(([band, some]) => drawnOf(band, some, true)))[1];
  const decided = found.map(([band, some]) => drawnOf(band, some.filter((one) => one !== "skipped"), false));
  const expected = decided.reduce((sum, one) => sum + expectedErrors(one), 0);
  const images = Math.max(plan.images, 1);
  return {
    images: plan.images,
    reviewed: all.length,
    wrong: all.filter((one) => one === "wrong").length,
    skipped: all.filter((one) => one === "skipped").length,
    estimate: Math.min(Math.max(expected, low), high) / images,
    interval: [low / images, high / images],
  };
}

// Up to the first image without a decision: later ones may have been picked.
function decisionsInOrder(band, decisions) {
  const end = band.indices.findIndex((index) => !(index in decisions));
  return (end < 0 ? band.indices : band.indices.slice(0, end)).map((index) => decisions[index]);
}

function drawnOf(band, some, skippedWrong) {
  const wrong = some.filter((one) => one === "wrong" || (skippedWrong && one === "skipped")).length;
  const mean = Math.min(Math.max(band.mean, errorRateLeastMean), 1 - errorRateLeastMean);
  const drawn = some.length;
  const most = band.count - drawn + wrong;
  const likeliest = drawn ? Math.min(Math.max(Math.floor(((band.count + 1) * wrong) / drawn), wrong), most) : wrong;
  const prior = [errorRateStrength * mean, errorRateStrength * (1 - mean)];
  return { count: band.count, drawn, wrong, likeliest, prior };
}

function expectedErrors({ count, drawn, wrong, prior }) {
  return wrong + ((prior[0] + wrong) / (prior[0] + prior[1] + drawn)) * (count - drawn);
}

// What each further wrong image adds to R, above the likeliest number and below it.
function errorSteps({ count, drawn, wrong, likeliest, prior }) {
  const right = drawn - wrong;
  let start = 0;
  for (let step = 0; step < wrong; step++) start += Math.log(prior[0] + step) - Math.log(likeliest - step);
  for (let step = 0; step < right; step++) start += Math.log(prior[1] + step) - Math.log(count - likeliest - step);
  for (let step = 0; step < drawn; step++) start += Math.log(count - step) - Math.log(prior[0] + prior[1] + step);
  const up = [];
  for (let total = likeliest, log = start; total < count - right; total++) {
    const next = log + Math.log((total + 1 - wrong) / (total + 1)) + Math.log((count - total) / (count - total - right));
    up.push(Math.exp(Math.min(next, 700)) - Math.exp(Math.min(log, 700)));
    log = next;
  }
  const down = [];
  for (let total = likeliest, log = start; total > wrong; total--) {
    const left = count - total + 1;
    const next = log + Math.log(total / (total - wrong)) + Math.log((left - right) / left);
    down.push(Math.exp(Math.min(next, 700)) - Math.exp(Math.min(log, 700)));
    log = next;
  }
  return { start: Math.exp(start), up, down };
}

function errorTotals(bands) {
  const whole = bands.reduce((sum, one) => sum + Math.sqrt(one.count), 0);
  const weights = bands.map((one) => Math.sqrt(one.count) / whole);
  const steps = bands.map(errorSteps);
  const total = bands.reduce((sum, one) => sum + one.likeliest, 0);
  const room = 1 / errorRateFails - steps.reduce((sum, one, place) => sum + weights[place] * one.start, 0);
  const within = (side) => {
    const costs = steps.flatMap((one, place) => one[side].map((step) => Math.max(weights[place] * step, 0)));
    costs.sort((one, other) => one - other);
    let spent = 0;
    let count = 0;
    while (count < costs.length && spent + costs[count] < room) spent += costs[count++];
    return count;
  };
  return [total - within("down"), total + within("up")];
}
