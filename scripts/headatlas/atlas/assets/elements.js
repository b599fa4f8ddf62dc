// Elements of the page. Text is always set as text: nothing that a corpus holds can become markup.

const element = (tag, attributes = {}, ...children) => {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined) continue;
    if (name.startsWith("aria-")) { made.setAttribute(name, String(value)); continue; }
    if (value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name === "style") Object.assign(made.style, value);
    else if (name === "value" || name === "checked" || name === "disabled") made[name] = value;
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat(Infinity).filter(child => child !== null && child !== undefined && child !== false));
  return made;
};

const MISSING = "–";
const number = (value, digits = 3) => {
  if (value === null || value === undefined || !Number.isFinite(value)) return MISSING;
  const size = Math.abs(value);
  let text;
  if (Number.isInteger(value) && size < 1e6) text = String(value);
  else if (size >= 1000) text = Math.round(value).toLocaleString("en");
  else if (size !== 0 && size < 0.001) text = value.toPrecision(2);
  else text = value.toFixed(size >= 100 ? 1 : size >= 10 ? 2 : digits);
  return text.replace("-", "−");
};
const withError = (value, error) => number(value) + (Number.isFinite(error) ? ` ± ${number(error)}` : "");

// A token in its own direction of writing, isolated from its neighbours'.
const token = (name, attributes = {}) => element("bdi", {class: "token", ...attributes}, name);

const link = (address, ...children) => element("a", {href: `#${address}`}, ...children);
const button = (title, onclick, attributes = {}) => element("button", {type: "button", onclick, ...attributes}, title);
const choice = (label, options, value, onchange, attributes = {}) => {
  const select = element("select", {onchange: event => onchange(event.target.value), ...attributes},
    options.map(([key, title]) => element("option", {value: key}, title)));
  select.value = value;
  return element("label", {class: "choice"}, element("span", {}, label), select);
};
const segmented = (label, options, value, onchange) => {
  const group = element("div", {class: "segmented", role: "group", "aria-label": label});
  for (const [key, title] of options) {
    group.append(button(title, () => {
      for (const other of group.children) other.setAttribute("aria-pressed", other.dataset.key === key);
      onchange(key);
    }, {"aria-pressed": key === value, "data-key": key}));
  }
  return group;
};

// A part of a view: title, one sentence on how to read it, content, and the tables that its numbers come from.
const panel = (title, reading, content, {files = [], wide = false, name = null} = {}) => {
  const sources = files.filter(Boolean);
  return element("section", {class: `panel${wide ? " wide" : ""}`, "data-panel": name || title},
    element("header", {}, element("h2", {}, title), sources.length ? sourceNote(sources) : null),
    reading ? element("p", {class: "reading"}, reading) : null,
    content);
};
const unavailable = what => element("p", {class: "unavailable"}, `Not available: ${what}.`);

// Where a file of the results lies, seen from this page.
const fileAddress = file => encodeURI(`${app.run.index.base || ""}${file}`);

// Those files of the results that are there, of names in which {model} stands for each of some models.
const filesOf = (run, models, ...names) => run !== app.run ? [] : [...new Set(names.flatMap(name => [...new Set(models)].map(model => name.replace("{model}", model.name))))]
  .filter(file => run.index.tables[file]);
const OF_SCORES = ["scores/{model}.parquet", "knockouts/{model}/losses.parquet"];

// A link from a number to the table it stands in and to what made that table.
const sourceNote = files => element("details", {class: "source"},
  element("summary", {}, "source"),
  element("div", {class: "popover"}, files.map(file => provenance(file))));
const provenance = file => {
  const about = app.run.index.tables[file];
  const facts = about ? [
    ["rows", about.rows.toLocaleString("en")], ["made by", about.rule], ["code", about.code], ["device", about.device],
    ["columns", about.columns.join(", ")],
    ["settings", about.settings && JSON.stringify(about.settings)],
    ["packages", about.packages && Object.entries(about.packages).map(pair => pair.join(" ")).join(", ")],
  ] : [];
  return element("div", {class: "provenance"},
    element("a", {href: fileAddress(file), class: "file"}, file),
    element("dl", {}, facts.filter(([, value]) => value).map(([key, value]) =>
      [element("dt", {}, key), element("dd", {}, value)])));
};

// What scrolls sideways fades where more lies to the right.
const edged = node => {
  const look = () => node.classList.toggle("more", node.scrollLeft + node.clientWidth < node.scrollWidth - 2);
  node.addEventListener("scroll", look, {passive: true});
  const sized = new ResizeObserver(look);
  for (const each of [node, ...node.children]) sized.observe(each);
  return node;
};

const table = (titles, rows, {label, numeric = []} = {}) => edged(element("div", {class: "scroll", tabindex: 0, role: "region", "aria-label": label},
  element("table", {},
    element("thead", {}, element("tr", {}, titles.map((title, i) =>
      element("th", {scope: "col", class: numeric.includes(i) ? "numeric" : null, style: {minWidth: `${title.length > 18 ? 6.3 : 0}rem`}}, title)))),
    element("tbody", {}, rows.map(cells => element("tr", {}, cells.map((cell, i) =>
      element("td", {class: numeric.includes(i) ? "numeric" : null}, cell instanceof Node ? cell : String(cell ?? MISSING)))))))));

// One hint for the whole page, near the pointer; what it shows is built from elements.
const hint = element("div", {id: "hint", role: "tooltip", hidden: true});
const showHint = (event, ...content) => {
  hint.replaceChildren(...content.flat().filter(Boolean));
  hint.hidden = false;
  const {width, height} = hint.getBoundingClientRect();
  const x = Math.min(event.clientX + 14, innerWidth - width - 8);
  const y = event.clientY + 18 + height > innerHeight ? event.clientY - height - 12 : event.clientY + 18;
  hint.style.transform = `translate(${Math.max(4, x)}px, ${Math.max(4, y)}px)`;
};
const hideHint = () => { hint.hidden = true; };

const download = (name, kind, content) => {
  const address = URL.createObjectURL(new Blob([content], {type: kind}));
  element("a", {href: address, download: name}).click();
  setTimeout(() => URL.revokeObjectURL(address), 1000);
};
const csv = rows => rows.map(row => row.map(cell => {
  const text = cell === null || cell === undefined || Number.isNaN(cell) ? "" : String(cell);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}).join(",")).join("\r\n") + "\r\n";

// What a reader of the screen hears when something changes that is not in focus.
const spoken = element("div", {id: "spoken", role: "status", "aria-live": "polite"});
const say = text => { spoken.textContent = text; };
