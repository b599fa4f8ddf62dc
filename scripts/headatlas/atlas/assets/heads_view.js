// All heads: the table, the map and the matrices show the same heads, and choosing in one chooses in all.

const HEADS_HELP = "Each row, point and cell is one attention head; choosing it in one place marks it in the others, and a double click or Enter opens its page. "
  + "Bars and colours show how far a score lies from chance, grey where that is less than two standard errors.";

const headsView = (place, route) => {
  const run = app.run, given = route.parameters;
  const firstScore = run.score("previous_token") || run.numbers[0];
  const secondScore = run.score("current_token") || run.numbers[1] || firstScore;
  const state = {
    model: given.get("model") || "", member: given.get("member") || "", layer: given.get("layer") || "",
    group: given.get("group") || "", beyond: given.get("beyond") || "", only: given.get("only") === "1", words: given.get("q") || "",
    sort: given.get("sort") || "head", down: given.get("down") === "1", unit: given.get("unit") || "value",
    x: given.get("x") || (run.maps.length ? `map ${run.maps[0].name}` : firstScore?.name || ""), y: given.get("y") || secondScore?.name || "",
    colour: given.get("colour") || (run.groupings.length ? `group ${run.groupings[0].name}` : "member"),
    score: given.get("score") || (run.score("induction") || firstScore)?.name || "",
  };
  if (firstScore && !run.score(state.score)) state.score = firstScore.name;
  if (firstScore && !state.x.startsWith("map ") && !run.score(state.x)) state.x = firstScore.name;
  if (given.get("chosen")) app.selection = new Set(given.get("chosen").split(".").map(Number).filter(row => row < run.count));
  const first = {...state};

  const rows = () => {
    const [grouping, id] = state.group.split("/");
    const chosenGrouping = run.groupings.find(each => each.name === grouping), score = run.score(state.beyond);
    const looked = state.words.toLowerCase();
    const found = [];
    for (let row = 0; row < run.count; row++) {
      const {model, member, layer} = run.head(row);
      if (state.model && model.name !== state.model) continue;
      if (state.member !== "" && member !== Number(state.member)) continue;
      if (state.layer !== "" && layer !== Number(state.layer)) continue;
      if (chosenGrouping && chosenGrouping.of[row] !== Number(id)) continue;
      if (score && side(score, row) !== 1) continue;
      if (state.only && !app.selection.has(row)) continue;
      if (looked && !matches(row, looked)) continue;
      found.push(row);
    }
    return found;
  };
  const matches = (row, looked) => {
    const names = run.groupings.map(grouping => run.group(grouping, row)?.name || "").join(" ");
    return `${run.longLabel(row)} ${run.label(row)} ${names}`.toLowerCase().includes(looked);
  };

  const remember = () => {
    const kept = new URLSearchParams();
    const names = {words: "q", only: "only", down: "down"};
    for (const [key, value] of Object.entries(state)) {
      const fresh = value !== DEFAULTS[key] && value !== "" && value !== false;
      if (fresh && (value !== first[key] || given.has(names[key] || key) || value !== initial[key])) kept.set(names[key] || key, value === true ? "1" : value);
    }
    if (app.selection.size && app.selection.size <= 60) kept.set("chosen", [...app.selection].join("."));
    replaceAddress(`heads${kept.size ? `?${kept}` : ""}`);
  };
  const DEFAULTS = {sort: "head", unit: "value", down: false};
  const initial = given.size ? {} : {...state};

  const heads = new HeadsTable(state, change => set(change));
  const map = new HeadsMap(state, change => set(change));
  const matrices = new Matrices(state, change => set(change));
  const count = element("span", {class: "count", role: "status"});
  const filters = element("div", {class: "filters"});
  const members = () => Math.max(...run.models.filter(model => !state.model || model.name === state.model).map(model => model.members));
  const layers = () => Math.max(...run.models.filter(model => !state.model || model.name === state.model).map(model => model.layers));
  const upTo = number => Array.from({length: number}, (_, i) => [String(i), String(i)]);

  const drawFilters = () => filters.replaceChildren(
    choice("Model", [["", "all"], ...run.models.map(model => [model.name, model.label])], state.model, model => set({model, member: "", layer: ""})),
    choice("Member", [["", "all"], ...upTo(members())], state.member, member => set({member})),
    choice("Layer", [["", "all"], ...upTo(layers())], state.layer, layer => set({layer})),
    ...(run.groupings.length ? [choice("Group", [["", "all"], ...run.groupings.flatMap(grouping => grouping.groups.map(group =>
      [`${grouping.name}/${group.id}`, `${grouping.title} ${group.id}${group.name ? ` ${group.name}` : ""}`]))], state.group, group => set({group}))] : []),
    choice("Above chance in", [["", "any"], ...run.scores.map(score => [score.name, score.title])], state.beyond, beyond => set({beyond})),
    choice("Numbers", Object.entries(UNITS).map(([key, unit]) => [key, unit.title]), state.unit, unit => set({unit})),
    element("label", {class: "choice"}, element("span", {}, "Chosen only"),
      element("input", {type: "checkbox", checked: state.only, onchange: event => set({only: event.target.checked})})),
    button("CSV", () => download("heads.csv", "text/csv", csv(heads.csv())), {title: "Save the table as CSV", "aria-label": "Save the table as CSV", class: "quiet"}),
    sourceNote(filesOf(run, run.models, ...OF_SCORES, "phrenology/kinds.parquet", "phrenology/partners.parquet", "phrenology/clusters.parquet")),
    count);

  const set = change => {
    Object.assign(state, change);
    drawFilters();
    update(Object.keys(change));
    remember();
  };
  const update = (changed = null) => {
    const shown = rows();
    const chosen = app.selection.size ? `, ${app.selection.size} chosen` : "";
    count.textContent = `${shown.length.toLocaleString("en")} of ${run.count.toLocaleString("en")} heads${chosen}`;
    const only = (...keys) => changed && changed.every(key => keys.includes(key));
    if (!only("x", "y", "colour", "score")) heads.update(shown);
    if (state.x && !only("sort", "down", "unit", "score")) map.update(shown);
    if (state.score && !only("sort", "down", "unit", "x", "y", "colour")) matrices.update(shown);
  };

  place.append(
    titled("Heads", HEADS_HELP),
    filters,
    element("div", {class: "heads"},
      element("section", {class: "panel table", "aria-label": "Table of heads"}, heads.node),
      element("div", {class: "side"},
        panel("Map", "Drag to choose with a lasso, turn the wheel to zoom; dotted lines are chance, crosses two standard errors.", state.x ? map.node : unavailable("scores or projections of heads"), {name: "map", files: filesOf(run, run.models, "phrenology/projections.parquet", "phrenology/places.parquet", ...OF_SCORES)}),
        panel("Layers and heads", null, state.score ? matrices.node : unavailable("scores of heads"), {name: "matrices", files: filesOf(run, run.models, ...OF_SCORES)}))));
  drawFilters();
  update();
  return {
    onhover: () => { heads.mark(); map.mark(); matrices.mark(); },
    onchoose: () => {
      if (state.only) update(); else { heads.mark(); map.draw(); matrices.mark(); }
      const chosen = app.selection.size;
      count.textContent = count.textContent.replace(/, .* chosen$/, "") + (chosen ? `, ${chosen} chosen` : "");
      if (app.focused >= 0) heads.reveal(app.focused);
      remember();
    },
    redraw: () => { if (state.x) map.update(rows()); matrices.draw(); heads.fill(true); },
    parts: {heads, map, matrices},
  };
};

// What is told of a head wherever the pointer meets it.
const headHint = (event, row, lines = []) => {
  const run = app.run, overview = overviews.get(run.head(row).model.name);
  if (overview === undefined) {
    overviews.set(run.head(row).model.name, null);
    run.overview(run.head(row).model).then(found => overviews.set(run.head(row).model.name, found));
  }
  showHint(event,
    element("strong", {}, run.label(row)),
    ...run.groupings.slice(0, 2).map(grouping => { const group = run.group(grouping, row); return group && element("div", {}, `${grouping.title} ${group.id}${group.name ? ` ${group.name}` : ""}`); }),
    ...lines.map(line => element("div", {}, line)),
    overview ? picture(overview, row - run.head(row).model.first, 84) : null);
};
const overviews = new Map();
