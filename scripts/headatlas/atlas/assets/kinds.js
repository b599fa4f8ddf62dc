// Kinds, partner groups and clusters: who is in one, what sets it apart, and whether the evidence supports it.

const KINDS_HELP = "A group is supported where it is found again under resampled prompts and without single members, and where other evidence than the grouping agrees. "
  + "Every number of that evidence stands beside the verdict; a hollow mark is a group that is not supported.";

const kindsView = async (place, route) => {
  const run = app.run, [, name, id] = route.parts;
  const grouping = run.groupings.find(each => each.name === name) || run.groupings[0];
  if (!grouping) { place.append(titled("Kinds", KINDS_HELP), unavailable("this run looked for no kinds of heads: `snakemake phrenology` does")); return {}; }
  const group = id === undefined ? null : grouping.byId.get(Number(id));
  const picker = run.groupings.length > 1 ? element("div", {class: "tools"},
    choice("Grouping", run.groupings.map(each => [each.name, each.title]), grouping.name, to => go(`kinds/${to}`)),
    group ? choice("Group", grouping.groups.map(each => [String(each.id), `${each.id}${each.name ? ` ${each.name}` : ""}`]), String(group.id), to => go(`kinds/${grouping.name}/${to}`)) : null) : null;
  if (group) return groupPage(place, run, grouping, group, picker);
  const overviewOf = await loadOverviews(run, grouping.of);
  if (!place.isConnected) return {};
  place.append(titled(grouping.title, KINDS_HELP), ...(picker ? [picker] : []));
  if (grouping.note) place.append(element("p", {class: "note"}, grouping.note));
  if (!grouping.groups.length) { place.append(unavailable(`this run found no ${lowered(grouping.title)}`)); return {}; }
  const columns = [...new Map(grouping.groups.flatMap(each => evidenceRows(each.evidence).map(([key, title]) => [key, title])))].filter(([key]) => !["heads", "members"].includes(key));
  place.append(panel("Evidence", "One row for each group; dashes are numbers that this run does not have.",
    table(["group", "heads", "members", "supported", ...columns.map(([, title]) => title)], grouping.groups.map(each => {
      const rows = run.rowsOf(grouping, each.id), members = new Set(rows.map(row => `${run.modelOf[row]} ${run.head(row).member}`));
      return [groupBadge(grouping, each), rows.length, members.size, each.supported === null || each.supported === undefined ? MISSING : each.supported ? "✓ yes" : "✗ no",
        ...columns.map(([key]) => (evidenceRows(each.evidence).find(([name]) => name === key) || [])[2] ?? MISSING)];
    }), {label: `Evidence for ${grouping.title}`, numeric: [1, 2, ...columns.map((_, i) => i + 4)]}), {files: [grouping.file, "phrenology/evidence.parquet"].filter(file => run.index.tables[file]), wide: true}));
  place.append(element("div", {class: "cards"}, grouping.groups.map(each => {
    const rows = run.rowsOf(grouping, each.id);
    return element("a", {class: "card panel", href: `#kinds/${grouping.name}/${each.id}`},
      element("h2", {}, glyph(each.id, each.supported === false), ` ${each.id}${each.name ? ` ${each.name}` : ""}`),
      groupPicture(run, rows, overviewOf, 120),
      element("p", {class: "small faint"}, `${rows.length} heads · ${each.supported === null || each.supported === undefined ? "evidence not available" : each.supported ? "supported" : "not supported"}`));
  })));
  return {};
};

const loadOverviews = async (run, of) => {
  const models = new Set();
  for (let row = 0; row < run.count; row++) if (!of || of[row] >= 0) models.add(run.modelOf[row]);
  const found = new Map();
  for (const at of models) found.set(run.models[at], withNames(await run.overview(run.models[at])));
  return found;
};

// The mean of its heads' mean patterns, where they are of one size.
const groupPicture = (run, rows, overviewOf, side) => {
  const {model} = run.head(rows[0]), overview = overviewOf.get(model);
  const same = rows.filter(row => run.head(row).model.size === model.size && overviewOf.get(run.head(row).model));
  if (!overview || !same.length) return null;
  const [, tall, wide] = overview.arrays[0].shape, sum = new Float32Array(tall * wide);
  for (const row of same) {
    const at = run.head(row), values = overviewOf.get(at.model).arrays[0], start = (row - at.model.first) * tall * wide;
    for (let i = 0; i < sum.length; i++) sum[i] += values[start + i] / same.length;
  }
  sum.shape = [1, tall, wide];
  return picture({arrays: [sum]}, 0, side);
};

const groupPage = async (place, run, grouping, group, picker) => {
  const rows = run.rowsOf(grouping, group.id), overviewOf = await loadOverviews(run, grouping.of);
  if (!place.isConnected) return {};
  const title = `${grouping.title} ${group.id}${group.name ? `: ${group.name}` : ""}`;
  document.title = `${title} · ${run.title}`;
  const members = new Set(rows.map(row => `${run.modelOf[row]} ${run.head(row).member}`));
  place.append(titled(title, KINDS_HELP, element("p", {class: "subtitle"}, `${rows.length} heads of ${members.size} members. `, verdictOf(group), grouping.note ? ` ${grouping.note}` : "")), ...(picker ? [picker] : []));
  const models = rows.map(row => run.head(row).model), patterns = filesOf(run, models, "attention/{model}/patterns.parquet");
  const inside = new Set(rows), rest = Array.from({length: run.count}, (_, row) => row).filter(row => grouping.of[row] >= 0 && !inside.has(row));
  const apart = run.scores.filter(score => rows.some(row => Number.isFinite(score.value[row]))).map(score => {
    const [mine, theirs] = [rows, rest].map(which => meanAndError(which.map(row => score.value[row])));
    return {title: score.title, chance: mean(rows.map(row => score.chance[row]).filter(Number.isFinite)), points: [mine, theirs].map(each => ({value: each.mean, error: each.error})),
      others: rows.map(row => score.value[row]).filter(Number.isFinite)};
  });
  const shares = grouping.share ? rows.map(row => [row, grouping.share[row]]).filter(([, share]) => share < 0.75).sort((a, b) => a[1] - b[1]) : [];
  place.append(element("div", {class: "grid"},
    panel("Mean pattern", "Mean attention over its heads and all prompts.", groupPicture(run, rows, overviewOf, 260) || unavailable("mean attention"), {name: "kind mean", files: patterns}),
    panel("What sets it apart", "Means over its heads and over all other heads with two standard errors over heads; dashed bars are chance, ticks its heads.",
      apart.length ? dotChart({name: `${grouping.name}-${group.id}-scores`, label: `Scores of ${title}`, rows: apart, series: ["this group", "other heads"]}) : unavailable("scores"), {name: "kind scores", files: filesOf(run, models, "scores/{model}.parquet")}),
    panel("Evidence", null, element("div", {}, element("p", {}, verdictOf(group)), evidenceList(group) || unavailable("evidence")), {files: [grouping.file, "phrenology/evidence.parquet"].filter(file => run.index.tables[file]), name: "kind evidence"}),
    panel("Its heads", null, element("div", {class: "partners"}, rows.map(row => {
      const at = run.head(row), overview = overviewOf.get(at.model);
      return element("figure", {class: "partner"}, overview ? picture(overview, row - at.model.first, 72) : null, element("figcaption", {}, link(run.address(row), run.label(row))));
    })), {wide: true, name: "kind heads", files: patterns}),
    panel("Heads that hesitate", grouping.share ? "Heads found with less than three quarters of their group over halves of the prompts." : null,
      !grouping.share ? unavailable("how often each head is found in this group again") : shares.length
        ? table(["head", "share of its group it is found with"], shares.map(([row, share]) => [link(run.address(row), run.label(row)), percent(share)]), {label: "Heads that hesitate", numeric: [1]})
        : element("p", {}, "None."), {name: "kind hesitation", files: filesOf(run, models, "phrenology/consensus.parquet")}),
    costsOfGroup(run, rows, rest)));
  return {};
};

const costsOfGroup = (run, rows, rest) => {
  const costs = run.costs.filter(cost => rows.some(row => Number.isFinite(cost.value[row])));
  if (!costs.length) return panel("What ablating its heads costs", null, unavailable("its heads were not ablated"), {name: "kind cost"});
  return panel("What ablating its heads costs", "Loss added by one head, nats per token: mean over heads with two standard errors; dashed is another head of the layer in the place.",
    dotChart({name: "kind-costs", label: "Loss added by ablating its heads", series: ["this group", "other heads"], rows: costs.map(cost => ({
      title: cost.kind, chance: mean(rows.map(row => cost.chance[row]).filter(Number.isFinite)), others: rows.map(row => cost.value[row]),
      points: [rows, rest].map(which => { const {mean: value, error} = meanAndError(which.map(row => cost.value[row])); return {value, error}; }),
    }))}), {name: "kind cost", files: filesOf(run, rows.map(row => run.head(row).model), "knockouts/{model}/losses.parquet")});
};
