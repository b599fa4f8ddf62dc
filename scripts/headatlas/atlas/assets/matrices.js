// Layers by heads, a matrix for each member of each model, coloured by one score.

class Matrices {
  constructor(state, changed) {
    Object.assign(this, {state, changed, places: []});
    this.tools = element("div", {class: "tools"});
    this.canvas = element("canvas", {role: "img", "aria-label": "Layers by heads"});
    this.overlay = element("canvas", {class: "overlay", "aria-hidden": true});
    this.box = element("div", {class: "matrices"}, this.canvas, this.overlay);
    this.node = element("div", {}, this.tools, this.box);
    new ResizeObserver(([entry]) => { this.scale = unit(); this.width = Math.floor(entry.contentRect.width / this.scale); this.draw(); }).observe(this.box);
    const row = event => { const box = this.canvas.getBoundingClientRect(); return this.at((event.clientX - box.left) / this.scale, (event.clientY - box.top) / this.scale); };
    this.box.addEventListener("pointermove", event => {
      const found = row(event), score = app.run.score(this.state.score);
      if (found >= 0) headHint(event, found, [`${score.title} ${withError(score.value[found], score.error[found])}, chance ${number(score.chance ? score.chance[found] : NaN)}`]);
      else {
        const model = this.named(event);
        if (model) showHint(event, element("strong", {}, model.name), element("div", {}, `${model.members} members, ${model.layers} layers of ${model.heads} heads`)); else hideHint();
      }
      hover(found);
    });
    this.box.addEventListener("pointerleave", () => { hideHint(); hover(-1); });
    this.box.addEventListener("click", event => { const found = row(event); choose(found < 0 ? [] : [found], event.shiftKey || event.ctrlKey); });
    this.box.addEventListener("dblclick", event => { const found = row(event); if (found >= 0) go(app.run.address(found)); });
  }

  update(rows) {
    this.rows = new Set(rows);
    this.tools.replaceChildren(
      choice("Score", app.run.numbers.map(score => [score.name, score.title]), this.state.score, score => this.changed({score}), {"aria-label": "Score of the matrices"}),
      button("SVG", () => { const surface = new SvgSurface(this.width, this.height, style("--paper")); this.paint(surface, themed()); download("layers-heads.svg", "image/svg+xml", surface.content); }, {"aria-label": "Save the matrices as SVG", class: "quiet"}),
      button("CSV", () => download("layers-heads.csv", "text/csv", csv(this.csv())), {"aria-label": "Save the numbers of the matrices as CSV", class: "quiet"}));
    this.draw();
  }

  // Each model has its whole name once, and a block of cells for each member below it.
  layout() {
    const {run} = app, shown = new Map();
    for (const row of this.rows) {
      const {model, member} = run.head(row);
      if (!shown.has(model)) shown.set(model, new Set());
      shown.get(model).add(member);
    }
    const crowd = [...shown.values()].reduce((sum, members) => sum + members.size, 0) > 60, most = Math.max(...[...shown.keys()].map(model => model.heads));
    const cell = Math.max(crowd ? 4 : 8, Math.min(18, (this.width / 2 - 20) / most)), blocks = [], line = 14;
    this.headings = [];
    let x = 0, y = 0, tallest = 0;
    for (const [model, members] of shown) {
      const several = model.members > 1, lines = textLines(several ? `${model.label}, member` : model.label, 10.5, this.width);
      const wide = model.heads * cell + 10, tall = model.layers * cell + (several ? 13 : 0) + 8;
      const whole = Math.max(members.size * wide, ...lines.map(each => textWidth(each, 10.5))) + 12;
      if (x && x + whole - 12 > this.width) { x = 0; y += tallest; tallest = 0; }
      this.headings.push({model, lines, x, y, wide: whole, tall: lines.length * line});
      let left = x, top = y + lines.length * line;
      for (const member of members) {
        if (left > x && left + wide - 10 > this.width) { left = x; top += tall; }
        blocks.push({model, member, x: left, y: top + (several ? 12 : 0), cell});
        left += wide;
      }
      x += whole;
      tallest = Math.max(tallest, top + tall - y + 6);
    }
    this.height = Math.max(40, y + tallest + 20 + (this.width < 440 ? 15 : 0));
    return blocks;
  }

  draw() {
    if (!this.width || !this.rows) return;
    this.blocks = this.layout();
    const {scale} = this, ratio = Math.min(devicePixelRatio || 1, 2) * scale;
    for (const canvas of [this.canvas, this.overlay]) {
      canvas.width = this.width * ratio;
      canvas.height = this.height * ratio;
      canvas.style.width = `${this.width * scale}px`;
      canvas.style.height = `${this.height * scale}px`;
      canvas.getContext("2d").setTransform(ratio, 0, 0, ratio, 0, 0);
    }
    this.box.style.height = `${this.height * scale}px`;
    this.paint(new CanvasSurface(this.canvas.getContext("2d")), themed());
    this.mark();
  }

  paint(surface, theme) {
    const run = app.run, score = run.score(this.state.score);
    let most = 0;
    for (const row of this.rows) { const beyond = Math.abs(score.value[row] - (score.chance[row] || 0)); if (beyond > most) most = beyond; }
    for (const {lines, x, y} of this.headings) lines.forEach((each, i) => surface.text(each, x, y + 7 + 14 * i, {size: 10.5, fill: theme.ink}));
    for (const {model, member, x, y, cell} of this.blocks) {
      if (model.members > 1) surface.text(String(member), x, y - 6, {size: 9.5, fill: theme.faint});
      for (let layer = 0; layer < model.layers; layer++) for (let head = 0; head < model.heads; head++) {
        const row = run.row(model.name, member, layer, head), beyond = score.value[row] - (score.chance[row] || 0);
        const px = x + head * cell, py = y + layer * cell;
        if (!this.rows.has(row) || !Number.isFinite(beyond)) { surface.rect(px + 0.5, py + 0.5, cell - 1, cell - 1, null, theme.line); continue; }
        surface.rect(px + 0.5, py + 0.5, cell - 1, cell - 1, signedColour(beyond / (most || 1)));
        if (Number.isFinite(score.error[row]) && side(score, row) === 0 && cell > 7) surface.line(px + 2, py + cell - 2, px + cell - 2, py + 2, theme.ink, 1, [], 0.55);
      }
    }
    const narrow = this.width < 440, y = this.height - (narrow ? 26 : 11);
    surface.text("below chance", 0, y, {size: 10.5, fill: theme.faint});
    for (let i = 0; i <= 40; i++) surface.rect(76 + i * 2.5, y - 5, 2.6, 10, signedColour(i / 20 - 1));
    surface.text("above chance", 184, y, {size: 10.5, fill: theme.faint});
    surface.text("struck out: within two standard errors", narrow ? 0 : 268, narrow ? y + 15 : y, {size: 10.5, fill: theme.faint});
  }

  csv() {
    const {run} = app, score = run.score(this.state.score);
    return [["model", "member", "layer", "head", score.title, "standard error", "chance"], ...[...this.rows].map(row => {
      const {model, member, layer, head} = run.head(row);
      return [model.name, member, layer, head, score.value[row], score.error[row], score.chance[row]];
    })];
  }

  place(row) {
    const {model, member, layer, head} = app.run.head(row);
    const block = this.blocks.find(each => each.model === model && each.member === member);
    return block && [block.x + head * block.cell, block.y + layer * block.cell, block.cell];
  }

  named(event) {  // the model whose name is under the pointer
    const box = this.canvas.getBoundingClientRect(), px = (event.clientX - box.left) / this.scale, py = (event.clientY - box.top) / this.scale;
    return this.headings?.find(({x, y, wide, tall}) => px >= x && px < x + wide && py >= y && py < y + tall)?.model;
  }

  at(px, py) {
    for (const {model, member, x, y, cell} of this.blocks || []) {
      const head = Math.floor((px - x) / cell), layer = Math.floor((py - y) / cell);
      if (head >= 0 && layer >= 0 && head < model.heads && layer < model.layers) return app.run.row(model.name, member, layer, head);
    }
    return -1;
  }

  mark() {
    if (!this.blocks) return;
    const context = this.overlay.getContext("2d"), theme = themed(), surface = new CanvasSurface(context);
    context.clearRect(0, 0, this.width, this.height);
    const marked = [...(app.selection.size <= 400 ? app.selection : []), ...(app.hovered >= 0 ? [app.hovered] : [])];
    for (const row of marked) {
      const place = this.place(row);
      if (place) surface.rect(place[0] + 0.5, place[1] + 0.5, place[2] - 1, place[2] - 1, null, row === app.hovered ? theme.accent : theme.ink, 2);
    }
  }
}
