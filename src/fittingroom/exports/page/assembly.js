// `kernels.js`'s two loops as WebAssembly, written byte by byte: what a compiler would be needed for otherwise.

const OPERATORS = {
  get: 0x20, set: 0x21, tee: 0x22, number: 0x41, add: 0x6a, subtract: 0x6b, multiply: 0x6c, more: 0x4a, atLeast: 0x4e,
};
const [BLOCK, LOOP, IF, ELSE, END, BRANCH, BRANCH_IF, EMPTY] = [0x02, 0x03, 0x04, 0x05, 0x0b, 0x0c, 0x0d, 0x40];
const [INTEGER, VECTOR] = [0x7f, 0x7b];
const VECTORS = 0xfd;
const [LOAD, LOAD_SPREAD, STORE, LANE, ADD, MULTIPLY] = [0, 9, 11, 31, 0xe4, 0xe6];
const STORE_FLOAT = 0x38;

const unsigned = (value) => (value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...unsigned(value >>> 7)]);
const signed = (value) => (value >= -64 && value < 64 ? [value & 0x7f] : [(value & 0x7f) | 0x80, ...signed(value >> 7)]);
const counted = (parts) => [...unsigned(parts.length), ...parts.flat()];
const text = (word) => counted([...word].map((letter) => letter.charCodeAt(0)));
const section = (id, bytes) => [id, ...unsigned(bytes.length), ...bytes];
const vector = (operator, ...more) => [VECTORS, ...unsigned(operator), ...more];

// A function under construction: named parameters and variables, and pieces of code.
class Code {
  constructor(parameters) {
    this.parameters = parameters;
    this.names = [...parameters];
    this.types = [];
  }

  variable(name, type = INTEGER) {
    this.names.push(name);
    this.types.push(type);
    return name;
  }

  get = (name) => [OPERATORS.get, ...unsigned(this.names.indexOf(name))];
  set = (name, value) => [...value, OPERATORS.set, ...unsigned(this.names.indexOf(name))];
  number = (value) => [OPERATORS.number, ...signed(value)];
  of = (operator, one, other) => [...this.any(one), ...this.any(other), OPERATORS[operator]];
  any = (value) => (typeof value === "string" ? this.get(value) : typeof value === "number" ? this.number(value) : value);
  advance = (name, by) => this.set(name, this.of("add", name, by));
  when = (condition, yes, no = []) => [...condition, IF, EMPTY, ...yes, ...(no.length ? [ELSE, ...no] : []), END];
  // While the condition holds.
  loop = (condition, body) => [BLOCK, EMPTY, LOOP, EMPTY, ...condition, 0x45, BRANCH_IF, 1, ...body, BRANCH, 0, END, END];
  load = (name, offset = 0) => [...this.get(name), ...vector(LOAD, 2, ...unsigned(offset))];
  spread = (name) => [...this.get(name), ...vector(LOAD_SPREAD, 2, 0)];
  store = (name, offset, value) => [...this.get(name), ...this.get(value), ...vector(STORE, 2, ...unsigned(offset))];
  storeLane = (name, offset, value, lane) => [...this.get(name), ...this.get(value), ...vector(LANE, lane), STORE_FLOAT, 2, ...unsigned(offset)];
  // sum += one · other
  accumulate = (sum, one, other) => this.set(sum, [...this.get(sum), ...one, ...other, ...vector(MULTIPLY), ...vector(ADD)]);

  type = () => [0x60, ...counted(this.parameters.map(() => [INTEGER])), 0];
  body = (code) => {
    const bytes = [...counted(this.types.map((type) => [1, type])), ...code, END];
    return [...unsigned(bytes.length), ...bytes];
  };
}

const ROWS = 4; // of a matrix, that are multiplied together

const multiply = () => {
  const code = new Code(["a", "aStep", "b", "bias", "c", "cStep", "rows", "inner", "columns"]);
  for (const name of ["from", "to", "left", "at", "steps"]) code.variable(name);
  for (const name of ["b0", "b1", "one"]) code.variable(name, VECTOR);
  const rows = Array.from({ length: ROWS }, (_, row) => ({
    from: code.variable(`from${row}`), to: code.variable(`to${row}`), sums: [0, 1].map((half) => code.variable(`sum${row}${half}`, VECTOR)),
  }));
  const some = (count) => {
    const chosen = rows.slice(0, count);
    const start = chosen.flatMap(({ from, to, sums }, row) => [
      ...code.set(from, row ? code.of("add", rows[row - 1].from, "aStep") : code.get("from")),
      ...code.set(to, row ? code.of("add", rows[row - 1].to, "cStep") : code.get("to")),
      ...sums.flatMap((sum, half) => code.set(sum, code.load("bias", 16 * half))),
    ]);
    const step = [
      ...code.set("b0", code.load("at")),
      ...code.set("b1", code.load("at", 16)),
      ...chosen.flatMap(({ from, sums }) => [
        ...code.set("one", code.spread(from)),
        ...sums.flatMap((sum, half) => code.accumulate(sum, code.get("one"), code.get(`b${half}`))),
        ...code.advance(from, 4),
      ]),
      ...code.advance("at", 32),
      ...code.advance("steps", -1),
    ];
    const whole = chosen.flatMap(({ to, sums }) => sums.flatMap((sum, half) => code.store(to, 16 * half, sum)));
    const lanes = Array.from({ length: 8 }, (_, lane) =>
      code.when(code.of("more", "columns", lane), chosen.flatMap(({ to, sums }) => code.storeLane(to, 4 * lane, sums[lane >> 2], lane & 3))),
    ).flat();
    return [
      ...start,
      ...code.set("at", code.get("b")),
      ...code.set("steps", code.get("inner")),
      ...code.loop(code.of("more", "steps", 0), step),
      ...code.when(code.of("atLeast", "columns", 8), whole, lanes),
      ...code.advance("from", code.of("multiply", "aStep", count)),
      ...code.advance("to", code.of("multiply", "cStep", count)),
      ...code.advance("left", -count),
    ];
  };
  const panel = [
    ...code.set("from", code.get("a")),
    ...code.set("to", code.get("c")),
    ...code.set("left", code.get("rows")),
    ...code.loop(code.of("atLeast", "left", ROWS), some(ROWS)),
    ...code.loop(code.of("more", "left", 0), some(1)),
    ...code.advance("b", code.of("multiply", "inner", 32)),
    ...code.advance("bias", 32),
    ...code.advance("c", 32),
    ...code.advance("columns", -8),
  ];
  return [code, code.loop(code.of("more", "columns", 0), panel)];
};

// Channels come in fours.
const depthwise = () => {
  const code = new Code(["x", "kernel", "bias", "y", "pixels", "channels", "height", "width", "rowStep", "columnStep", "pixelStep"]);
  for (const name of ["channel", "row", "column", "from", "line", "weight", "constant", "size"]) code.variable(name);
  code.variable("sum", VECTOR);
  const column = [
    ...code.accumulate("sum", code.load("from"), code.load("weight")),
    ...code.advance("from", "columnStep"),
    ...code.advance("weight", "size"),
    ...code.advance("column", -1),
  ];
  const row = [
    ...code.set("from", code.get("line")),
    ...code.set("column", code.get("width")),
    ...code.loop(code.of("more", "column", 0), column),
    ...code.advance("line", "rowStep"),
    ...code.advance("row", -1),
  ];
  const channel = [
    ...code.set("sum", code.load("constant")),
    ...code.set("line", code.of("add", "x", "channel")),
    ...code.set("weight", code.of("add", "kernel", "channel")),
    ...code.set("row", code.get("height")),
    ...code.loop(code.of("more", "row", 0), row),
    ...code.store("y", 0, "sum"),
    ...code.advance("y", 16),
    ...code.advance("constant", 16),
    ...code.advance("channel", 16),
  ];
  const pixel = [
    ...code.set("channel", code.number(0)),
    ...code.set("constant", code.get("bias")),
    ...code.loop(code.of("more", "size", "channel"), channel),
    ...code.advance("x", "pixelStep"),
    ...code.advance("pixels", -1),
  ];
  return [code, [...code.set("size", code.of("multiply", "channels", 4)), ...code.loop(code.of("more", "pixels", 0), pixel)]];
};

// The bytes of a module that takes `page.memory`, and gives `multiply` and `depthwise`, whose places are in bytes.
export const assembled = () => {
  const functions = [multiply(), depthwise()];
  const names = ["multiply", "depthwise"];
  return new Uint8Array([
    0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0,
    ...section(1, counted(functions.map(([code]) => code.type()))),
    ...section(2, counted([[...text("page"), ...text("memory"), 0x02, 0x00, 1]])),
    ...section(3, counted(functions.map((_, index) => [index]))),
    ...section(7, counted(names.map((name, index) => [...text(name), 0x00, index]))),
    ...section(10, counted(functions.map(([code, body]) => code.body(body)))),
  ]);
};
