// A canvas to draw on with mouse, finger, pen or keyboard. It holds strokes, not pixels: the server draws them again where
// and as thick as the training images have theirs, so the drawing's size does not matter.

const WIDTH = 280; // CSS pixels, about: a whole multiple of the model's image
const PAPER = "#ffffff"; // a sheet of paper, in the dark too
const INK = "#1c2129";
const LEAST_MOVE = 0.002; // of the canvas; nearer points add nothing
const MOST_STROKES = 900;

let kept = []; // a drawing stays while one looks at another run or view

// brush(app, facts, changed) → {node, strokes, show(filled), clear, focus}; `changed` is called with each new point.
export const brush = (app, facts, changed) => {
  const [height, width] = facts.shape.length > 1 ? facts.shape : [28, 28];
  const side = Math.max(height, width);
  const multiple = Math.max(Math.round(WIDTH / side), 1);
  const size = { width: width * multiple, height: height * multiple, side: side * multiple };
  const ratio = Math.max(window.devicePixelRatio || 1, 1);
  const thickness = (facts.drawing.thickness ?? 0.05) * Math.min(size.width, size.height);
  const canvas = app.element("canvas", {
    class: "sheet-of-paper",
    tabindex: "0",
    role: "img",
    "aria-label": "Drawing. Arrow keys move the pen, space puts it down and lifts it, Control and Z undoes, Delete clears.",
    style: { width: `${size.width}px`, height: `${size.height}px` },
  });
  canvas.width = Math.round(size.width * ratio);
  canvas.height = Math.round(size.height * ratio);
  const context = canvas.getContext("2d");
  let strokes = kept;
  let current = null; // the stroke that is being drawn, and the pointer that draws it
  let erasing = false;
  let filled = null; // a picture of what the lines enclose
  const pen = { x: 0.5, y: 0.5, down: false, shown: false };

  const paint = () => {
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.fillStyle = PAPER;
    context.fillRect(0, 0, size.width, size.height);
    if (filled) context.drawImage(filled, 0, 0, size.width, size.height);
    context.translate((size.width - size.side) / 2, (size.height - size.side) / 2);
    context.lineCap = context.lineJoin = "round";
    for (const stroke of strokes) line(stroke);
    if (pen.shown) cursor();
  };

  const line = ({ points, erases }) => {
    context.strokeStyle = erases ? PAPER : INK;
    context.lineWidth = Math.max(thickness * (erases ? 3 : 1), 2);
    context.beginPath();
    points.forEach(([x, y], at) => context[at ? "lineTo" : "moveTo"](x * size.side, y * size.side));
    if (points.length === 1) context.lineTo(points[0][0] * size.side + 0.01, points[0][1] * size.side);
    context.stroke();
  };

  const cursor = () => {
    context.lineWidth = 2;
    context.strokeStyle = pen.down ? "#b34700" : "#0069a8";
    context.beginPath();
    context.arc(pen.x * size.side, pen.y * size.side, Math.max(thickness / 2, 5) + 3, 0, 2 * Math.PI);
    context.stroke();
  };

  const within = (value) => Math.min(Math.max(value, 0), 1);
  const rounded = (value) => Math.round(value * 1e4) / 1e4;
  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    const [x, y] = [(event.clientX - box.left) * (size.width / box.width), (event.clientY - box.top) * (size.height / box.height)];
    return [rounded(within((x + (size.side - size.width) / 2) / size.side)), rounded(within((y + (size.side - size.height) / 2) / size.side))];
  };
  const told = () => {
    kept = strokes;
    changed();
  };
  const begin = (point) => {
    if (strokes.length >= MOST_STROKES) return null;
    const stroke = { points: [point], erases: erasing };
    strokes = [...strokes, stroke];
    return stroke;
  };
  const extend = (stroke, point) => {
    const [x, y] = stroke.points.at(-1);
    if (Math.hypot(point[0] - x, point[1] - y) < LEAST_MOVE) return false;
    stroke.points.push(point);
    return true;
  };

  canvas.addEventListener("pointerdown", (event) => {
    if (event.button || current) return;
    event.preventDefault(); // no selection, and no mouse events after a touch
    canvas.focus({ preventScroll: true });
    pen.shown = pen.down = false;
    canvas.setPointerCapture(event.pointerId);
    const stroke = begin(place(event));
    if (!stroke) return;
    current = { stroke, pointer: event.pointerId };
    paint();
    told();
  });
  canvas.addEventListener("pointermove", (event) => {
    if (event.pointerId !== current?.pointer) return;
    const events = event.getCoalescedEvents?.() ?? [];
    const moved = (events.length ? events : [event]).map((one) => extend(current.stroke, place(one)));
    if (!moved.includes(true)) return;
    paint();
    told();
  });
  for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) {
    canvas.addEventListener(end, (event) => {
      if (event.pointerId === current?.pointer) current = null;
    });
  }

  const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  let byKeys = null; // the stroke that the keyboard draws
  canvas.addEventListener("keydown", (event) => {
    const arrow = ARROWS[event.key];
    if (arrow) {
      const step = (event.shiftKey ? 0.25 : 1) / 28;
      [pen.x, pen.y] = [rounded(within(pen.x + arrow[0] * step)), rounded(within(pen.y + arrow[1] * step))];
      pen.shown = true;
      if (pen.down && byKeys) extend(byKeys, [pen.x, pen.y]);
    } else if (event.key === " ") {
      [pen.shown, pen.down] = [true, !pen.down];
      byKeys = pen.down ? begin([pen.x, pen.y]) : null;
    } else if (event.key === "z" && (event.ctrlKey || event.metaKey)) {
      undo();
    } else if (event.key === "Delete") {
      clear();
    } else {
      return;
    }
    event.preventDefault();
    paint();
    if (pen.down) told();
  });
  canvas.addEventListener("blur", () => {
    pen.shown = pen.down = false;
    paint();
  });

  const undo = () => {
    strokes = strokes.slice(0, -1);
    byKeys = null;
    pen.down = false;
    if (!strokes.length) filled = null;
    paint();
    told();
  };
  const clear = () => {
    [strokes, filled, byKeys] = [[], null, null];
    pen.down = false;
    paint();
    told();
  };
  const erase = (on) => {
    erasing = on;
    for (const [button, pressed] of [[tools[0], !on], [tools[1], on]]) button.setAttribute("aria-pressed", String(pressed));
  };
  const tools = [
    app.element("button", { type: "button", "aria-pressed": "true", onclick: () => erase(false) }, "Pen"),
    app.element("button", { type: "button", "aria-pressed": "false", onclick: () => erase(true) }, "Eraser"),
  ];
  const node = app.element(
    "div",
    { class: "brush" },
    canvas,
    app.element(
      "p",
      { class: "buttons brush-tools" },
      app.element("span", { class: "segmented", role: "group", "aria-label": "Tool" }, tools),
      app.element("button", { type: "button", class: "quiet", onclick: undo }, "Undo"),
      app.element("button", { type: "button", class: "quiet", onclick: clear }, "Clear"),
    ),
  );
  paint();
  return {
    node,
    get strokes() {
      return strokes;
    },
    // The picture of what is filled, drawn beneath the lines; null where nothing is.
    show: (source) => {
      if (!source || !strokes.length) {
        filled = null;
        return paint();
      }
      const image = new Image();
      image.onload = () => {
        if (strokes.length) filled = image;
        paint();
      };
      image.src = source;
    },
    focus: () => canvas.focus({ preventScroll: true }),
  };
};
