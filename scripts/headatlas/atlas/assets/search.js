// Search: a head by its name, a kind by its, figures, findings and a paper's claims by their words, a token where it is written.

// What the studies show and say, each with its address: read once from the index.
const sayings = run => run.sayings ??= run.index.studies.flatMap(study => {
  const address = (what, key) => `studies/${encodeURIComponent(study.name)}?${new URLSearchParams({[what]: key})}`;
  const captions = figure => ["published", "corrected"].map(protocol => figure[protocol]?.caption || "").join(" ");
  return [
    ...study.figures.map(figure => ({address: address("figure", figureKey(figure)), title: figure.title + (figure.model ? ` (${figure.model})` : ""), more: captions(figure), kind: "figure", what: `figure, ${study.name}`})),
    ...study.reproduction.map((row, i) => ({address: address("claim", i), title: `${row.item}: ${row.reported}`, more: [row.asked, row.published, row.corrected].join(" "), kind: "claim", what: `the paper, ${study.name}: ${row.verdict}`})),
    ...findingParts(study).map((text, i) => ({address: address("finding", i), title: text, more: "", kind: "finding", what: `found, ${study.name}`})),
  ];
});
const wordsOf = text => text.toLowerCase().match(/[\p{L}\p{N}]+/gu) || [];
// Whether every word begins one of the text's; a number is one of its numbers.
const holdsWords = (text, looked) => {
  const sought = wordsOf(looked), held = wordsOf(text);
  return sought.length > 0 && sought.every(word => held.some(each => /^\d+$/.test(word) ? each === word : each.startsWith(word)));
};
// The words in this order come first, then titles before captions, figures before claims before findings.
const saidOf = (run, looked) => {
  const rank = each => (each.title.toLowerCase().includes(looked) ? -3 : holdsWords(each.title, looked) ? 0 : holdsWords(`${each.title} ${each.more}`, looked) ? 3 : 6) + ["figure", "claim", "finding"].indexOf(each.kind);
  return sayings(run).map(each => [rank(each), each]).filter(([at]) => at < 6).sort((a, b) => a[0] - b[0]).slice(0, 24)
    .map(([, {address, title, what}]) => [address, around(title, looked), what]);
};
// Some 90 characters of a text about the first word that was looked for.
const around = (text, looked) => {
  const at = Math.max(0, text.toLowerCase().indexOf(looked.split(/\s+/)[0]));
  const start = text.length <= 90 || at < 60 ? 0 : text.lastIndexOf(" ", at - 30) + 1;
  return (start ? "\u2026" : "") + shortened(text.slice(start), 90);
};

const searchResults = async text => {
  const {run} = app, looked = text.trim().toLowerCase(), found = [];
  if (!looked) return found;
  const at = /^(?:(.*?)[\s/.]+)?(?:m?(\d+)[\s/.]+)?l(?:ayer)?\s*(\d+)\s*[\s/.]*h(?:ead)?\s*(\d+)$/i.exec(looked) || /^(.+?)\/(\d+)\/(\d+)\/(\d+)$/.exec(looked);
  if (at) for (let row = 0; row < run.count && found.length < 40; row++) {
    const {model, member, layer, head} = run.head(row);
    if (/^\d+$/.test(at[1] || "") && at[2] === undefined) at.splice(1, 2, undefined, at[1]);
    const named = !at[1] || model.label.toLowerCase().includes(at[1]) || model.name.toLowerCase().includes(at[1]);
    if (named && layer === Number(at[3]) && head === Number(at[4]) && (at[2] === undefined || member === Number(at[2]))) found.push([run.address(row), run.label(row), model.name]);
  }
  for (const grouping of run.groupings) for (const group of grouping.groups) if (group.name && group.name.toLowerCase().includes(looked)) found.push([`kinds/${grouping.name}/${group.id}`, `${grouping.title} ${group.id}: ${group.name}`, "group"]);
  for (const score of run.scores) if (score.title.includes(looked)) found.push([`heads?sort=${score.name}&down=1&score=${score.name}`, score.title, "sort heads by this score"]);
  for (const model of run.models) if (model.name.toLowerCase().includes(looked)) found.push([`heads?model=${encodeURIComponent(model.name)}`, model.label, "model"]);
  found.push(...saidOf(run, looked));
  const written = run.tokens, signs = looked.replace(/\s/g, "␣"), seen = new Set();
  if (written) for (let i = 0; i < written.of.length && seen.size < 12; i++) {
    const row = written.of[i], name = written.name[i].toLowerCase();
    if ((name === signs || name === `␣${signs}`) && !seen.has(row)) { seen.add(row); found.push([run.address(row), run.label(row), `${written.direction[i]} ${written.name[i]}`]); }
  }
  if (signs.length > 1) for (const model of run.models) {
    const overview = withNames(await run.overview(model));
    const hit = overview?.header.prompts.find(prompt => (promptTokens(overview, prompt) || []).join("").toLowerCase().includes(signs));
    if (hit !== undefined) found.push([`${run.address(model.first)}?find=${encodeURIComponent(text.trim())}`, `prompts of ${model.label} with “${text.trim()}”`, "prompts"]);
  }
  return found.slice(0, 60);
};
const searchBox = () => {
  const list = element("ul", {id: "found", role: "listbox", hidden: true});
  let last = 0;
  const input = element("input", {type: "search", id: "search", placeholder: "L1H2, Figure 5, a kind, a token", "aria-label": "Search heads, kinds, scores, figures, findings and tokens", autocomplete: "off", role: "combobox", "aria-controls": "found", "aria-expanded": "false",
    oninput: async () => {
      const turn = ++last, results = await searchResults(input.value);
      if (turn !== last) return;
      list.replaceChildren(...results.map(([address, title, what]) => element("li", {role: "option"}, element("a", {href: `#${address}`, tabindex: -1}, element("span", {}, title), element("small", {}, what)))));
      if (!results.length && input.value.trim()) list.append(element("li", {class: "unavailable"}, "Nothing found."));
      list.hidden = !input.value.trim();
      input.setAttribute("aria-expanded", String(!list.hidden));
    },
    onkeydown: event => {
      const links = [...list.querySelectorAll("a")];
      if (event.key === "Enter" && links.length) { close(); location.hash = links[0].getAttribute("href"); }
      else if (event.key === "ArrowDown" && links.length) { event.preventDefault(); links[0].focus(); }
      else if (event.key === "Escape") { close(); input.blur(); }
    }});
  list.addEventListener("keydown", event => {
    const links = [...list.querySelectorAll("a")], at = links.indexOf(document.activeElement);
    const step = {ArrowDown: 1, ArrowUp: -1}[event.key];
    if (step) { event.preventDefault(); (links[at + step] || input).focus(); }
    if (event.key === "Escape") { close(); input.focus(); }
  });
  list.addEventListener("click", event => { if (event.target.closest("a")) close(); });
  const close = () => { list.hidden = true; input.value = ""; input.setAttribute("aria-expanded", "false"); };
  document.addEventListener("pointerdown", event => { if (!event.target.closest(".search")) { list.hidden = true; } });
  return element("div", {class: "search"}, input, list);
};
