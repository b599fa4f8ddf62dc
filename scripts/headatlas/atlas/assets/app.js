// The page: which view an address means, what is chosen, search, keys, themes.

const app = {run: null, other: null, selection: new Set(), focused: -1, hovered: -1, view: {}};
const place = element("main", {id: "view", tabindex: -1});

const parseAddress = () => {
  const [path, search = ""] = location.hash.replace(/^#/, "").split("?");
  const parts = path.split("/").filter(Boolean).map(decodeURIComponent), parameters = new URLSearchParams(search);
  const row = parts.length === 4 ? app.run.row(parts[0], ...parts.slice(1).map(Number)) : -1;
  return {name: row >= 0 ? "head" : parts[0] || "heads", parts, parameters, row};
};
const go = address => { location.hash = address; };
const replaceAddress = address => { history.replaceState(null, "", `#${address}`); app.at = location.hash; };
const replaceParameters = changes => {
  const [path, search = ""] = location.hash.replace(/^#/, "").split("?"), parameters = new URLSearchParams(search);
  for (const [key, value] of Object.entries(changes)) { if (value === null || value === "") parameters.delete(key); else parameters.set(key, value); }
  replaceAddress(`${path}${parameters.size ? `?${parameters}` : ""}`);
};

// Choosing and pointing at heads: every part of a view hears of it.
const choose = (rows, more = false) => {
  if (!more) app.selection.clear();
  for (const row of rows) { if (more && rows.length === 1 && app.selection.has(row)) app.selection.delete(row); else app.selection.add(row); }
  app.focused = rows.length ? rows[0] : -1;
  app.view.onchoose?.();
  say(app.selection.size === 1 ? `${app.run.longLabel(app.focused)} chosen` : `${app.selection.size} heads chosen`);
};
const hover = row => {
  if (row === app.hovered) return;
  app.hovered = row;
  app.view.onhover?.();
};

const titled = (title, help, ...more) => element("div", {class: "titled"},
  element("h1", {}, title),
  element("details", {class: "help"}, element("summary", {title: "Help on this view", "aria-label": "Help on this view"}, "?"), element("div", {class: "popover"}, help)),
  ...more);

const ABOUT_HELP = "Where every number comes from: models, tables with what made them, configuration and versions. "
  + "Keys: / search, arrows the next head, [ and ] the next member, Esc close, Enter open, ? help.";
const aboutView = place => {
  const {run} = app, {about, tables} = run.index;
  place.append(titled("About this run", ABOUT_HELP), element("div", {class: "grid"},
    panel("Models", "Held-out loss (± standard deviation over members) and baselines in nats per token; a model that is not below both is too little trained to interpret.", table(["model", "members", "layers", "heads", "tokens", "prompts", "held-out loss", "unigram", "bigram", ""],
      run.models.map(model => [link(`heads?model=${encodeURIComponent(model.name)}`, model.name), model.members, model.layers, model.heads, model.size, model.prompts,
        model.loss ? number(model.loss.held_out) + (model.loss.spread ? ` ± ${number(model.loss.spread)}` : "") : MISSING, number(model.loss?.unigram), number(model.loss?.bigram),
        !model.loss || !Number.isFinite(model.loss.bigram) ? "" : model.loss.enough ? "below both baselines" : "TOO LITTLE TRAINING"]), {label: "Models", numeric: [1, 2, 3, 4, 5, 6, 7, 8]}), {wide: true, name: "models", files: filesOf(run, run.models, "models/{model}/training.parquet", "models/{model}/baselines.parquet")}),
    panel("Tables", "Each is a Parquet file beside this page; its footer holds what made it.", element("div", {class: "folds"}, Object.keys(tables).map(file => element("details", {}, element("summary", {}, file, element("small", {}, ` ${tables[file].rows.toLocaleString("en")} rows`)), provenance(file)))), {wide: true, name: "tables"}),
    panel("Configuration", null, about.settings ? element("pre", {class: "scroll", tabindex: 0}, about.settings) : unavailable("the configuration was not given"), {wide: true, name: "configuration"}),
    panel("Versions", null, Object.keys(about.versions).length ? element("dl", {class: "facts"}, Object.entries(about.versions).map(([name, version]) => [element("dt", {}, name), element("dd", {}, String(version))])) : unavailable("versions were not given"), {name: "versions"}),
    panel("Keys", null, element("dl", {class: "facts"}, [["/", "search"], ["← →", "previous and next head"], ["↑ ↓", "layer before and after; in the table, the next row"], ["[ ]", "previous and next member"], ["Enter", "open the chosen head"], ["Esc", "close what is open, let go of what is chosen"], ["?", "help on this view"]].map(([key, what]) => [element("dt", {}, element("kbd", {}, key)), element("dd", {}, what)])), {name: "keys"})));
  return {};
};

const VIEWS = {heads: headsView, head: headView, kinds: kindsView, joint: jointView, studies: studiesView, compare: compareView, about: aboutView};
const show = async () => {
  const route = parseAddress(), view = VIEWS[route.name];
  app.at = location.hash;
  hideHint();
  redrawn.clear();
  app.view = {};
  app.hovered = -1;
  const fresh = element("div", {class: `view view-${route.name}`});
  place.replaceChildren(fresh);
  document.title = app.run.title;
  for (const each of document.querySelectorAll("#tabs a")) each.setAttribute("aria-current", each.dataset.view === (route.name === "head" ? "heads" : route.name) ? "page" : "false");
  if (!view) { fresh.append(titled("Not here", "This address names no view of this run."), element("p", {}, "There is no ", element("code", {}, route.parts.join("/")), " in this run. ", link("heads", "All heads"))); return; }
  scrollTo(0, 0);
  try {
    app.view = await view(fresh, route) || {};
  } catch (error) {
    console.error(error);
    fresh.append(element("p", {class: "unavailable", role: "alert"}, `This view could not be shown: ${error.message}`));
  }
  document.documentElement.dataset.ready = location.hash;
};
app.refresh = show;

const remembered = {
  get: key => { try { return localStorage.getItem(`headatlas ${key}`); } catch { return null; } },
  set: (key, value) => { try { localStorage.setItem(`headatlas ${key}`, value); } catch { /* a page from disk may have no storage */ } },
};
const setTheme = theme => {
  if (theme) document.documentElement.dataset.theme = theme; else delete document.documentElement.dataset.theme;
  for (const each of redrawn) each.redraw();
  app.view.redraw?.();
};

const start = () => {
  app.run = new Run(JSON.parse(document.getElementById("index").textContent), document, "this run");
  Object.assign(palette, app.run.index.palette);
  const theme = button("◐", () => { const next = isDark() ? "light" : "dark"; remembered.set("theme", next); setTheme(next); }, {title: "Dark or light", "aria-label": "Dark or light", class: "theme"});
  const tabs = [["heads", "Heads"], ["kinds", "Kinds"], ["joint", "Queries & keys"], ["studies", "Studies"], ["compare", "Compare"], ["about", "About"]];
  document.getElementById("atlas").append(
    element("a", {class: "skip", href: "#view", onclick: event => { event.preventDefault(); place.focus(); }}, "Skip to content"),
    element("header", {id: "top"}, element("a", {class: "brand", href: "#heads"}, app.run.title),
      element("nav", {id: "tabs", "aria-label": "Views"}, tabs.map(([name, title]) => element("a", {href: `#${name}`, "data-view": name}, title))),
      searchBox(), theme), place, hint, spoken);
  if (remembered.get("theme")) document.documentElement.dataset.theme = remembered.get("theme");
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => setTheme(document.documentElement.dataset.theme));
  addEventListener("hashchange", () => { if (location.hash !== app.at) show(); });
  addEventListener("keydown", event => {
    const writing = event.target.matches?.("input, select, textarea");
    if (event.key === "/" && !writing) { event.preventDefault(); document.getElementById("search").focus(); }
    else if (event.key === "?" && !writing) { const help = document.querySelector(".help"); if (help) help.open = !help.open; }
    else if (event.key === "Escape") {
      for (const open of document.querySelectorAll("details.help[open], details.source[open]")) open.open = false;
      hideHint();
      if (app.selection.size) choose([]);
    } else if (!writing && !event.ctrlKey && !event.metaKey && !event.altKey && !event.target.closest?.(".viewport, .sentence, .scroll, dialog")) app.view.onkey?.(event);
  });
  document.addEventListener("click", event => {
    for (const open of document.querySelectorAll("details.help[open], details.source[open]")) if (!open.contains(event.target)) open.open = false;
  });
  window.atlas = app;
  show();
};
start();
