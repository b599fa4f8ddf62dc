// The table of all heads: only the rows in sight are elements, so that ten thousand scroll as smoothly as ten.

const ROW = 30;  // pixels

class HeadsTable {
  // `state` is the view's; `changed` is called with what a person did to it.
  constructor(state, changed) {
    Object.assign(this, {state, changed, rows: []});
    this.body = element("div", {class: "rows", role: "rowgroup"});
    this.head = element("div", {class: "row titles", role: "row"});
    this.viewport = element("div", {class: "viewport", role: "table", "aria-label": "All heads", tabindex: 0},
      this.head, this.body);
    this.viewport.addEventListener("scroll", () => this.fill(), {passive: true});
    this.viewport.addEventListener("keydown", event => this.key(event));
    new ResizeObserver(() => this.fill()).observe(this.viewport);
    this.node = edged(this.viewport);
  }

  columns() {
    const run = app.run, unit = UNITS[this.state.unit], titleWide = title => {  // of a title in two lines, in rem
      const size = parseFloat(getComputedStyle(document.documentElement).fontSize);
      for (let wide = 3; ; wide += 0.5) if (textLines(title, 0.86 * size, wide * size).length <= 2 || wide > 20) return wide + 1.3;
    };
    const groups = run.groupings.filter(grouping => this.rows.some(row => grouping.of[row] >= 0)).map(grouping => ({
      key: `group ${grouping.name}`, title: grouping.title.replace(/s(,|$)/, "$1"),
      wide: Math.max(titleWide(grouping.title), Math.min(10.5, this.wide(grouping.groups.map(group => `${group.id} ${group.name || ""}`), 3.2) + 1.4)),
      of: row => grouping.of[row] < 0 ? Infinity : grouping.of[row],
      cell: row => { const group = run.group(grouping, row); return group ? groupBadge(grouping, group) : MISSING; },
    }));
    const numbers = run.numbers.filter(score => this.rows.some(row => Number.isFinite(score.value[row]))).map(score => {
      const drawn = this.state.unit === "value" || run.costs.includes(score) ? UNITS.value : unit;
      return {
        key: score.name, title: score.title, numeric: true, wide: Math.max(6.4, titleWide(score.title)), score,
        of: row => drawn.of(score, row), cell: row => this.bar(score, row, drawn),
      };
    });
    const wide = this.wide([...new Set(this.rows.map(row => run.modelOf[row]))].map(at => run.label(run.models[at].first + run.models[at].count - 1)), 6);
    return [{key: "head", title: "head", wide, of: row => row}, ...groups.slice(0, 2), ...numbers];
  }

  wide(texts, least) {  // of a column in which none of these is cut, in rem
    const size = parseFloat(getComputedStyle(document.documentElement).fontSize);
    return Math.max(least, ...texts.map(text => textWidth(text, 0.84 * size) * 1.03 / size + 1.3));
  }

  bar(score, row, unit) {
    const value = unit.of(score, row);
    if (!Number.isFinite(value)) return element("span", {class: "faint"}, MISSING);
    const beyond = value - unit.neutral(score, row), most = this.span(score, unit);
    const share = Math.min(1, Math.abs(beyond) / most), above = side(score, row);
    const bar = element("i", {class: above > 0 ? "above" : above < 0 ? "below" : "near", style: {width: `${share * 1.5}rem`}});
    return [bar, number(value, this.state.unit === "errors" ? 1 : 3)];
  }

  span(score, unit) {
    const key = `${score.name} ${this.state.unit}`;
    if (!this.spans.has(key)) {
      let most = 0;
      for (const row of this.rows) {
        const beyond = Math.abs(unit.of(score, row) - unit.neutral(score, row));
        if (beyond > most && Number.isFinite(beyond)) most = beyond;
      }
      this.spans.set(key, most || 1);
    }
    return this.spans.get(key);
  }

  update(rows) {
    this.rows = rows;
    const columns = this.columns(), {sort, down} = this.state;
    const by = columns.find(each => each.key === sort) || columns[0];
    const values = new Map(rows.map(row => [row, by.of(row)]));
    this.rows = rows.slice().sort((a, b) => {
      const [one, other] = [values.get(a), values.get(b)];
      if (!Number.isFinite(one) || !Number.isFinite(other)) return Number.isFinite(other) - Number.isFinite(one) || a - b;
      return (down ? other - one : one - other) || a - b;
    });
    this.spans = new Map();
    this.shown = columns;
    const template = columns.map(each => `${each.wide}rem`).join(" ");
    this.viewport.style.setProperty("--columns", template);
    const size = parseFloat(getComputedStyle(document.documentElement).fontSize);
    this.viewport.classList.toggle("loose", columns[0].wide * size > 0.6 * this.viewport.clientWidth);  // else numbers would have no room beside names
    this.viewport.setAttribute("aria-rowcount", rows.length + 1);
    this.head.replaceChildren(...columns.map(each => element("div", {
      role: "columnheader", class: each.numeric ? "numeric" : null,
      "aria-sort": each.key === by.key ? (down ? "descending" : "ascending") : "none",
    }, button([each.title, each.key === by.key ? (down ? " ↓" : " ↑") : ""].join(""), () => this.changed({
      sort: each.key, down: each.key === by.key ? !down : Boolean(each.numeric),
    }), {title: `Sort by ${each.title}`}))));
    this.body.style.height = `${rows.length * ROW}px`;
    this.fill(true);
  }

  fill(anew = false) {
    if (!this.shown) return;
    const first = Math.max(0, Math.floor((this.viewport.scrollTop) / ROW) - 6);
    const last = Math.min(this.rows.length, first + Math.ceil(this.viewport.clientHeight / ROW) + 12);
    if (!anew && first === this.first && last === this.last) return;
    Object.assign(this, {first, last});
    const made = [];
    for (let i = first; i < last; i++) made.push(this.line(this.rows[i], i));
    this.body.replaceChildren(...made);
  }

  line(row, at) {
    const run = app.run;
    const cells = this.shown.map(each => {
      if (each.key === "head") return element("div", {role: "rowheader", title: run.longLabel(row)}, link(run.address(row), run.label(row)));
      return element("div", {role: "cell", class: each.numeric ? "numeric" : null}, each.cell(row));
    });
    return element("div", {
      class: "row", role: "row", "data-row": row, "aria-rowindex": at + 2, "aria-selected": app.selection.has(row),
      style: {top: `${at * ROW}px`},
      onclick: event => { if (!event.target.closest("a")) choose([row], event.ctrlKey || event.metaKey || event.shiftKey); },
      onpointerenter: () => hover(row), onpointerleave: () => hover(-1),
    }, cells);
  }

  mark() {
    for (const line of this.body.children) {
      const row = Number(line.dataset.row);
      line.setAttribute("aria-selected", app.selection.has(row));
      line.classList.toggle("hovered", row === app.hovered);
    }
  }

  reveal(row) {
    const at = this.rows.indexOf(row);
    if (at < 0) return;
    const top = at * ROW, {scrollTop, clientHeight} = this.viewport;
    if (top < scrollTop || top > scrollTop + clientHeight - 3 * ROW) this.viewport.scrollTop = Math.max(0, top - clientHeight / 3);
  }

  key(event) {
    const step = {ArrowDown: 1, ArrowUp: -1, PageDown: 12, PageUp: -12}[event.key];
    if (step) {
      const at = this.rows.indexOf(app.focused), next = Math.max(0, Math.min(this.rows.length - 1, at < 0 ? 0 : at + step));
      choose([this.rows[next]]);
      this.reveal(this.rows[next]);
      event.preventDefault();
    } else if (event.key === "Enter" && app.focused >= 0 && !event.target.closest("button, a")) {
      go(app.run.address(app.focused));
    }
  }

  csv() {
    const run = app.run;
    const numbers = run.numbers.flatMap(score => [score.name, `${score.name} standard error`, `${score.name} chance`]);
    return [["model", "member", "layer", "head", ...run.groupings.map(grouping => grouping.name), ...numbers],
      ...this.rows.map(row => {
        const {model, member, layer, head} = run.head(row);
        return [model.name, member, layer, head, ...run.groupings.map(grouping => grouping.of[row] < 0 ? "" : grouping.of[row]),
          ...run.numbers.flatMap(score => [score.value[row], score.error[row], score.chance[row]])];
      })];
  }
}

// A group's mark, number and name; what is not supported by its evidence is hollow and says so.
const groupBadge = (grouping, group) => {
  const unsupported = group.supported === false || group.supported === 0;
  const title = `${grouping.title} ${group.id}${group.name ? `: ${group.name}` : ""}${unsupported ? " (not supported)" : ""}`;
  const badge = element("a", {class: `badge${unsupported ? " unsupported" : ""}`, href: `#kinds/${grouping.name}/${group.id}`, title},
    glyph(group.id, unsupported), element("span", {}, `${group.id}${group.name ? ` ${group.name}` : ""}`));
  return badge;
};
const glyph = (index, hollow = false, kind = shape(index)) => {
  const space = "http://www.w3.org/2000/svg", drawn = document.createElementNS(space, "svg");
  drawn.setAttribute("viewBox", "-7 -7 14 14");
  drawn.setAttribute("class", "glyph");
  drawn.setAttribute("aria-hidden", "true");
  const corners = outline(kind, 5), part = document.createElementNS(space, corners ? "polygon" : "circle");
  if (corners) part.setAttribute("points", corners.map(corner => corner.map(at => at.toFixed(1)).join(",")).join(" "));
  else part.setAttribute("r", "4.6");
  const colour = hue(index), open = hollow || kind === "ring";
  part.setAttribute("fill", open ? "none" : colour);
  part.setAttribute("stroke", colour);
  part.setAttribute("stroke-width", open ? "1.8" : "0");
  drawn.append(part);
  return drawn;
};
