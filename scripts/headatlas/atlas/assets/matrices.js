// Layers by heads, a matrix for each member of each model, coloured by one score.

class Matrices {
  constructor(state, changed) {
    Object.assign(this, {state, changed, places: []});
    this.tools = element("div", {class: "tools"});
    this.canvas = element("canvas", {role: "img", "aria-label": "Layers by heads"});
    this.overlay = element("canvas", {class: "overlay", "aria-hidden": true});
    this.box = element("div", {class: "matrices"}, this.canvas, this.overlay);
    this.node = element("div", {}, this.tools, this.box);
    new ResizeObserver(([entry]) => { this.width = Math.floor(entry.contentRect.width); this.draw(); }).observe(this.box);
    const row = event => { const box = this.canvas.getBoundingClientRect(); return this.at(event.clientX - box.left, event.clientY - box.top); };
    this.box.addEventListener("pointermove", event => {
      const found = row(event), score = app.run.score(this.state.score);
      if (found >= 0) headHint(event, found, [`${score.title} ${withError(score.value[found], score.error[found])}, chance ${number(score.chance ? score.chance[found] : NaN)}`]);
      else hideHint();
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
      button("SVG", () => { const surface = new SvgSurface(this.width, this.height, style("--paper")); this.paint(surface, themed()); download("layers-heads.svg", "image/svg+xml", surface.content); }, {"aria-label": "Save the matrices as SVG", class: "quiet"}));
    this.draw();
  }

  layout() {
    const run = app.run, blocks = [], shown = new Map();
    for (const row of this.rows) {
      const {model, member} = run.head(row);
      shown.set(`${model.name} ${member}`, [model, member]);
    }
    const crowd = shown.size > 60, most = Math.max(...[...shown.values()].map(([model]) => model.heads));
    const cell = Math.max(crowd ? 4 : 8, Math.min(18, (this.width / 2 - 20) / most));
    let x = 0, y = 0, tallest = 0;
    for (const [model, member] of shown.values()) {
      const wide = Math.max(model.heads * cell, crowd ? 30 : 96) + 12, tall = model.layers * cell + 24;
      if (x && x + wide > this.width) { x = 0; y += tallest; tallest = 0; }
      blocks.push({model, member, x, y: y + 15, cell});
      x += wide;
      tallest = Math.max(tallest, tall);
    }
    this.height = Math.max(40, y + tallest + 20);
    return blocks;
  }

  draw() {
    if (!this.width || !this.rows) return;
    this.blocks = this.layout();
    const ratio = Math.min(devicePixelRatio || 1, 2);
    for (const canvas of [this.canvas, this.overlay]) {
      canvas.width = this.width * ratio;
      canvas.height = this.height * ratio;
      canvas.style.width = `${this.width}px`;
      canvas.style.height = `${this.height}px`;
      canvas.getContext("2d").setTransform(ratio, 0, 0, ratio, 0, 0);
    }
    this.box.style.height = `${this.height}px`;
    this.paint(new CanvasSurface(this.canvas.getContext("2d")), themed());
    this.mark();
  }

  paint(surface, theme) {
    const run = app.run, score = run.score(this.state.score);
    let most = 0;
    for (const row of this.rows) { const beyond = Math.abs(score.value[row] - (score.chance[row] || 0)); if (beyond > most) most = beyond; }
    for (const {model, member, x, y, cell} of this.blocks) {
      surface.text(shortened(model.members > 1 ? `${model.label} ${member}` : model.label, Math.floor(Math.max(100, model.heads * cell) / 6)), x, y - 8, {size: 10.5, fill: theme.faint});
      for (let layer = 0; layer < model.layers; layer++) for (let head = 0; head < model.heads; head++) {
        const row = run.row(model.name, member, layer, head), beyond = score.value[row] - (score.chance[row] || 0);
        const px = x + head * cell, py = y + layer * cell;
        if (!this.rows.has(row) || !Number.isFinite(beyond)) { surface.rect(px + 0.5, py + 0.5, cell - 1, cell - 1, null, theme.line); continue; }
        surface.rect(px + 0.5, py + 0.5, cell - 1, cell - 1, signedColour(beyond / (most || 1)));
        if (Number.isFinite(score.error[row]) && side(score, row) === 0 && cell > 7) surface.line(px + 2, py + cell - 2, px + cell - 2, py + 2, theme.ink, 1, [], 0.55);
      }
    }
    const y = this.height - 11;
    surface.text("below chance", 0, y, {size: 10.5, fill: theme.faint});
    for (let i = 0; i <= 40; i++) surface.rect(76 + i * 2.5, y - 5, 2.6, 10, signedColour(i / 20 - 1));
    surface.text("above chance    struck out: within two standard errors", 184, y, {size: 10.5, fill: theme.faint});
  }

  place(row) {
    const {model, member, layer, head} = app.run.head(row);
    const block = this.blocks.find(each => each.model === model && each.member === member);
    return block && [block.x + head * block.cell, block.y + layer * block.cell, block.cell];
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
