// What a run knows, and how its data are reached: columns in the index, blocks that are unpacked when looked at.

const bytesOf = text => {
  const raw = atob(text), bytes = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
  return bytes;
};

// A column of the index: {f32: base64} or {i32: base64} as a typed array, a list as it is.
const column = packed => {
  if (packed && packed.f32 !== undefined) return new Float32Array(bytesOf(packed.f32).buffer);
  if (packed && packed.i32 !== undefined) return new Int32Array(bytesOf(packed.i32).buffer);
  return packed;
};

const KINDS_OF_ARRAY = {uint8: Uint8Array, uint16: Uint16Array, int32: Int32Array, float32: Float32Array};

// A block as encoding.py packed it: its header, and its arrays with their shapes.
const unpack = async text => {
  const stream = new Blob([bytesOf(text.trim())]).stream().pipeThrough(new DecompressionStream("deflate"));
  const buffer = await new Response(stream).arrayBuffer();
  const length = new DataView(buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  const arrays = header.arrays.map(([kind, shape, place]) => {
    const size = shape.reduce((product, n) => product * n, 1);
    const values = new KINDS_OF_ARRAY[kind](buffer, 4 + length + place, size);
    values.shape = shape;
    return values;
  });
  return {header, arrays};
};

const whenParsed = () => new Promise(resolve => {
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", resolve, {once: true});
  else resolve();
});

// Scripts of an atlas in a folder call this with what they carry.
const arrived = new Map();
window.atlasPiece = (name, text) => arrived.set(name, text);
const loadScript = path => new Promise((resolve, reject) => {
  const script = document.createElement("script");
  script.src = path;
  script.onload = resolve;
  script.onerror = () => reject(new Error(`${path} is missing beside this page`));
  document.head.append(script);
});

class Run {
  // An atlas's index, and the document that holds its blocks: this page, or another that was opened to compare.
  constructor(index, page, name) {
    Object.assign(this, {index, page, name, unpacked: new Map(), loaded: new Map()});
    this.title = index.about.title;
    this.models = index.models;
    this.count = index.count;
    this.modelOf = new Int32Array(this.count);
    this.models.forEach((model, place) => {
      model.count = model.members * model.layers * model.heads;
      this.modelOf.fill(place, model.first, model.first + model.count);
    });
    this.scores = index.scores.map(score => ({
      name: score.name, title: words(score.name), formula: score.formula, source: score.source, value: column(score.value),
      error: column(score.standard_error), chance: column(score.chance),
    }));
    const unknown = new Float32Array(this.count).fill(NaN), inPlace = index.costs.find(cost => cost.kind === "other");
    this.costs = index.costs.filter(cost => cost.kind !== "other").map(cost => ({
      name: `cost ${cost.kind}`, kind: cost.kind, title: `${cost.kind} ablation, loss added`, unit: "nats per token",
      value: column(cost.effect), error: column(cost.standard_error),
      chance: inPlace && cost.kind === "mean" ? column(inPlace.effect) : unknown,  // another head of the layer in its place
    }));
    this.maps = index.maps.map(map => ({...map, x: column(map.x), y: column(map.y)}));
    this.groupings = index.groupings.map(grouping => ({
      ...grouping, of: column(grouping.of), share: column(grouping.share), tie: column(grouping.tie),
      byId: new Map(grouping.groups.map(group => [group.id, group])),
    }));
    this.pairs = index.pairs.map(pair => new Pairs(pair, this.count));
    this.measures = index.measures.map(table => ({
      ...table, of: column(table.of),
      columns: Object.fromEntries(Object.entries(table.columns).map(([name, values]) => [name, column(values)])),
    }));
    this.circuits = index.circuits && Object.fromEntries(Object.entries(index.circuits).map(([name, values]) => [name, column(values)]));
    this.tokens = index.tokens && {
      ...index.tokens, of: column(index.tokens.of), effect: column(index.tokens.effect),
      error: column(index.tokens.standard_error),
    };
  }

  head(row) {
    const model = this.models[this.modelOf[row]];
    const place = row - model.first, layers = Math.floor(place / model.heads);
    return {row, model, member: Math.floor(layers / model.layers), layer: layers % model.layers, head: place % model.heads};
  }

  model(name) { return this.models.find(model => model.name === name) || this.models.find(model => model.label === name); }

  row(name, member, layer, head) {
    const model = this.model(name);
    const inside = model && [[member, model.members], [layer, model.layers], [head, model.heads]]
      .every(([at, count]) => Number.isInteger(at) && at >= 0 && at < count);
    return inside ? model.first + (member * model.layers + layer) * model.heads + head : -1;
  }

  address(row) {
    const {model, member, layer, head} = this.head(row);
    return `${encodeURIComponent(model.name)}/${member}/${layer}/${head}`;
  }

  label(row) {
    const {model, member, layer, head} = this.head(row);
    return `${model.label}${model.members > 1 ? ` ${member}` : ""} L${layer}H${head}`;
  }

  longLabel(row) {
    const {model, member, layer, head} = this.head(row);
    return `${model.name}, member ${member}, layer ${layer}, head ${head}`;
  }

  score(name) { return this.scores.find(score => score.name === name) || this.costs.find(cost => cost.name === name); }

  get numbers() { return [...this.scores, ...this.costs]; }

  group(grouping, row) {
    const id = grouping.of[row];
    return id < 0 ? null : grouping.byId.get(id);
  }

  rowsOf(grouping, id) {
    const rows = [];
    for (let row = 0; row < this.count; row++) if (grouping.of[row] === id) rows.push(row);
    return rows;
  }

  async text(name) {
    await whenParsed();
    const found = this.page.querySelector(`script[data-block="${CSS.escape(name)}"]`);
    return found ? found.textContent : null;
  }

  // A block by its name; null where the page does not hold it.
  block(name) {
    if (!this.unpacked.has(name)) this.unpacked.set(name, this.text(name).then(text => text && unpack(text)));
    return this.unpacked.get(name);
  }

  overview(model) { return this.block(`attention/${model.name}`); }

  // What one head attends to: from this page, or from the script beside it that holds the head.
  async attention(row) {
    const {model} = this.head(row), pieces = this.index.pieces;
    const {member, layer, head} = this.head(row);
    const name = `attention/${model.name}/${member}/${layer}/${head}`;
    if (!pieces) return this.block(name);
    if (this.page !== document) return null;
    const path = `${model.name}/${String((row - model.first) % pieces[model.name]).padStart(3, "0")}.js`;
    if (!this.loaded.has(path)) this.loaded.set(path, loadScript(path));
    await this.loaded.get(path);
    if (!this.unpacked.has(name)) this.unpacked.set(name, unpack(arrived.get(name)));
    return this.unpacked.get(name);
  }
}

// Numbers about two heads: a square over some heads, read by the rows of both.
class Pairs {
  constructor(pair, count) {
    Object.assign(this, {name: pair.name, title: pair.title, file: pair.file});
    this.heads = column(pair.heads);
    this.square = column(pair.square);
    this.place = new Int32Array(count).fill(-1);
    this.heads.forEach((row, at) => { if (row >= 0) this.place[row] = at; });
  }

  between(one, other) {
    const i = this.place[one], j = this.place[other];
    return i < 0 || j < 0 ? NaN : this.square[i * this.heads.length + j];
  }
}

// An atlas that a person opened from disk to compare: parsed, never run.
const openRun = async file => {
  const page = new DOMParser().parseFromString(await file.text(), "text/html");
  const index = page.getElementById("index");
  if (!index) throw new Error(`${file.name} is no atlas: it has no index`);
  return new Run(JSON.parse(index.textContent), page, file.name);
};

const mean = values => values.reduce((sum, value) => sum + value, 0) / values.length;
const meanAndError = values => {
  const known = values.filter(Number.isFinite), average = mean(known);
  const squares = known.reduce((sum, value) => sum + (value - average) ** 2, 0);
  return {count: known.length, mean: average, error: Math.sqrt(squares / (known.length - 1) / known.length)};
};
const lowered = title => title.charAt(0).toLowerCase() + title.slice(1);
const words = name => name.replaceAll("_", " ");

// A score of a head as it is, in units of chance, or in standard errors beyond chance.
const UNITS = {
  value: {title: "as measured", of: (score, row) => score.value[row], neutral: (score, row) => score.chance[row]},
  chance: {
    title: "in units of chance", neutral: () => 1,
    of: (score, row) => score.chance[row] > 1e-9 ? score.value[row] / score.chance[row] : NaN,
  },
  errors: {
    title: "standard errors beyond chance", neutral: () => 0,
    of: (score, row) => (score.value[row] - score.chance[row]) / score.error[row],
  },
};
// Which side of chance a score lies on, by two standard errors: 1, -1, or 0 where that cannot be said.
const side = (score, row) => {
  const beyond = score.value[row] - score.chance[row], error = score.error[row];
  return !(Math.abs(beyond) > 2 * error) ? 0 : Math.sign(beyond);
};

// A triangle or a square of attention as it lies in a block, read by query and key.
const readerOf = (model, values, start = 0, step = 255) => model.packing === "lower"
  ? (query, key) => key > query ? NaN : values[start + query * (query + 1) / 2 + key] / step
  : (query, key) => values[start + query * model.size + key] / step;
const entriesOf = model => model.packing === "lower" ? model.size * (model.size + 1) / 2 : model.size ** 2;
