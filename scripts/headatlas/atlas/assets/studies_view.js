// A study: what it found, and each figure as published beside corrected.

const STUDIES_HELP = "Published figures do what the authors' code did, so that they can be held against the paper; corrected ones do what it should have done. "
  + "A click opens a figure large, and its name the file itself.";

// What names a figure among those of its study.
const figureKey = figure => `${figure.model ? `${figure.model}/` : ""}${figure.name}`;
const FINDING = "li, p, td";
const markupOf = ({html}) => {
  const part = element("div", {});
  part.innerHTML = html;  // rendered from Markdown with HTML switched off, when the page was made
  return part;
};
// The sentences of a study's findings: those parts that hold no smaller ones.
const partsOfFinding = node => [...node.querySelectorAll(FINDING)].filter(part => !part.querySelector(FINDING));
const findingParts = study => study.findings.flatMap(each => partsOfFinding(markupOf(each)).map(part => part.textContent.trim().replace(/\s+/g, " ")));

// Brings what an address asks for into sight and marks it.
const pointTo = found => {
  if (!found) return;
  found.classList.add("sought");
  found.setAttribute("tabindex", -1);
  found.focus({preventScroll: true});
  found.scrollIntoView({block: found.matches(".figure") ? "start" : "center"});
};

const studiesView = (place, route) => {
  const run = app.run, {studies} = run.index;
  if (!studies.length) { place.append(titled("Studies", STUDIES_HELP), unavailable("this run has no figures")); return {}; }
  const study = studies.find(each => each.name === route.parts[1]) || studies[0];
  document.title = `${study.name} · ${run.title}`;
  place.append(titled(`Studies: ${study.name}`, STUDIES_HELP),
    element("nav", {class: "tabs", "aria-label": "Studies"}, studies.map(each => element("a", {href: `#studies/${each.name}`, "aria-current": each === study ? "page" : null}, each.name))));
  if (study.findings.length) {
    const found = element("div", {class: "findings"}, study.findings.map(markupOf));
    place.append(panel("What was found", null, element("div", {class: "prose"}, found), {wide: true, files: study.findings.map(each => each.file), name: "findings"}));
  }
  if (study.reproduction.length) place.append(paperPanel(study.reproduction));
  if (study.figures.length > 6) place.append(element("nav", {class: "contents small", "aria-label": "Figures"},
    study.figures.map(figure => link(`studies/${study.name}?${new URLSearchParams({figure: figureKey(figure)})}`, figure.title + (figure.model ? ` (${figure.model})` : "")))));
  place.append(...study.figures.map((figure, i) => element("section", {class: "panel wide figure", id: `figure-${i}`},
    element("header", {}, element("h2", {}, figure.title, figure.model ? element("small", {}, ` ${figure.model}`) : null)),
    element("div", {class: figure.published && figure.corrected ? "sidebyside" : "alone"},
      ["published", "corrected"].filter(protocol => figure[protocol]).map(protocol => shownFigure(run, figure, protocol))))));
  const given = route.parameters, sought = name => given.has(name) ? Number(given.get(name)) : -1;
  pointTo(place.querySelectorAll(".figure")[study.figures.findIndex(figure => figureKey(figure) === given.get("figure"))]
    || place.querySelectorAll(".paper tbody tr")[sought("claim")]
    || [...place.querySelectorAll(".findings > div")].flatMap(partsOfFinding)[sought("finding")]);
  return {};
};

// What the paper reports beside this run; verdicts have a mark and words, no colour alone.
const MARKS = {agrees: "✓", differs: "✗", "cannot be compared": "–"};
const PAPER_COLUMNS = ["the paper reports", "published, here", "corrected, here", "verdict"];
const paperPanel = rows => panel("The paper beside this run", rows[0].differences ? `Set up otherwise than the paper: ${rows[0].differences}.` : "Set up as the paper was.",
  edged(element("div", {class: "across", tabindex: 0, role: "region", "aria-label": "The paper beside this run"}, element("table", {class: "paper"},
    element("thead", {}, element("tr", {}, ["", ...PAPER_COLUMNS].map(title => element("th", {scope: "col"}, title)))),
    element("tbody", {}, rows.map(row => element("tr", {},
      element("th", {scope: "row"}, row.item), [row.reported, row.published, row.corrected].map((said, i) => element("td", {"data-title": PAPER_COLUMNS[i]}, said || "–")),
      element("td", {"data-title": PAPER_COLUMNS[3]}, element("strong", {}, `${MARKS[row.verdict]} ${row.verdict}`), element("div", {class: "faint small"}, row.asked)))))))),
  {wide: true, files: ["reproduction.parquet"], name: "paper"});

const shownFigure = (run, figure, protocol) => {
  const {file, others, caption} = figure[protocol], both = figure.published && figure.corrected;
  const image = element("img", {alt: `${figure.title}, ${protocol}`, loading: "lazy"});
  const open = element("button", {type: "button", class: "picturebutton", title: "Show large", onclick: () => showLarge(image, file)}, image);
  const seen = new IntersectionObserver(async ([entry]) => {
    if (!entry.isIntersecting) return;
    seen.disconnect();
    const content = await run.text(file);
    image.src = content === null ? fileAddress(file) : `data:image/webp;base64,${content.trim()}`;
  }, {rootMargin: "600px"});
  seen.observe(open);
  return element("figure", {class: "studyfigure"},
    both || protocol === "published" ? element("h3", {class: protocol}, protocol) : null, open,
    element("figcaption", {}, caption ? element("span", {}, caption, " ") : null,
      element("span", {class: "files"}, [file, ...others].map(each => [element("a", {href: fileAddress(each), title: each}, each.split(".").pop().toUpperCase()), " "]))));
};

const showLarge = (image, file) => {
  const dialog = element("dialog", {class: "large", "aria-label": image.alt, onclick: () => dialog.close(), onclose: () => dialog.remove()},
    element("img", {src: image.src, alt: image.alt}), element("p", {}, element("a", {href: fileAddress(file)}, file), " · Esc closes"));
  document.body.append(dialog);
  dialog.showModal();
};
