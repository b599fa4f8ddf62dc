// Queries and keys of each head on one plane, in which what lies close is attended to.

const JOINT_HELP = "Each point is a query (circle) or a key (cross) of one token; where the map is faithful, a query lies near the keys it attends to. "
  + "How faithful it is stands beside it: Spearman is the rank correlation of closeness with attention, 1 at best.";

const jointView = async (place, route) => {
  const run = app.run, withMaps = run.models.filter(model => (run.index.joint || []).includes(model.name));
  if (!withMaps.length) { place.append(titled("Queries and keys", JOINT_HELP), unavailable("this run has no joint maps: `snakemake attentionviz` makes them")); return {}; }
  const [, name, ...numbers] = route.parts, given = route.parameters;
  const model = withMaps.find(each => each.name === name) || withMaps[0];
  let row = run.row(model.name, ...numbers.map(Number));
  if (row < 0) row = model.first;
  const data = await run.block(`joint/${model.name}`);
  if (!place.isConnected) return {};
  const {header} = data, identity = data.arrays[0], points = identity.shape[1];
  const [kinds, prompts, positions, tokens, tags] = Array.from({length: 5}, (_, i) => identity.subarray(i * points, (i + 1) * points));
  const names = new Map(header.tokens.map((id, i) => [id, header.names[i]]));
  const state = {method: header.methods.includes(given.get("method")) ? given.get("method") : header.methods[header.methods.length - 1], colour: given.get("colour") || "type", words: given.get("find") || "", only: -1, at: -1};
  const places = () => data.arrays[1 + header.methods.indexOf(state.method)];
  const isQuery = i => header.kinds[kinds[i]] === "query";
  const longest = Math.max(...positions) || 1;
  const colours = [["type", "query or key"], ["position", "position"], ["token", "token"], ...(header.tags.some(Boolean) ? [["tag", "part of speech"]] : [])];
  const common = [...positions.keys()].reduce((counts, i) => counts.set(tokens[i], (counts.get(tokens[i]) || 0) + 1), new Map());
  const ranked = [...common].sort((a, b) => b[1] - a[1]).map(([id]) => id).slice(0, 8);
  const colourOf = i => state.colour === "position" ? attentionColour(0.15 + 0.85 * positions[i] / longest)
    : state.colour === "token" ? hue(ranked.indexOf(tokens[i])) : state.colour === "tag" ? hue(header.tags[tags[i]] ? tags[i] : -1)
      : isQuery(i) ? hue(0) : hue(1);
  const group = i => state.colour === "token" ? ranked.indexOf(tokens[i]) : state.colour === "tag" ? tags[i] : state.colour === "type" ? kinds[i] : -1;
  const found = i => state.only >= 0 ? group(i) === state.only
    : state.words && (names.get(tokens[i]) || "").toLowerCase().includes(state.words.toLowerCase().replace(/ /g, "␣"));

  const quality = () => header.quality?.of.filter(each => each.method === state.method) || [];
  const shown = () => quality().find(each => each.construction === "closed form") || quality()[0];
  const rank = at => { const about = shown(); return about?.spearman ? about.spearman[at] : NaN; };

  // The matrix: a stamp for each head
  const stamps = chart({
    name: `${model.name}-joint-matrix`, label: `Joint maps of all heads of ${model.label}; the head pickers choose the same`,
    csv: () => [["member", "layer", "head", "Spearman"], ...Array.from({length: model.count}, (_, at) => { const {member, layer, head} = run.head(model.first + at); return [member, layer, head, rank(at)]; })],
    height: width => { const {rows, cell} = grid(width); return rows * cell + 18; },
    draw(surface, width, height, theme) {
      const {columns, cell} = grid(width), all = places();
      for (let at = 0; at < model.count; at++) {
        const x = 22 + at % columns * cell, y = 16 + Math.floor(at / columns) * cell, side = cell - 5;
        surface.rect(x, y, side, side, null, at === row - model.first ? theme.accent : theme.line, at === row - model.first ? 2.5 : 1);
        const step = Math.max(1, Math.floor(points * model.count / 60000));
        for (let i = 0; i < points; i += step) {
          const px = x + 2 + all[(at * points + i) * 2] / 65535 * (side - 5), py = y + side - 3 - all[(at * points + i) * 2 + 1] / 65535 * (side - 5);
          surface.rect(px, py, 1.3, 1.3, colourOf(i));
        }
      }
      for (let head = 0; head < columns; head++) surface.text(String(head), 22 + head * cell + cell / 2 - 2, 7, {size: 10, anchor: "middle", fill: theme.faint});
      for (let line = 0; line < grid(width).rows; line++)
        surface.text(model.members > 1 && model.layers > 1 ? `${Math.floor(line / model.layers)}.${line % model.layers}` : String(line), 17, 16 + line * cell + cell / 2 - 2, {size: 10, anchor: "end", fill: theme.faint});
    },
    under: (x, y, width) => { const at = stampAt(x, y, width); return at >= 0 ? [element("strong", {}, run.label(model.first + at)), element("div", {}, `Spearman ${number(rank(at))}`)] : null; },
    onpick: (x, y, width) => { const at = stampAt(x, y, width); if (at >= 0) go(`joint/${run.address(model.first + at)}${suffix()}`); },
  });
  const grid = width => ({columns: model.heads, rows: model.members * model.layers, cell: Math.min(84, (width - 24) / model.heads)});
  const stampAt = (x, y, width) => {
    const {columns, rows, cell} = grid(width), column = Math.floor((x - 22) / cell), line = Math.floor((y - 16) / cell);
    return column >= 0 && line >= 0 && column < columns && line < rows ? line * columns + column : -1;
  };
  const suffix = () => {
    const kept = new URLSearchParams();
    if (state.method !== header.methods[header.methods.length - 1]) kept.set("method", state.method);
    if (state.colour !== "type") kept.set("colour", state.colour);
    if (state.words) kept.set("find", state.words);
    return kept.size ? `?${kept}` : "";
  };

  // One head, large
  const block = await run.attention(row);
  if (!place.isConnected) return {};
  const attended = i => {  // of a query: its keys' points with their attention; of a key: the queries that attend to it
    const held = block && heldAttention(model, block, prompts[i]);
    if (!held) return null;
    const at = readerOf(model, ...held), found = [];
    for (let j = 0; j < points; j++) {
      if (prompts[j] !== prompts[i] || kinds[j] === kinds[i]) continue;
      const weight = isQuery(i) ? at(positions[i], positions[j]) : at(positions[j], positions[i]);
      if (weight > 0.01) found.push([j, weight]);
    }
    return found.sort((a, b) => b[1] - a[1]);
  };
  const sentence = element("div", {class: "sentencebox"}, element("p", {class: "faint small"}, "Point at a query or key to see its sentence and what it attends to; click to keep it."));
  const box = (width, height) => ({left: 10, right: width - 10, top: 10, bottom: height - 10});
  let kept = false;
  const large = chart({
    name: `${run.label(row)}-joint`.replaceAll(" ", "-"), label: `Joint map of queries and keys of ${run.longLabel(row)}`,
    csv: () => [["kind", "prompt", "position", "token", "x", "y"], ...Array.from({length: points}, (_, i) => [header.kinds[kinds[i]], prompts[i], positions[i], names.get(tokens[i]),
      places()[((row - model.first) * points + i) * 2], places()[((row - model.first) * points + i) * 2 + 1]])],
    height: width => Math.min(width * 0.86, Math.max(320, innerHeight * 0.68)),
    draw(surface, width, height, theme) {
      const at = box(width, height), x = i => px(i, width, height)[0], y = i => px(i, width, height)[1];
      if (state.at >= 0) for (const [j, weight] of attended(state.at) || []) surface.line(x(state.at), y(state.at), x(j), y(j), theme.accent, 0.6 + 3 * weight, [], 0.25 + 0.75 * weight);
      const dimmed = state.at >= 0 || state.words || state.only >= 0;
      for (let i = 0; i < points; i++) {
        const bright = !dimmed || found(i) || i === state.at || (state.at >= 0 && prompts[i] === prompts[state.at]);
        const colour = colourOf(i);
        if (isQuery(i)) surface.circle(x(i), y(i), bright ? 4 : 2.4, bright ? colour : null, bright ? theme.paper : colour, 0.8);
        else mark(surface, "X", x(i), y(i), bright ? 4.6 : 3, colour, bright ? theme.paper : null);
      }
      const labelled = state.at >= 0 ? [state.at, ...(attended(state.at) || []).slice(0, 4).map(([j]) => j)] : state.words ? [...Array(points).keys()].filter(found).slice(0, 30) : [];
      for (const i of labelled) surface.text(shortened(names.get(tokens[i]) || "", 16), x(i) + 7, y(i) - 7, {size: 11, fill: theme.ink, weight: i === state.at ? 700 : 400});
      surface.rect(at.left - 6, at.top - 6, at.right - at.left + 12, at.bottom - at.top + 12, null, theme.line);
    },
    under: (x, y, width, height) => {
      const i = nearest(x, y, width, height);
      if (!kept) pick(i);
      return i >= 0 ? [element("strong", {}, token(names.get(tokens[i]))), ` ${header.kinds[kinds[i]]} at ${positions[i]}, prompt ${prompts[i]}${header.tags[tags[i]] ? `, ${header.tags[tags[i]]}` : ""}`] : null;
    },
    onpick: (x, y, width, height) => { const i = nearest(x, y, width, height); kept = i >= 0 && !(kept && i === state.at); pick(i); },
  });
  const px = (i, width, height) => {
    const at = box(width, height), side = Math.min(at.right - at.left, at.bottom - at.top), all = places(), start = ((row - model.first) * points + i) * 2;
    return [(at.left + at.right - side) / 2 + all[start] / 65535 * side, (at.top + at.bottom + side) / 2 - all[start + 1] / 65535 * side];
  };
  const nearest = (x, y, width, height) => {
    let best = 14 ** 2, at = -1;
    for (let i = 0; i < points; i++) {
      const [px_, py] = px(i, width, height), distance = (px_ - x) ** 2 + (py - y) ** 2;
      if (distance < best) { best = distance; at = i; }
    }
    return at;
  };
  const pick = i => {
    if (i === state.at) return;
    state.at = i;
    large.redraw();
    if (i < 0) return;
    const of = [...Array(points).keys()].filter(j => prompts[j] === prompts[i] && kinds[j] === kinds[i]).sort((a, b) => positions[a] - positions[b]);
    const weights = attended(i), by = new Map((weights || []).map(([j, weight]) => [positions[j], weight]));
    sentence.replaceChildren(
      element("p", {class: "sentence"}, of.map(j => {
        const weight = by.get(positions[j]) || 0;
        return token(names.get(tokens[j]), {class: `token${positions[j] === positions[i] ? " query" : ""}`, title: number(weight),
          style: weight > 0.004 ? {backgroundColor: attentionColour(weight), color: inkOn(attentionColour(weight))} : {}});
      })),
      element("p", {class: "faint small"}, weights ? `${isQuery(i) ? "shaded by what this query attends to" : "shaded by which queries attend to this key"}, prompt ${prompts[i]}` : "the attention of this prompt is not in this page"));
  };

  redrawn.add({redraw: () => { const {at} = state; state.at = -1; pick(at); }});

  const about = element("div", {class: "small"});
  const tell = () => {
    const at = row - model.first, best = shown();
    const rows = quality().map(each => [each.construction, number(each.c?.[at], 2), withError(each.spearman?.[at], each.standard_error?.[at]), number(each.trustworthiness?.[at])]);
    about.replaceChildren(best ? element("p", {}, `This map (${best.construction}, ${METHOD_NAMES[state.method] || state.method}): Spearman with attention `, element("strong", {}, withError(best.spearman[at], best.standard_error[at])),
      `, trustworthiness ${number(best.trustworthiness?.[at])}. ${best.spearman[at] < 0.5 ? "Distances here say little of attention." : best.spearman[at] < 0.75 ? "Distances here are a moderate guide to attention." : "Distances here are a good guide to attention."}`) : unavailable("how faithful this map is"),
    rows.length ? table(["construction", "c", "Spearman", "trustworthiness"], rows, {label: "How faithful each construction is", numeric: [1, 2, 3]}) : "");
  };
  const redraw = () => { stamps.redraw(); large.redraw(); tell(); replaceAddress(`joint/${run.address(row)}${suffix()}`); };
  const legend = element("div", {class: "legend"});
  // Colour is never alone: an entry of the legend shows which points are its own.
  const entry = (index, mark, name) => element("button", {type: "button", class: "quiet", "aria-pressed": state.only === index, title: "Show these alone",
    onclick: () => { state.only = state.only === index ? -1 : index; fillLegend(); large.redraw(); }}, mark, name);
  const dot = index => glyph(index, false, "o");
  const fillLegend = () => legend.replaceChildren(...(state.colour === "type" ? header.kinds.map((kind, i) => entry(i, kind === "query" ? dot(0) : glyph(1, false, "X"), kind))
    : state.colour === "token" ? ranked.map((id, i) => entry(i, dot(i), token(names.get(id))))
      : state.colour === "tag" ? header.tags.map((tag, i) => tag && entry(i, dot(i), tag)).filter(Boolean)
        : [element("span", {}, `position 0 (light) to ${longest} (dark)`)]), state.colour === "type" ? "" : element("span", {}, "circle: query, cross: key"));
  place.append(titled("Queries and keys", JOINT_HELP, element("p", {class: "subtitle"}, `${run.longLabel(row)}. `, link(run.address(row), "Its page"))),
    element("div", {class: "tools"},
      withMaps.length > 1 ? choice("Model", withMaps.map(each => [each.name, each.label]), model.name, to => go(`joint/${encodeURIComponent(to)}/0/0/0`)) : null,
      ...["Member", "Layer", "Head"].map((title, i) => {
        const at = run.head(row), now = [at.member, at.layer, at.head];
        return choice(title, Array.from({length: [model.members, model.layers, model.heads][i]}, (_, n) => [String(n), String(n)]), String(now[i]), to => { now[i] = Number(to); go(`joint/${run.address(run.row(model.name, ...now))}${suffix()}`); });
      }),
      choice("Map", header.methods.map(each => [each, METHOD_NAMES[each] || each]), state.method, method => { state.method = method; redraw(); }),
      choice("Colour", colours, state.colour, colour => { Object.assign(state, {colour, only: -1}); fillLegend(); redraw(); }),
      element("input", {type: "search", placeholder: "find a token", "aria-label": "Find a token on the map", value: state.words, oninput: event => { state.words = event.target.value; redraw(); }})),
    element("div", {class: "jointgrid"},
      panel("One head", null, element("div", {}, legend, large, sentence, about), {files: [header.file, header.quality?.file], name: "joint one"}),
      panel("All heads", `Columns are heads, rows ${model.members > 1 && model.layers > 1 ? "member.layer" : model.members > 1 ? "members" : "layers"}; choose one to see it large.`, stamps, {name: "joint all", files: [header.file, header.quality?.file]})));
  fillLegend();
  tell();
  document.title = `Queries and keys, ${run.label(row)} · ${run.title}`;
  return {};
};
const METHOD_NAMES = {umap: "UMAP", pca: "PCA", tsne: "t-SNE"};
