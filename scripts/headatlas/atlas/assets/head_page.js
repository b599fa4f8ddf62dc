// One head: what it attends to, its scores, what it costs to ablate, its partners and its kind.

const HEAD_HELP = "Everything this run knows of one head, each number beside its error and its chance level; arrow keys go to the next head and layer. "
  + "The address of this page can be sent: it opens at the same head and prompt.";

const headView = async (place, route) => {
  const run = app.run, row = route.row, {model, member, layer, head} = run.head(row);
  document.title = `${run.label(row)} · ${run.title}`;
  app.focused = row;
  const step = (title, other, sign) => other < 0 ? button(sign, () => {}, {disabled: true, title}) :
    element("a", {class: "step", href: `#${run.address(other)}`, title, "aria-label": title}, sign);
  const pickers = element("div", {class: "tools"},
    choice("Member", Array.from({length: model.members}, (_, i) => [String(i), String(i)]), String(member), to => go(run.address(run.row(model.name, Number(to), layer, head)))),
    choice("Layer", Array.from({length: model.layers}, (_, i) => [String(i), String(i)]), String(layer), to => go(run.address(run.row(model.name, member, Number(to), head)))),
    choice("Head", Array.from({length: model.heads}, (_, i) => [String(i), String(i)]), String(head), to => go(run.address(run.row(model.name, member, layer, Number(to))))),
    step("Previous head", run.row(model.name, member, layer, head - 1), "←"), step("Next head", run.row(model.name, member, layer, head + 1), "→"),
    link(`compare?a=${run.address(row)}`, "Compare"),
    run.index.joint?.includes(model.name) ? link(`joint/${run.address(row)}`, "Queries and keys") : null);
  const badges = element("div", {class: "badges"}, run.groupings.map(grouping => {
    const group = run.group(grouping, row);
    return group && element("span", {}, element("span", {class: "faint"}, `${grouping.title}: `), groupBadge(grouping, group));
  }));
  place.append(titled(run.label(row), HEAD_HELP, element("p", {class: "subtitle"}, modelSentence(model))), pickers, badges);
  const waiting = element("p", {class: "faint"}, "Unpacking…");
  place.append(waiting);
  const [overview, block] = await Promise.all([run.overview(model), run.attention(row)]);
  if (!place.isConnected) return {};
  withNames(overview);
  waiting.remove();
  place.append(element("div", {class: "grid"},
    meanPanel(run, row, block), offsetPanel(run, row, overview), scoresPanel(run, row),
    block && overview ? promptsPanel({run, row, overview, block, route}) : panel("Attention on prompts", null, unavailable(unheld(model)), {wide: true}),
    pairsPanel(run, row, overview, block), circuitsPanel(run, row), tokensPanel(run, row), costPanel(run, row),
    partnersPanel(run, row, overview), ...groupPanels(run, row), measuresPanel(run, row)));
  return {
    redraw: () => {},
    onkey: event => {
      const to = {ArrowLeft: [layer, head - 1], ArrowRight: [layer, head + 1], ArrowUp: [layer - 1, head], ArrowDown: [layer + 1, head]}[event.key];
      const other = to ? run.row(model.name, member, ...to) : {"[": run.row(model.name, member - 1, layer, head), "]": run.row(model.name, member + 1, layer, head)}[event.key] ?? -1;
      if (other >= 0) { event.preventDefault(); go(run.address(other)); }
    },
  };
};

const modelSentence = model => {
  const {loss} = model, about = app.run.index.about.models?.[model.name];
  const said = [`${model.members} ${model.members === 1 ? "member" : "members"}, ${model.layers} ${model.layers === 1 ? "layer" : "layers"} of ${model.heads} heads, prompts of ${model.size} tokens`];
  if (about?.corpus) said.unshift(`corpus ${about.corpus}`);
  if (loss) {
    const verdict = !Number.isFinite(loss.bigram) ? "" : loss.enough ? `, below the bigram baseline (${number(loss.bigram, 2)})`
      : `, not below the baselines (bigram ${number(loss.bigram, 2)}): too little training to interpret`;
    said.push(`held-out loss ${number(loss.held_out, 2)} nats${verdict}`);
  }
  return `${model.name}: ${said.join("; ")}.`;
};

// Why a head's attention is not in the page.
const unheld = model => model.kept ? "this page does not hold this head's attention" : "attention patterns were not kept (analysis.patterns: none)";

const meanPanel = (run, row, block) => {
  const {model} = run.head(row);
  if (!block) return panel("Mean pattern", null, unavailable(unheld(model)));
  const at = readerOf(model, block.arrays[0], 0, 65535);
  const most = Math.max(...Array.from({length: model.size}, (_, query) => query ? Math.max(...Array.from({length: model.size}, (_, key) => at(query, key) || 0)) : 0)) || 1;
  const figure = matrixChart({name: `${run.label(row)}-mean`.replaceAll(" ", "-"), label: `Mean attention of ${run.longLabel(row)}`, size: model.size, at, most});
  return panel("Mean pattern", `Rows are queries, columns keys; the darkest cell is ${number(most, 2)}. Mean over ${model.prompts.toLocaleString("en")} prompts.`, figure,
    {files: [`attention/${model.name}/patterns.parquet`], name: "mean"});
};

const curveOf = (run, row, overview) => {
  const place = row - run.head(row).model.first, [, values, errors] = overview.arrays, count = values.shape[1];
  return {title: run.label(row), values: values.subarray(place * count, (place + 1) * count), errors: errors.subarray(place * count, (place + 1) * count)};
};
const offsetPanel = (run, row, overview) => {
  const {model} = run.head(row);
  if (!overview) return panel("Attention by offset", null, unavailable(unheld(model)));
  return panel("Attention by offset", "How much goes to the token itself (0), the one before (1) and so on; the band is two standard errors over prompts.",
    offsetChart({name: `${run.label(row)}-offsets`.replaceAll(" ", "-"), label: `Attention by offset of ${run.longLabel(row)}`, curves: [curveOf(run, row, overview)],
      uniform: overview.header.uniform, offsets: overview.header.offsets}), {files: [`attention/${model.name}/patterns.parquet`], name: "offsets"});
};

const scoreRows = (run, row, extra = []) => {
  const {model} = run.head(row);
  const siblings = Array.from({length: Math.min(model.count, 400)}, (_, i) => model.first + i).filter(other => other !== row);
  return run.scores.filter(score => [row, ...extra].some(each => Number.isFinite(score.value[each]))).map(score => ({
    title: score.title, chance: score.chance[row], others: siblings.map(other => score.value[other]).filter(Number.isFinite),
    points: [row, ...extra].map(each => ({value: score.value[each], error: score.error[each]})),
    note: {1: "above chance by two standard errors", "-1": "below chance by two standard errors", 0: Number.isFinite(score.error[row]) ? "within two standard errors of chance" : "no standard error"}[side(score, row)],
  }));
};
const scoresPanel = (run, row) => {
  const {model} = run.head(row), rows = scoreRows(run, row);
  const above = run.scores.filter(score => side(score, row) === 1 && !["entropy", "distance"].includes(score.name)).map(score => score.title);
  return panel("Scores", rows.length ? `Whiskers are two standard errors, dashed bars chance, ticks the other heads of ${model.label}. ${above.length ? `Above chance: ${above.join(", ")}.` : "None above chance."}` : null,
    rows.length ? dotChart({name: `${run.label(row)}-scores`.replaceAll(" ", "-"), label: `Scores of ${run.longLabel(row)}`, rows}) : unavailable("scores"),
    {files: [`scores/${model.name}.parquet`], name: "scores"});
};

const pairsPanel = (run, row, overview, block) => {
  const {model} = run.head(row), pairs = block?.header.pairs || [];
  const name = id => token(overview.nameOf.get(id) ?? `⟨${id}⟩`);
  return panel("What it looks for", "Pairs of tokens that are attended to beyond what their positions get on average, in the extracted prompts; ± is the standard error over occurrences.",
    pairs.length ? table(["at the query", "attends to", "attention", "beyond position", "times"], pairs.map(pair =>
      [name(pair.query), name(pair.key), number(pair.weight), withError(pair.excess, pair.error), pair.count]), {label: "Pairs of tokens", numeric: [2, 3, 4]})
      : unavailable(!block ? unheld(model) : "no pair of tokens is attended to beyond its positions by two standard errors"),
    {files: [`attention/${model.name}/patterns.parquet`], name: "pairs"});
};

// What the weights alone say of single tokens, along the direct path from embedding to unembedding.
const circuitsPanel = (run, row) => {
  const {model} = run.head(row), found = run.circuits, rows = [[], []];
  if (found) for (let i = 0; i < found.of.length; i++) if (found.of[i] === row)
    rows[found.circuit[i]].push([token(found.names[found.source[i]]), token(found.names[found.target[i]]), number(found.value[i], 1), number(found.chance[i], 1)]);
  if (!rows[0].length) return panel("What its weights say", null, unavailable("the weights of this model were not read"), {name: "circuits"});
  const copies = rows[0].filter(([source, target]) => source.textContent === target.textContent).length;
  return panel("What its weights say", `Strongest pairs among the ${found.tokens} commonest tokens, in standard deviations of the head's circuit beside what random heads reach; exact for a first layer, a first look for later ones. ${copies} of ${rows[0].length} in OV raise the token itself.`,
    element("div", {class: "two narrow"},
      table(["looking at", "raises", "sd", "random"], rows[0], {label: "OV circuit: what looking at a token raises", numeric: [2, 3]}),
      table(["from", "seeks", "sd", "random"], rows[1], {label: "QK circuit: what a token seeks", numeric: [2, 3]})),
    {files: [`token_circuits/${model.name}.parquet`], name: "circuits"});
};

const tokensPanel = (run, row) => {
  const {model} = run.head(row), parts = [], found = run.tokens;
  if (found) {
    for (const direction of [...new Set(found.direction)]) {
      const rows = [];
      for (let i = 0; i < found.of.length; i++) if (found.of[i] === row && found.direction[i] === direction) rows.push([token(found.name[i]), withError(found.effect[i] * 100, found.error[i] * 100)]);
      if (rows.length) parts.push(table([direction, "% points"], rows, {label: `Tokens ${direction}`, numeric: [1]}));
    }
  }
  const copying = ["copying", "ov_copying"].map(name => run.score(name)).filter(score => score && Number.isFinite(score.value[row]))
    .map(score => `${score.title} ${withError(score.value[row], score.error[row])} (chance ${number(score.chance[row])})`);
  return panel("What it writes", parts.length ? `Mean change of the next token's probability by the head's presence. ${copying.join("; ")}${copying.length ? "." : ""}` : null,
    parts.length ? element("div", {class: "two narrow"}, parts)
      : element("div", {}, copying.length ? element("p", {}, `${copying.join("; ")}.`) : null, unavailable("effects on tokens were not measured for this model")),
    {files: parts.length ? [found.file, `scores/${model.name}.parquet`] : [`scores/${model.name}.parquet`], name: "tokens"});
};

const costPanel = (run, row) => {
  const {model} = run.head(row), costs = run.costs.filter(cost => Number.isFinite(cost.value[row]));
  if (!costs.length) return panel("What ablating it costs", null, unavailable("heads of this model were not ablated"), {name: "cost"});
  const rows = costs.map(cost => ({title: cost.kind, chance: cost.chance[row], points: [{value: cost.value[row], error: cost.error[row]}],
    note: Number.isFinite(cost.chance[row]) ? "dashed: another head of its layer in its place" : null}));
  const costly = costs.filter(cost => cost.value[row] - 2 * cost.error[row] > 0).map(cost => cost.kind);
  return panel("What ablating it costs", `Loss added, nats per token, with two standard errors; dashed is another head of its layer in its place, at equal norm. ${costly.length ? `More than nothing: ${costly.join(", ")}.` : "Not more than nothing."}`,
    dotChart({name: `${run.label(row)}-cost`.replaceAll(" ", "-"), label: `Loss added by ablating ${run.longLabel(row)}`, rows}), {files: [`knockouts/${model.name}/losses.parquet`], name: "cost"});
};

// The head's counterpart in every other member: one group of partners has at most one head of each.
const partnersOf = (run, row) => {
  const {model, member} = run.head(row), grouping = run.groupings.find(each => each.name === "partner");
  if (!grouping || grouping.of[row] < 0) return {grouping, found: []};
  const found = run.rowsOf(grouping, grouping.of[row]).filter(other => { const at = run.head(other); return at.model !== model || at.member !== member; });
  return {grouping, found: found.map(other => ({row: other, tie: grouping.tie ? grouping.tie[other] : -1}))};
};
const partnersPanel = (run, row, overview) => {
  const {model} = run.head(row), {grouping, found} = partnersOf(run, row), {pairs} = run;
  if (!found.length) return panel("Partners in other members", null, unavailable("no partner was found or looked for"), {wide: true, name: "partners"});
  const mine = overview && element("figure", {class: "partner me"}, picture(overview, row - model.first, 84), element("figcaption", {}, "this head"));
  const others = found.map(({row: other}) => element("figure", {class: "partner"},
    run.head(other).model === model && overview ? picture(overview, other - model.first, 84) : null, element("figcaption", {}, link(run.address(other), run.label(other)))));
  const own = grouping.tie && grouping.tie[row] >= 0 ? element("p", {class: "small"}, "This head would fit nearly as well in ", groupBadge(grouping, grouping.byId.get(grouping.tie[row])), ": a tie.") : null;
  const ties = found.some(each => each.tie >= 0);
  const rows = found.map(({row: other, tie}) => [link(run.address(other), run.label(other)), link(`compare?a=${run.address(row)}&b=${run.address(other)}`, "compare"),
    ...pairs.map(pair => number(pair.between(row, other))), ...(ties ? [tie >= 0 ? groupBadge(grouping, grouping.byId.get(tie)) : ""] : [])]);
  const average = ["mean", "", ...pairs.map(pair => { const known = found.map(each => pair.between(row, each.row)).filter(Number.isFinite); const {mean: value, error} = meanAndError(known); return known.length ? withError(value, error) : MISSING; }), ...(ties ? [""] : [])];
  return panel("Partners in other members", "The head that one matching of all members at once, by attention alone, gives each other member. Circuits, effects and transplants did not find the partners: they judge them.",
    element("div", {}, element("div", {class: "partners"}, mine, others), own,
      table(["partner", "", ...pairs.map(pair => pair.title), ...(ties ? ["nearly as well in"] : [])], [...rows, average], {label: "Numbers about each partner", numeric: pairs.map((_, i) => i + 2)}),
      universalityOf(run, row)),
    {files: [grouping.file, ...new Set(pairs.map(pair => pair.file)), "phrenology/universality.parquet"].filter(file => run.index.tables[file]), wide: true, name: "partners"});
};
const universalityOf = (run, row) => {
  const found = run.measures.find(each => each.file === "phrenology/universality.parquet"), at = found ? found.of.indexOf(row) : -1;
  if (at < 0) return null;
  const of = name => found.columns[name]?.[at];
  return element("p", {class: "small"}, `Universality: its partner is beyond noise in ${number(of("beyond_noise") * 100, 0)}% of ${number(of("members"))} members (chance ${number(of("chance") * 100, 0)}%); `,
    ["attention", "ov", "qk", "effects", "transplant"].filter(name => Number.isFinite(of(name))).map(name => `${name} ${number(of(name))} [${number(of(`${name}_low`))}, ${number(of(`${name}_high`))}]`).join(", "), ".");
};

const groupPanels = (run, row) => run.groupings.filter(grouping => grouping.of[row] >= 0).map(grouping => {
  const group = run.group(grouping, row), share = grouping.share ? grouping.share[row] : NaN;
  return panel(grouping.title.replace(/s(,|$)/, "$1"), grouping.note || null, element("div", {},
    element("p", {}, groupBadge(grouping, group), " ", verdictOf(group)),
    Number.isFinite(share) ? element("p", {class: "small"}, `Over halves of the prompts it is found with ${percent(share)} of its group on average${share < 0.75 ? ": it hesitates" : ""}.`) : null,
    evidenceList(group)), {files: [grouping.file, "phrenology/evidence.parquet"].filter(file => run.index.tables[file]), name: `group ${grouping.name}`});
});
const percent = share => `${Math.round(share * 100)}%`;
const verdictOf = group => group.supported === null || group.supported === undefined ? element("span", {class: "faint"}, "evidence: not available")
  : group.supported ? element("span", {class: "verdict yes"}, "✓ supported") : element("span", {class: "verdict no"}, "✗ not supported");

// The numbers of the evidence as a person reads them: intervals with what they are of, p with its floor.
const EVIDENCE = {
  heads: "heads", members: "members", jaccard_prompts: "Jaccard, halves of the prompts", jaccard_members: "Jaccard, without a member", cosine: "cosine of effects, mean ablation",
  null_mean: "the same, permuted", null_95: "the same, 95% of permutations below", r2: "R² against the mean effect of others", p: "p", p_holm: "p after Holm", cosine_zero: "cosine of effects, zero ablation",
  p_holm_zero: "p after Holm, zero ablation", cosine_resample: "cosine of effects, resample ablation", p_holm_resample: "p after Holm, resample ablation", transplant: "share of the loss that partners recover",
  stable: "stable (both Jaccard at least 0.75)", alike: "similar effects (p after Holm at most 0.05)",
};
const evidenceRows = evidence => Object.entries(evidence || {}).filter(([name]) => !/_(low|high)$|^p_floor$|^permutations$/.test(name)).map(([name, value]) => {
  const low = evidence[`${name}_low`], high = evidence[`${name}_high`];
  let said = value === null || value === undefined ? MISSING : typeof value === "boolean" ? (value ? "yes" : "no") : typeof value === "number" ? number(value) : String(value);
  if (/^p($|_)/.test(name) && Number.isFinite(value) && Number.isFinite(evidence.p_floor) && value <= evidence.p_floor * 1.0001) said = `≤ ${number(evidence.p_floor)}`;
  if (Number.isFinite(low) && Number.isFinite(high)) said += ` [${number(low)}, ${number(high)}]`;
  return [name, EVIDENCE[name] || words(name), said];
});
const evidenceList = group => {
  const facts = evidenceRows(group.evidence).filter(([, , said]) => said !== MISSING);
  return facts.length ? element("dl", {class: "facts"}, facts.map(([, title, said]) => [element("dt", {}, title), element("dd", {}, said)])) : null;
};

// What other tables say of this head, one fold for each table.
const measuresPanel = (run, row) => {
  const {model} = run.head(row), folds = [];
  for (const found of run.measures) {
    const at = [];
    for (let i = 0; i < found.of.length; i++) if (found.of[i] === row) at.push(i);
    if (!at.length) continue;
    const names = Object.keys(found.columns).filter(name => at.some(i => { const value = found.columns[name][i]; return value !== null && value !== "" && !Number.isNaN(value); }));
    if (at.length === 1) {
      const about = Object.fromEntries(names.map(name => [name, found.columns[name][at[0]]]));
      folds.push(element("details", {}, element("summary", {}, found.file.replace(".parquet", "").split("/").map(words).join(" · ")), evidenceList({evidence: about}), element("div", {class: "small"}, provenance(found.file))));
      continue;
    }
    const numeric = names.flatMap((name, i) => typeof found.columns[name][at[0]] === "number" ? [i] : []);
    folds.push(element("details", {}, element("summary", {}, found.file.replace(".parquet", "").split("/").map(words).join(" · "), element("small", {}, ` ${at.length} rows`)),
      table(names.map(words), at.map(i => names.map(name => { const value = found.columns[name][i]; return typeof value === "number" ? number(value) : String(value); })), {label: found.file, numeric}),
      element("div", {class: "small"}, provenance(found.file))));
  }
  return panel("In the tables of the studies", null, folds.length ? element("div", {class: "folds"}, folds) : unavailable(`no other table speaks of heads of ${model.label}`), {wide: true, name: "measures"});
};
