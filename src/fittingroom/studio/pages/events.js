// What happens in the studio: one stream for the whole page, whoever listens. It ends while nobody looks at the page,
// since a browser opens only six connections to a server, and catches up on what it missed.

const SILENCE = 25_000; // ms; the studio gives a sign of life each ten seconds

const listeners = new Map(); // kind -> functions
let source, last, timer, lostAt;
let onConnection = () => {};

const tell = (kind, data) => {
  for (const listener of [...(listeners.get(kind) ?? [])]) listener(data);
};

const heard = (event) => {
  clearTimeout(timer);
  timer = setTimeout(lost, SILENCE);
  if (event.lastEventId) last = event.lastEventId;
};

const receive = (kind) => (event) => {
  heard(event);
  tell(kind, JSON.parse(event.data));
};

const hello = (event) => {
  const cameBack = last !== undefined;
  heard(event);
  if (lostAt) onConnection(null);
  lostAt = undefined;
  if (cameBack && !JSON.parse(event.data).caught_up) tell("reset", {}); // too much was missed: load everything again
};

function lost() {
  lostAt ??= new Date();
  close();
  onConnection(lostAt);
  if (document.visibilityState === "visible") timer = setTimeout(open, 1500);
}

const close = () => {
  clearTimeout(timer);
  source?.close();
  source = undefined;
};

function open() {
  close();
  source = new EventSource(last ? `/api/events?after=${encodeURIComponent(last)}` : "/api/events");
  source.addEventListener("hello", hello);
  source.addEventListener("beat", heard);
  for (const kind of listeners.keys()) if (kind !== "reset") source.addEventListener(kind, receive(kind));
  source.onerror = lost;
}

// Calls functions by kind, `{runs: (data) => ..., reset: () => ...}`, and returns a function that ends it.
export const listen = (handlers) => {
  for (const [kind, handler] of Object.entries(handlers)) {
    if (!listeners.has(kind)) {
      listeners.set(kind, new Set());
      if (kind !== "reset") source?.addEventListener(kind, receive(kind));
    }
    listeners.get(kind).add(handler);
  }
  return () => {
    for (const [kind, handler] of Object.entries(handlers)) listeners.get(kind)?.delete(handler);
  };
};

// Begins. `changed(date)` is called when the connection is lost, `changed(null)` when it is there again.
export const connect = (changed) => {
  onConnection = changed;
  open();
  document.addEventListener("visibilitychange", () => (document.visibilityState === "visible" ? open() : close()));
  addEventListener("pagehide", close);
};
