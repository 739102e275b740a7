// The signs of the views, drawn with one line each.

import { svg } from "./dom.js";

const PATHS = {
  train: "M3 19 9 10l4 5 8-11",
  understand: "M10.5 4a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13zM15.5 15.5 21 21",
  try: "M4 20l1-5L16 4l4 4L9 19zM13.5 6.500l4 4",
  teach: "M3 7.500h4l1.500-2.500h7L17 7.500h4v11.500H3zM12 9.500a3.500 3.500 0 1 0 0 7 3.500 3.500 0 0 0 0-7z",
  runs: "M4 6h16M4 12h16M4 18h10",
  class: "M5 20v-6h4v6M10 20V5h4v15M15 20V10h4v10",
  labs: "M9 3h6M10 3v6L4.500 19.500h15L14 9V3M7.500 14.500h9",
  benchmarks: "M4 6h9M4 12h15M4 18h5M16 3v6M21 9v6M12 15v6",
  test: "M6 11V8a6 6 0 0 1 12 0v3M4.500 11h15v10h-15z",
};

export const icon = (view) =>
  svg("svg", { viewBox: "0 0 24 24", class: "icon", "aria-hidden": "true" }, svg("path", { d: PATHS[view] }));
