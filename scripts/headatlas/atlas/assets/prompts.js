// A head's attention on prompts: which prompts, and one of them as text, arcs and a matrix.

const PROMPTS_HELP = "Prompts are ordered by departure: how far the head's attention on them is from its own mean attention (Jensen-Shannon divergence, 0 to 1). "
  + "Where it is large, what the text says decides what is attended to; where it is small, position does.";

// Where the page holds a prompt's attention for a head: an array and a start, or null.
const heldAttention = (model, block, prompt) => {
  const {shared, own} = block.header, entries = entriesOf(model);
  if (prompt < shared) return [block.arrays[2], prompt * entries];
  const at = own.indexOf(prompt);
  return at < 0 ? null : [block.arrays[3], at * entries];
};

const promptTokens = (overview, prompt) => {
  const at = overview.header.prompts.indexOf(prompt);
  if (at < 0) return null;
  const ids = overview.arrays[3], size = ids.shape[1];
  return Array.from({length: size}, (_, i) => overview.nameOf.get(ids[at * size + i]));
};
const withNames = overview => {
  if (overview && !overview.nameOf)
    overview.nameOf = new Map(overview.header.vocabulary.map((id, i) => [id, overview.header.names[i]]));
  return overview;
};

// Some of the prompts that all heads share, drawn with one seed: the same for each head, so that heads can be compared on them.
const drawn = (count, most) => {
  const left = Array.from({length: count}, (_, i) => i), found = [];
  let state = 1;
  while (left.length && found.length < most) {
    state = state * 48271 % 2147483647;  // Park & Miller 1988
    found.push(...left.splice(state % left.length, 1));
  }
  return found;
};

const promptsPanel = ({run, row, overview, block, route}) => {
  const {model} = run.head(row), departures = Float32Array.from(block.arrays[1], each => each / 65535);
  const lists = {strongest: "Strongest", typical: "Typical", ...Object.fromEntries(Array.from({length: 10}, (_, i) => [`decile ${i + 1}`, `Decile ${i + 1}${i ? i === 9 ? " (most)" : "" : " (least)"}`])), random: "Random", order: "In corpus order"};
  const state = {list: route.parameters.get("list") || "strongest", words: route.parameters.get("find") || "", prompt: -1, query: -1};
  const inOrder = () => Array.from({length: Math.min(block.header.shared, 200)}, (_, i) => i);
  const listed = () => {
    if (state.words) {
      const looked = state.words.toLowerCase().replace(/\s/g, "␣");
      return overview.header.prompts.filter(prompt => heldAttention(model, block, prompt)
        && (promptTokens(overview, prompt) || []).join("").toLowerCase().includes(looked)).slice(0, 200);
    }
    if (state.list === "order") return inOrder();
    return state.list === "random" ? drawn(block.header.shared, 20) : block.header.chosen.filter(([, why]) => why === state.list).map(([prompt]) => prompt);
  };
  const list = element("ol", {class: "prompts", "aria-label": "Prompts"});
  const shown = element("div", {class: "prompt"});

  const fill = () => {
    const prompts = listed();
    list.replaceChildren(...prompts.map(prompt => element("li", {},
      element("button", {type: "button", "aria-current": prompt === state.prompt, onclick: () => show(prompt)},
        element("span", {class: "tokens"}, (promptTokens(overview, prompt) || []).map(name => token(name))),
        element("small", {}, `prompt ${prompt} · departure ${number(departures[prompt])}`)))));
    if (!prompts.length) list.append(element("li", {class: "unavailable"}, "No prompt here holds that text."));
  };
  const show = (prompt, remember = true) => {
    Object.assign(state, {prompt, query: -1});
    for (const each of list.querySelectorAll("button")) each.setAttribute("aria-current", each.textContent.includes(`prompt ${prompt} ·`));
    const held = heldAttention(model, block, prompt), names = promptTokens(overview, prompt);
    if (!held || !names) { shown.replaceChildren(unavailable(`attention on prompt ${prompt} is not in this page`)); return; }
    shown.replaceChildren(...promptView({run, row, model, names, at: readerOf(model, ...held), prompt, departure: departures[prompt]}));
    if (remember) replaceParameters({prompt, list: state.list === "strongest" ? null : state.list, find: state.words || null});
  };
  const search = element("input", {type: "search", placeholder: "find text in prompts", "aria-label": "Find text in prompts", value: state.words,
    oninput: event => { state.words = event.target.value; fill(); const [first] = listed(); if (first !== undefined) show(first); }});
  const picker = choice("Prompts", Object.entries(lists), state.list, value => { state.list = value; state.words = search.value = ""; fill(); const [first] = listed(); if (first !== undefined) show(first); });
  const wanted = Number(route.parameters.get("prompt") ?? NaN);
  fill();
  const [first] = listed();
  const start = Number.isInteger(wanted) && heldAttention(model, block, wanted) ? wanted : first;
  if (start !== undefined) show(start, false);
  const held = block.header.shared + block.header.own.length;
  return panel("Attention on prompts", PROMPTS_HELP, element("div", {class: "promptbox"},
    element("div", {class: "promptlist"}, element("div", {class: "tools"}, picker, search), list,
      element("p", {class: "faint small"}, `${held.toLocaleString("en")} of ${model.prompts.toLocaleString("en")} prompts are in this page; departures are over all.`)),
    shown), {files: [`attention/${model.name}/patterns.parquet`], wide: true, name: "prompts"});
};

const promptView = ({run, row, model, names, at, prompt, departure}) => {
  const size = model.size, state = {query: -1, pinned: false};
  const busiest = () => {  // the query that attends elsewhere most: a good one to begin with
    let best = size - 1, most = -1;
    for (let query = 1; query < size; query++) for (let key = 0; key < size; key++) {
      const beyond = key === query ? -1 : at(query, key) * Math.log2(query + 1);  // one of few keys is no finding
      if (beyond > most) { most = beyond; best = query; }
    }
    return best;
  };
  state.query = busiest();
  const said = element("p", {class: "faint small", "aria-live": "off"});
  const line = element("p", {class: "sentence", "aria-label": "The prompt; each token shows what the chosen one attends to"},
    names.map((name, i) => token(name, {
      tabindex: 0, role: "button", "data-at": i,
      onpointerenter: () => { if (!state.pinned) pick(i); }, onfocus: () => { if (!state.pinned) pick(i); },
      onclick: () => { state.pinned = !(state.pinned && state.query === i); pick(i); },
      onkeydown: event => {
        const step = {ArrowRight: 1, ArrowLeft: -1}[event.key];
        if (step) { event.stopPropagation(); event.preventDefault(); line.children[Math.max(0, Math.min(size - 1, i + step))].focus(); }
      },
    })));
  const slug = `${run.label(row).replaceAll(" ", "-")}-prompt-${prompt}`;
  const numbers = () => weightRows(size, at, names);
  const matrix = matrixChart({name: slug, label: `Attention of ${run.longLabel(row)} on prompt ${prompt}`, size, at, names,
    active: () => state.query, onpick: query => { state.pinned = true; pick(query); }, side: 420});
  const arcs = arcsChart({name: `${slug}-arcs`, label: `Arcs of attention on prompt ${prompt}`, size, at, names, rows: numbers, active: () => state.query,
    onpick: query => { state.pinned = true; pick(query); }});
  const pick = query => {
    state.query = query;
    for (const each of line.children) {
      const key = Number(each.dataset.at), weight = at(query, key);
      const seen = Number.isNaN(weight) ? 0 : weight;
      each.style.backgroundColor = seen > 0.004 ? attentionColour(seen) : "";
      each.style.color = seen > 0.004 ? inkOn(attentionColour(seen)) : "";
      each.classList.toggle("query", key === query);
      each.title = Number.isNaN(weight) ? "cannot be attended to" : number(weight);
    }
    const best = names.map((name, key) => [at(query, key), key]).filter(([weight]) => weight > 0).sort((a, b) => b[0] - a[0]).slice(0, 3);
    said.replaceChildren(token(names[query]), ` (${query}) attends to `, ...best.flatMap(([weight, key], i) => [i ? ", " : "", token(names[key]), ` ${number(weight, 2)}`]),
      state.pinned ? " · pinned, click again to let go" : "");
    matrix.redraw();
    arcs.redraw();
  };
  queueMicrotask(() => pick(state.query));
  redrawn.add({redraw: () => { if (line.isConnected) pick(state.query); }});
  return [element("h3", {}, `Prompt ${prompt}`, element("small", {}, ` departure ${number(departure)}`)), line, said,
    element("div", {class: "two"}, matrix, arcs)];
};

// Tokens in a row, each query joined to its keys by arcs as strong as the attention.
const arcsChart = ({name, label, size, at, names, rows, active, onpick}) => {
  const step = width => (width - 24) / size;
  let longest = 1;
  for (let query = 0; query < size; query++) for (let key = 0; key < size; key++) if (at(query, key) > 0.03) longest = Math.max(longest, Math.abs(query - key));
  const foot = () => 12 + 6.2 * Math.max(...names.map(each => Math.min(14, [...each].length)));
  return chart({
    name, label, csv: rows, onpick: onpick && ((x, y, width) => { const query = Math.floor((x - 12) / step(width)); if (query >= 0 && query < size) onpick(query); }),
    height: width => Math.min(250, width * 0.5) + foot(),
    draw(surface, width, height, theme) {
      const base = height - foot(), wide = step(width), x = i => 12 + (i + 0.5) * wide, tall = base - 10;
      for (const bright of [false, true]) for (let query = 0; query < size; query++) for (let key = 0; key < size; key++) {
        const weight = at(query, key);
        if (!(weight > 0.03) || (query === active()) !== bright) continue;
        const alpha = bright ? Math.min(1, 0.25 + weight) : weight * 0.35, colour = bright ? theme.accent : theme.faint;
        if (key === query) { surface.circle(x(query), base - 7, 2 + 3 * weight, null, colour, bright ? 2 : 1); continue; }
        const rise = 12 + Math.abs(query - key) / longest * (tall * 1.3 - 12);
        surface.curve(x(query), base, x(query), base - rise, x(key), base - rise, x(key), base, colour, bright ? 1 + 3.5 * weight : 1 + 1.5 * weight, alpha);
      }
      for (let i = 0; i < size; i++) {
        if (wide < 9 && i % Math.ceil(9 / wide) && i !== active()) continue;
        const seen = active() >= 0 ? at(active(), i) : 0;
        surface.text(shortened(names[i], 14), x(i), base + 6, {size: 10.5, anchor: "end", turn: -90, weight: i === active() ? 700 : 400,
          fill: i === active() ? theme.accent : seen > 0.1 ? theme.ink : theme.faint});
      }
    },
    under: (x, y, width) => {
      const query = Math.floor((x - 12) / step(width));
      return query >= 0 && query < size ? [element("div", {}, token(names[query]), ` (${query})`)] : null;
    },
  });
};
