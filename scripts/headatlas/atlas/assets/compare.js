// Two heads, two members or two models side by side; and this run against another that is opened from disk.

const COMPARE_HELP = "Two heads are compared number by number, on the same prompt where both saw it; two members or models by all their heads. "
  + "Open another run's atlas to compare heads across runs: nothing leaves this computer.";

const compareView = async (place, route) => {
  const run = app.run, given = route.parameters, runs = [run, ...(app.other ? [app.other] : [])];
  const level = given.get("level") || "heads";
  const ends = ["a", "b"].map((key, i) => parseEnd(runs, given.get(key), i));
  place.append(titled("Compare", COMPARE_HELP));
  const set = changes => {
    const kept = new URLSearchParams();
    for (const [i, key] of ["a", "b"].entries()) kept.set(key, changes[key] ?? endAddress(runs, ends[i]));
    const now = changes.level ?? level;
    if (now !== "heads") kept.set("level", now);
    go(`compare?${kept}`);
  };
  const chooser = (end, key) => {
    const model = end.run.head(end.row).model, now = end.run.head(end.row), pick = (at, index) => { const next = [now.member, now.layer, now.head]; next[index] = Number(at); set({[key]: endAddress(runs, {run: end.run, row: end.run.row(model.name, ...next)})}); };
    const upTo = count => Array.from({length: count}, (_, i) => [String(i), String(i)]);
    return element("fieldset", {class: "tools"}, element("legend", {}, key === "a" ? "First" : "Second"),
      runs.length > 1 ? choice("Run", runs.map((each, i) => [String(i), i ? each.name : "this run"]), String(runs.indexOf(end.run)), at => set({[key]: endAddress(runs, {run: runs[Number(at)], row: 0})})) : null,
      choice("Model", end.run.models.map(each => [each.name, each.label]), model.name, to => set({[key]: endAddress(runs, {run: end.run, row: end.run.row(to, 0, 0, 0)})})),
      level !== "models" ? choice("Member", upTo(model.members), String(now.member), at => pick(at, 0)) : null,
      level === "heads" ? choice("Layer", upTo(model.layers), String(now.layer), at => pick(at, 1)) : null,
      level === "heads" ? choice("Head", upTo(model.heads), String(now.head), at => pick(at, 2)) : null);
  };
  const opened = element("label", {class: "choice"}, element("span", {}, "Another run's atlas"),
    element("input", {type: "file", accept: ".html", onchange: async event => {
      try { app.other = await openRun(event.target.files[0]); app.refresh(); } catch (error) { say(error.message); place.append(element("p", {class: "unavailable", role: "alert"}, error.message)); }
    }}));
  place.append(element("div", {class: "tools"}, segmented("What to compare", [["heads", "two heads"], ["members", "two members"], ["models", "two models"]], level, to => set({level: to})), opened,
    app.other ? element("span", {class: "small"}, `open: ${app.other.name} (${app.other.count.toLocaleString("en")} heads)`) : null),
    element("div", {class: "ends"}, chooser(ends[0], "a"), chooser(ends[1], "b")));
  const body = element("div", {class: "grid"});
  place.append(body);
  if (level === "heads") await compareHeads(body, ends, given); else compareMany(body, ends, level);
  if (app.other && level === "heads") body.append(compareRuns(run, app.other));
  return {};
};

const parseEnd = (runs, text, i) => {
  const found = /^(other:)?(.+)\/(\d+)\/(\d+)\/(\d+)$/.exec(text || ""), run = found && found[1] ? runs[1] : runs[0];
  const row = run && found ? run.row(decodeURIComponent(found[2]), ...found.slice(3).map(Number)) : -1;
  return row >= 0 ? {run, row} : {run: runs[0], row: Math.min(i, runs[0].count - 1)};
};
const endAddress = (runs, {run, row}) => `${run === runs[1] ? "other:" : ""}${run.address(Math.max(0, row))}`;
const named = ({run, row}) => `${run === app.run ? "" : `${run.name}: `}${run.label(row)}`;

const compareHeads = async (body, ends, given) => {
  const loaded = await Promise.all(ends.map(async ({run, row}) => ({overview: withNames(await run.overview(run.head(row).model)), block: await run.attention(row)})));
  if (!body.isConnected) return;
  const models = ends.map(({run, row}) => run.head(row).model), [one, other] = ends, slugs = ends.map(end => named(end).replace(/[^\w]+/g, "-"));
  const most = Math.max(...loaded.map(({block}, i) => block ? mostOf(models[i], block) : 0)) || 1;
  body.append(...ends.map((end, i) => panel(named(end), `Mean pattern; both panels share one scale, darkest ${number(most, 2)}.`, element("div", {}, link(end.run === app.run ? end.run.address(end.row) : "compare", end.run === app.run ? "its page" : "in the other run"),
    loaded[i].block ? matrixChart({name: slugs[i], label: `Mean attention of ${named(end)}`, size: models[i].size, at: readerOf(models[i], loaded[i].block.arrays[0], 0, 65535), most}) : unavailable("mean attention")), {name: `end ${i}`, files: filesOf(end.run, [models[i]], "attention/{model}/patterns.parquet")})));
  const files = (...names) => [...new Set(ends.flatMap(({run}, i) => filesOf(run, [models[i]], ...names)))];
  const rows = one.run.scores.filter(score => other.run.score(score.name)).map(score => {
    const theirs = other.run.score(score.name);
    return {title: score.title, chance: score.chance[one.row], points: [{value: score.value[one.row], error: score.error[one.row]}, {value: theirs.value[other.row], error: theirs.error[other.row]}],
      note: `difference in standard errors: ${number((theirs.value[other.row] - score.value[one.row]) / Math.hypot(score.error[one.row], theirs.error[other.row]), 1)}`};
  }).filter(row => row.points.some(point => Number.isFinite(point.value)));
  body.append(panel("Scores", "Both heads with two standard errors; dashed bars are the first one's chance, Δ is second less first.", dotChart({name: "compared-scores", label: "Scores of both heads", rows, series: ends.map(named)}), {name: "compared scores", files: files("scores/{model}.parquet")}));
  const size = models[0].size === models[1].size && models[0].packing === models[1].packing;
  if (size && loaded.every(({overview}) => overview)) body.append(panel("Attention by offset", "Bands are two standard errors over prompts.", offsetChart({name: "compared-offsets", label: "Attention by offset of both heads",
    curves: ends.map((end, i) => ({...curveOf(end.run, end.row, loaded[i].overview), title: named(end)})), uniform: loaded[0].overview.header.uniform, offsets: loaded[0].overview.header.offsets}), {name: "compared offsets", files: files("attention/{model}/patterns.parquet")}));
  const costs = one.run.costs.filter(cost => Number.isFinite(cost.value[one.row])).map(cost => ({title: cost.kind, chance: cost.chance[one.row], points: ends.map(({run, row}) => { const found = run.score(cost.name); return {value: found ? found.value[row] : NaN, error: found ? found.error[row] : NaN}; })}));
  body.append(costs.length ? panel("Loss added by ablation", "Nats per token, with two standard errors; dashed bars: another head of its layer in the place of the first.", dotChart({name: "compared-costs", label: "Loss added by ablating both heads", rows: costs, series: ends.map(named)}), {name: "compared costs", files: files("knockouts/{model}/losses.parquet")}) : panel("Loss added by ablation", null, unavailable("not both were ablated"), {name: "compared costs"}));
  if (one.run === other.run) {
    const facts = one.run.pairs.map(pair => [pair.title, number(pair.between(one.row, other.row))]);
    body.append(panel("Numbers about the two", null, facts.some(([, value]) => value !== MISSING) ? element("dl", {class: "facts"}, facts.map(([name, value]) => [element("dt", {}, name), element("dd", {}, String(value))])) : unavailable("no table is about these two"), {name: "pair", files: one.run === app.run ? [...new Set(one.run.pairs.map(pair => pair.file))] : []}));
  }
  if (size && loaded.every(({block}) => block)) {
    const count = Math.min(...loaded.map(({block}) => block.header.shared));
    const same = prompt => String(promptTokens(loaded[0].overview, prompt)) === String(promptTokens(loaded[1].overview, prompt));
    const shared = Array.from({length: Math.min(count, 100)}, (_, i) => i).filter(same), shown = element("div", {class: "two"}), line = element("p", {class: "sentence"});
    const show = prompt => {
      const names = promptTokens(loaded[0].overview, prompt);
      line.replaceChildren(...names.map(name => token(name)));
      shown.replaceChildren(...ends.map((end, i) => element("div", {}, element("h3", {}, named(end)), matrixChart({name: `${slugs[i]}-prompt-${prompt}`, label: `Attention of ${named(end)} on prompt ${prompt}`, size: models[i].size, names,
        at: readerOf(models[i], ...heldAttention(models[i], loaded[i].block, prompt)), side: 420}))));
    };
    if (shared.length) {
      body.append(panel("On the same prompt", null, element("div", {}, choice("Prompt", shared.map(prompt => [String(prompt), String(prompt)]), String(shared[0]), value => show(Number(value))), line, shown), {wide: true, name: "same prompt", files: files("attention/{model}/patterns.parquet")}));
      show(shared[0]);
    } else body.append(panel("On the same prompt", null, unavailable("the two saw no prompt in common"), {wide: true, name: "same prompt"}));
  }
};
const mostOf = (model, block) => {
  const at = readerOf(model, block.arrays[0], 0, 65535);
  let most = 0;
  for (let query = 1; query < model.size; query++) for (let key = 0; key < model.size; key++) most = Math.max(most, at(query, key) || 0);
  return most;
};

const compareMany = (body, ends, level) => {
  const rowsOf = ({run, row}) => {
    const {model, member} = run.head(row), each = model.layers * model.heads;
    return level === "models" ? Array.from({length: model.count}, (_, i) => model.first + i) : Array.from({length: each}, (_, i) => model.first + member * each + i);
  };
  const titles = ends.map(end => { const {model, member} = end.run.head(end.row); return `${end.run === app.run ? "" : `${end.run.name}: `}${model.label}${level === "members" ? ` member ${member}` : ""}`; });
  const sets = ends.map(rowsOf), scores = ends[0].run.numbers.filter(score => ends[1].run.score(score.name));
  const rows = scores.map(score => ({
    title: score.title, chance: mean(sets[0].map(row => score.chance[row]).filter(Number.isFinite)),
    points: ends.map((end, i) => { const {mean: value, error} = meanAndError(sets[i].map(row => end.run.score(score.name).value[row])); return {value, error}; }),
  })).filter(row => row.points.every(point => Number.isFinite(point.value)));
  body.append(panel("Scores of all heads", "Means over heads with two standard errors over heads; dashed bars are the first one's chance.", rows.length ? dotChart({name: "compared-sets", label: `Scores of ${titles.join(" and ")}`, rows, series: titles}) : unavailable("no score in common"), {name: "compared sets", files: [...new Set(ends.flatMap(({run, row}) => filesOf(run, [run.head(row).model], ...OF_SCORES)))]}));
  const square = ends[0].run === ends[1].run && ends[0].run.pairs.find(pair => pair.name === "attention");
  const known = square && sets.every(set => set.every(row => square.place[row] >= 0)) && Math.max(...sets.map(set => set.length)) <= 96;
  if (known) {
    const run = ends[0].run, [down, across] = sets, values = down.map(row => across.map(other => square.between(row, other)));
    const [low, high] = extent(values.flat().filter(value => value > 0), 0);
    const nearest = values.map(line => line.indexOf(Math.min(...line)));
    const cellOf = width => Math.min(34, (width - 76) / across.length);
    body.append(panel(square.title, `Rows ${titles[0]}, columns ${titles[1]}; dark is near, a ring marks the nearest head of each row. Range ${number(low, 2)} to ${number(high, 2)}.`, chart({
      name: "compared-distances", label: `Distances between heads of ${titles.join(" and ")}`, height: width => cellOf(width) * down.length + 40,
      csv: () => [["first", "second", square.title], ...down.flatMap((row, i) => across.map((other, j) => [run.label(row), run.label(other), values[i][j]]))],
      draw(surface, width, height, theme) {
        const cell = cellOf(width);
        down.forEach((row, i) => {
          const at = run.head(row);
          surface.text(level === "models" ? `${at.member} L${at.layer}H${at.head}` : `L${at.layer}H${at.head}`, 66, 4 + (i + 0.5) * cell, {size: Math.min(10.5, cell), anchor: "end", fill: theme.faint});
          across.forEach((other, j) => {
            surface.rect(72 + j * cell, 4 + i * cell, cell, cell, attentionColour(1 - (values[i][j] - low) / (high - low || 1)));
            if (nearest[i] === j) surface.circle(72 + (j + 0.5) * cell, 4 + (i + 0.5) * cell, cell * 0.28, null, theme.above, 1.6);
          });
        });
        if (cellOf(width) > 12) across.forEach((other, j) => { const at = run.head(other); surface.text(`L${at.layer}H${at.head}`, 72 + (j + 0.5) * cell, 8 + down.length * cell, {size: 10, anchor: "end", fill: theme.faint, turn: -90}); });
      },
      under: (x, y, width) => { const cell = cellOf(width), i = Math.floor((y - 4) / cell), j = Math.floor((x - 72) / cell); return values[i]?.[j] === undefined ? null : [element("div", {}, `${run.label(down[i])} and ${run.label(across[j])}`), element("strong", {}, number(values[i][j]))]; },
      onpick: (x, y, width) => { const cell = cellOf(width), i = Math.floor((y - 4) / cell), j = Math.floor((x - 72) / cell); if (values[i]?.[j] !== undefined) go(`compare?a=${run.address(down[i])}&b=${run.address(across[j])}`); },
    }), {files: [square.file], name: "compared distances"}));
  } else body.append(panel("Distances between their heads", null, unavailable("no table holds distances between these heads"), {name: "compared distances"}));
};

// Heads of the same address in both runs, ordered by how much a score moved.
const compareRuns = (run, other) => {
  const common = run.scores.filter(score => other.score(score.name)), rows = [];
  for (let row = 0; row < run.count; row++) {
    const {model, member, layer, head} = run.head(row), twin = other.row(model.name, member, layer, head);
    if (twin >= 0) rows.push([row, twin]);
  }
  const moved = common.map(score => {
    const theirs = other.score(score.name), changes = rows.map(([row, twin]) => theirs.value[twin] - score.value[row]).filter(Number.isFinite);
    const most = rows.reduce((best, [row, twin]) => Math.abs(theirs.value[twin] - score.value[row]) > Math.abs(best[1]) ? [row, theirs.value[twin] - score.value[row]] : best, [rows[0]?.[0] ?? 0, 0]);
    const {mean: value, error} = meanAndError(changes);
    return [score.title, changes.length, withError(value, error), link(run.address(most[0]), run.label(most[0])), number(most[1])];
  });
  return panel(`This run and ${other.name}`, "Heads of the same address in both runs; the change is the other run's score less this one's, mean over heads with its standard error.",
    rows.length ? table(["score", "heads", "mean change", "changed most", "by"], moved, {label: "Changes between two runs", numeric: [1, 2, 4]}) : unavailable("the two runs have no head of the same address"), {wide: true, name: "runs", files: filesOf(run, run.models, "scores/{model}.parquet")});
};
