// The map under mouse, fingers and keys: it moves, comes nearer, and is outlined.

const FRAME = 0.25; // share of the view that lies outside the frame for the keys, on each side

// `select(corners)` is given places in the canvas; `hover()` without a place hides what was told of an image.
export const handsOf = (canvas, { view, paint, zoom, fit, select, nearestTo, open, hover, size }) => {
  const now = { path: null, lassoing: false };
  const point = (event) => {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  const fingers = new Map();
  let moved = 0;
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, point(event));
    moved = 0;
    if (fingers.size === 1 && (now.lassoing || event.shiftKey)) now.path = [point(event)];
    hover();
  });
  canvas.addEventListener("pointermove", (event) => {
    const at = point(event);
    const before = fingers.get(event.pointerId);
    if (!before) return event.pointerType === "mouse" ? hover(...at) : undefined;
    moved += Math.hypot(at[0] - before[0], at[1] - before[1]);
    if (fingers.size === 2) {
      const [other] = [...fingers].filter(([id]) => id !== event.pointerId).map(([, place]) => place);
      const apart = (place) => Math.hypot(place[0] - other[0], place[1] - other[1]) || 1;
      now.path = null;
      zoom(apart(at) / apart(before), (at[0] + other[0]) / 2, (at[1] + other[1]) / 2);
    } else if (now.path) now.path.push(at);
    else [view.x, view.y] = [view.x + at[0] - before[0], view.y + at[1] - before[1]];
    fingers.set(event.pointerId, at);
    paint();
  });
  const lifted = (event) => {
    if (!fingers.delete(event.pointerId)) return;
    if (now.path) {
      const step = Math.max(Math.ceil(now.path.length / 40), 1); // so that the address stays short
      const corners = now.path.filter((_, at) => at % step === 0);
      now.path = null;
      if (corners.length > 2 && moved > 20) select(corners);
      paint();
    } else if (moved < 5 && event.type === "pointerup") {
      const image = nearestTo(...point(event));
      if (image !== null) open(image);
    }
  };
  canvas.addEventListener("pointerup", lifted);
  canvas.addEventListener("pointercancel", lifted);
  canvas.addEventListener("pointerleave", () => hover());
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0016)), ...point(event));
  }, { passive: false });
  canvas.addEventListener("dblclick", (event) => zoom(2.5, ...point(event)));
  canvas.addEventListener("keydown", (event) => {
    const { width, height } = size();
    const step = 0.12 * Math.min(width, height);
    const keys = {
      ArrowLeft: () => (view.x += step), ArrowRight: () => (view.x -= step), ArrowUp: () => (view.y += step), ArrowDown: () => (view.y -= step),
      "+": () => zoom(1.5), "=": () => zoom(1.5), "-": () => zoom(1 / 1.5), 0: fit,
      Enter: () => {
        const [left, right, top, bottom] = [FRAME * width, (1 - FRAME) * width, FRAME * height, (1 - FRAME) * height];
        select([[left, top], [right, top], [right, bottom], [left, bottom]]);
      },
    };
    if (!keys[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    keys[event.key]();
    paint();
  });
  canvas.addEventListener("focus", paint);
  canvas.addEventListener("blur", paint);

  return {
    get path() {
      return now.path;
    },
    // What Enter selects: left, top, width and height.
    frame() {
      const { width, height } = size();
      return [FRAME * width, FRAME * height, (1 - 2 * FRAME) * width, (1 - 2 * FRAME) * height];
    },
    setLassoing: (on) => canvas.classList.toggle("lassoing", (now.lassoing = on)),
  };
};
