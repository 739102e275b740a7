// Curves over the epochs: of all images, and of the selection. A click goes to an epoch.

import { element, svg } from "./dom.js";

const HEIGHT = 190;
const [LEFT, RIGHT, TOP, BOTTOM] = [44, 12, 22, 30];

const niceStep = (span, most) => {
  const rough = span / most;
  const power = 10 ** Math.floor(Math.log10(rough));
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= rough);
};

const ticksOf = (low, high, most) => {
  const step = niceStep(high - low || 1, most);
  const found = [];
  for (let value = Math.ceil(low / step - 1e-9) * step; value <= high + step * 1e-6; value += step) found.push(value);
  return { step, found };
};

// A chart of one quantity. `series`: {values, kind, name}; a kind is a class of drawing.css.
export const courseOf = (title, epochs, { go, format, limits }) => {
  const plot = svg("svg", { class: "plot course", height: HEIGHT, role: "img" });
  const legend = element("ul", { class: "legend", "aria-label": "Legend" });
  const node = element("figure", { class: "figure" }, element("h3", null, title), plot, legend);
  let [series, current, width] = [[], 0, 0];
  const x = (row) => LEFT + (epochs.length < 2 ? 0.5 : row / (epochs.length - 1)) * (width - LEFT - RIGHT);

  const draw = () => {
    if (!width) return;
    const values = series.flatMap((one) => one.values).filter(Number.isFinite);
    if (!values.length) return;
    const [least, most] = [Math.min(...values), Math.max(...values)];
    const pad = (most - least || Math.abs(most) || 1) * 0.06;
    const [low, high] = [Math.max(least - pad, limits?.[0] ?? -Infinity), Math.min(most + pad, limits?.[1] ?? Infinity)];
    const y = (value) => HEIGHT - BOTTOM - ((value - low) / (high - low || 1)) * (HEIGHT - TOP - BOTTOM);
    const { step, found } = ticksOf(low, high, 4);
    const digits = step >= 1 ? 0 : Math.min(Math.ceil(-Math.log10(step)), 4);
    const parts = found.flatMap((value) => [
      svg("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: y(value), y2: y(value) }),
      svg("text", { class: "tick", x: LEFT - 6, y: y(value) + 4, "text-anchor": "end" }, format(value, digits)),
    ]);
    const every = Math.ceil(epochs.length / Math.max(Math.floor((width - LEFT) / 48), 2));
    epochs.forEach((name, row) => {
      if (row % every === 0) parts.push(svg("text", { class: "tick", x: x(row), y: HEIGHT - 12, "text-anchor": "middle" }, name));
    });
    parts.push(svg("line", { class: "marker", x1: x(current), x2: x(current), y1: TOP, y2: HEIGHT - BOTTOM }));
    for (const { values: own, kind } of series) {
      const places = own.flatMap((value, row) => (Number.isFinite(value) ? [[x(row), y(value)]] : []));
      parts.push(svg("polyline", { class: `mean ${kind}`, points: places.map((one) => one.map((value) => value.toFixed(1)).join(",")).join(" ") }));
      if (places.length === 1) parts.push(svg("circle", { class: kind, cx: places[0][0], cy: places[0][1], r: 4 }));
    }
    plot.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    plot.replaceChildren(...parts);
  };
  const resized = new ResizeObserver(([entry]) => {
    if (Math.abs(entry.contentRect.width - width) < 1) return;
    ({ width } = entry.contentRect);
    draw();
  });
  resized.observe(plot);
  plot.addEventListener("click", (event) => {
    const at = event.clientX - plot.getBoundingClientRect().left;
    go(Math.min(Math.max(Math.round(((at - LEFT) / (width - LEFT - RIGHT)) * (epochs.length - 1)), 0), epochs.length - 1));
  });
  return {
    node,
    update(lines, row) {
      [series, current] = [lines, row];
      const last = (values) => values[Math.min(row, values.length - 1)];
      plot.setAttribute("aria-label", `${title}: ${lines.map(({ name, values }) => `${name} ${format(last(values) ?? NaN, 3)}`).join(", ")} at the chosen epoch.`);
      legend.replaceChildren(...lines.map(({ name, kind, values }) => element("li", null, element("span", { class: `mark ${kind}`, "aria-hidden": "true" }), `${name} ${Number.isFinite(last(values)) ? format(last(values), 3) : "–"}`)));
      draw();
    },
    leave: () => resized.disconnect(),
  };
};
