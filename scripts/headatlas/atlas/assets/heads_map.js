// A mark copied into a picture pixel by pixel: ten thousand of them cost less than as many calls of a canvas.
const stamp = (picture, {pixels, wide, half, ratio}, x, y, strength) => {
  const {data, width, height} = picture, left = Math.round((x - half) * ratio), top = Math.round((y - half) * ratio);
  for (let j = 0; j < wide; j++) {
    const py = top + j;
    if (py < 0 || py >= height) continue;
    for (let i = 0; i < wide; i++) {
      const from = 4 * (j * wide + i), alpha = pixels[from + 3];
      const px = left + i;
      if (alpha < 8 || px < 0 || px >= width) continue;
      const to = 4 * (py * width + px), share = alpha * strength / 255;
      for (let part = 0; part < 3; part++) data[to + part] += (pixels[from + part] - data[to + part]) * share;
    }
  }
};

// Heads on a plane: a projection, or any two scores with their errors and chance. Drag draws a lasso, the wheel zooms.

class HeadsMap {
  constructor(state, changed) {
    Object.assign(this, {state, changed, rows: [], zoom: {scale: 1, x: 0, y: 0}, width: 0, height: 0, frames: []});
    this.canvas = element("canvas", {role: "img", "aria-label": "Map of heads; the table holds the same heads and numbers"});
    this.overlay = element("canvas", {"aria-hidden": true, class: "overlay"});
    this.box = element("div", {class: "map"}, this.canvas, this.overlay);
    this.tools = element("div", {class: "tools"});
    this.legend = element("div", {class: "legend"});
    this.placedNote = element("p", {class: "placed small", role: "status"});
    this.node = element("div", {class: "mapbox"}, this.tools, this.box, this.placedNote, this.legend);
    this.watch();
    new ResizeObserver(([entry]) => this.resize(entry.contentRect)).observe(this.box);
  }

  axes() {  // every axis a map can have: each projection is a pair
    const {run} = app;
    const scores = run.numbers.map(score => [score.name, score.title]);
    return {projections: run.maps.map(map => [`map ${map.name}`, map.title]), scores};
  }

  valuesOf(axis, which) {
    const {run} = app, map = run.maps.find(each => `map ${each.name}` === axis);
    if (map) return {values: which === "x" ? map.x : map.y, title: `${map.title}, ${which === "x" ? 1 : 2}`, plain: true};
    const score = run.score(axis);
    return score && {values: score.value, error: score.error, chance: score.chance, title: score.title};
  }

  update(rows) {
    const {run} = app, {projections, scores} = this.axes(), {state} = this;
    this.rows = Int32Array.from(rows);
    const isMap = state.x.startsWith("map ");
    this.x = this.valuesOf(state.x, "x");
    this.y = isMap ? this.valuesOf(state.x, "y") : this.valuesOf(state.y, "y");
    const colours = [...run.groupings.map(each => [`group ${each.name}`, each.title]), ["model", "Model"], ["member", "Member"], ["layer", "Layer"], ...scores];
    this.tools.replaceChildren(
      choice("Horizontal", [...projections, ...scores], state.x, x => this.changed({x}), {"aria-label": "Horizontal axis"}),
      isMap ? "" : choice("Vertical", scores, state.y, y => this.changed({y}), {"aria-label": "Vertical axis"}),
      choice("Colour", colours, state.colour, colour => this.changed({colour}), {"aria-label": "Colour"}),
      button("Reset", () => { this.zoom = {scale: 1, x: 0, y: 0}; this.draw(); }, {class: "quiet", title: "Whole map again"}),
      button("SVG", () => this.save(), {"aria-label": "Save the map as SVG", class: "quiet"}),
      button("CSV", () => download("heads-map.csv", "text/csv", csv([["head", this.x.title, this.y.title],
        ...[...this.rows].map(row => [run.label(row), this.x.values[row], this.y.values[row]])])), {"aria-label": "Save the map as CSV", class: "quiet"}));
    this.onMap = [...this.rows].filter(row => Number.isFinite(this.x.values[row]) && Number.isFinite(this.y.values[row]));
    this.placedNote.textContent = this.whoIsPlaced(isMap);
    this.styles = this.styled();
    this.spanX = extent([...this.rows].map(row => this.x.values[row]), 0.06);
    this.spanY = extent([...this.rows].map(row => this.y.values[row]), 0.06);
    this.canvas.setAttribute("aria-label", `Map of ${this.onMap.length} heads: ${this.x.title} across, ${this.y.title} up; the table holds the same heads and numbers`);
    this.draw();
  }

  whoIsPlaced(isMap) {
    const {run} = app, [shown, all] = [this.onMap.length, this.rows.length], of = [...new Set(this.onMap.map(row => run.modelOf[row]))];
    const named = of.length > 4 ? ` of ${of.length} models` : `: ${of.map(at => run.models[at].label).join(", ")}`;
    if (shown === all) return `${all.toLocaleString("en")} heads${shown ? named : ""}.`;
    const why = isMap ? "the others are not in this projection, choose a score across to see them" : "the others have no such scores, choose other axes to see them";
    return `${shown.toLocaleString("en")} of ${all.toLocaleString("en")} heads${shown ? named : ""}; ${why}.`;
  }

  // For each head an index of a drawn mark, so that a mark is drawn once and copied after.
  styled() {
    const {run} = app, {colour} = this.state, of = new Int16Array(run.count);
    const ratio = Math.min(devicePixelRatio || 1, 2) * unit(), marks = [], keys = new Map();
    const size = this.rows.length > 3000 ? 3 : this.rows.length > 600 ? 3.6 : 5;
    const add = (kind, fill, hollow, title) => {
      const key = `${kind} ${fill} ${hollow}`;
      if (!keys.has(key)) {
        const tile = document.createElement("canvas"), wide = Math.ceil(size * 3.2 * ratio);
        tile.width = tile.height = wide;
        const context = tile.getContext("2d", {willReadFrequently: true});
        context.scale(ratio, ratio);
        const surface = new CanvasSurface(context), middle = wide / ratio / 2;
        if (hollow) mark(surface, kind, middle, middle, size - 0.5, style("--paper"), fill, 1.6);
        else mark(surface, kind, middle, middle, size, fill, style("--paper"));
        keys.set(key, marks.length);
        marks.push({tile, kind, fill, hollow, title, size, half: wide / ratio / 2, ratio, wide, pixels: context.getImageData(0, 0, wide, wide).data});
      }
      return keys.get(key);
    };
    const grouping = run.groupings.find(each => `group ${each.name}` === colour);
    const score = run.score(colour);
    const entries = new Map();
    const span = score && extent(this.onMap.map(row => score.value[row]), 0);
    const compared = grouping && new Set(Array.from(run.modelOf).filter((_, row) => grouping.of[row] >= 0));
    for (const row of this.onMap) {
      let style_, title = null;
      if (grouping) {
        const group = run.group(grouping, row), hollow = group && group.supported !== null && !group.supported;
        style_ = group ? [shape(group.id), hue(group.id), hollow] : ["ring", style("--near"), false];
        title = group ? `${group.id}${group.name ? ` ${group.name}` : ""}${hollow ? " (not supported)" : ""}`
          : compared.has(run.modelOf[row]) ? `in none of the ${lowered(grouping.title)}` : `its model was not searched for ${lowered(grouping.title)}`;
      } else if (score) {
        const share = linear(...span, 0.12, 1)(score.value[row]);
        style_ = Number.isFinite(share) ? ["o", attentionColour(Math.round(share * 24) / 24), false] : ["ring", style("--near"), false];
        title = Number.isFinite(share) ? null : "not measured";
      } else {
        const head = run.head(row), index = colour === "model" ? run.modelOf[row] : colour === "layer" ? head.layer : head.member;
        style_ = [shape(index), hue(index), false];
        title = colour === "model" ? head.model.label : `${colour} ${index}`;
      }
      of[row] = add(...style_, title);
      if (title !== null && !entries.has(title)) entries.set(title, of[row]);
    }
    const sorted = [...entries].sort((a, b) => a[0].localeCompare(b[0], "en", {numeric: true})), listed = sorted.slice(0, 14);
    this.legend.replaceChildren(...listed.map(([title, which]) => {
      const tile = marks[which].tile, copied = element("canvas", {width: tile.width, height: tile.height, class: "glyph", "aria-hidden": true});
      copied.getContext("2d").drawImage(tile, 0, 0);
      return element("span", {}, copied, title);
    }), sorted.length > listed.length ? element("span", {}, `and ${sorted.length - listed.length} more`) : "",
    score ? element("span", {}, `${score.title}: ${number(span[0])} (light) to ${number(span[1])}`) : "");
    return {of, marks};
  }

  resize({width}) {
    const scale = this.scale = unit(), wide = Math.floor(width / scale), ratio = Math.min(devicePixelRatio || 1, 2) * scale;
    if (wide === this.width) return;
    this.width = wide;
    this.height = Math.round(Math.max(260, Math.min(wide * 0.72, innerHeight * 0.52 / scale)));
    for (const canvas of [this.canvas, this.overlay]) {
      canvas.width = this.width * ratio;
      canvas.height = this.height * ratio;
      canvas.style.width = `${this.width * scale}px`;
      canvas.style.height = `${this.height * scale}px`;
      canvas.getContext("2d", {willReadFrequently: true}).setTransform(ratio, 0, 0, ratio, 0, 0);  // drawn by the CPU: ten thousand small marks reach it sooner than a graphics card
    }
    this.box.style.height = `${this.height * scale}px`;
    if (this.styles) this.draw();
  }

  placed() {  // where each head lies, in pixels
    const {scale, x: dx, y: dy} = this.zoom, left = this.x.plain ? 10 : 46, bottom = this.height - (this.x.plain ? 10 : 36);
    const x = linear(...this.spanX, left, this.width - 10), y = linear(...this.spanY, bottom, 10);
    const middleX = (left + this.width - 10) / 2, middleY = (bottom + 10) / 2;
    return {x: value => (x(value) - middleX) * scale + middleX + dx, y: value => (y(value) - middleY) * scale + middleY + dy, left, bottom};
  }

  draw() {
    if (!this.width || !this.styles) return;
    const context = this.canvas.getContext("2d"), theme = themed(), surface = new CanvasSurface(context);
    surface.rect(0, 0, this.width, this.height, theme.paper);
    this.paintFrame(surface, theme);
    const {x, y} = this.placed(), {of, marks} = this.styles, count = this.rows.length;
    this.px = new Float32Array(count);
    this.py = new Float32Array(count);
    const chosen = app.selection.size > 1, many = count > 2000;
    const picture = many && context.getImageData(0, 0, this.canvas.width, this.canvas.height);
    for (const bright of chosen ? [false, true] : [true]) {
      context.globalAlpha = bright ? 1 : 0.22;
      for (let i = 0; i < count; i++) {
        const row = this.rows[i];
        if (chosen && app.selection.has(row) !== bright) continue;
        const px = x(this.x.values[row]), py = y(this.y.values[row]), drawn = marks[of[row]];
        this.px[i] = px;
        this.py[i] = py;
        if (!(px > -9 && py > -9 && px < this.width + 9 && py < this.height + 9)) continue;
        if (many) stamp(picture, drawn, px, py, bright ? 1 : 0.22);
        else context.drawImage(drawn.tile, px - drawn.half, py - drawn.half, 2 * drawn.half, 2 * drawn.half);
      }
    }
    if (many) context.putImageData(picture, 0, 0);
    context.globalAlpha = 1;
    this.mark();
  }

  paintFrame(surface, theme) {
    const {x, y, left, bottom} = this.placed();
    if (this.x.plain) return;
    const seenX = [left, this.width - 10].map(linear(x(this.spanX[0]), x(this.spanX[1]), ...this.spanX));
    const seenY = [bottom, 10].map(linear(y(this.spanY[0]), y(this.spanY[1]), ...this.spanY));
    for (const tick of ticks(...seenX, 6)) {
      surface.line(x(tick), 10, x(tick), bottom, theme.line);
      surface.text(tickText(tick), x(tick), bottom + 5, {size: 10, anchor: "middle", baseline: "top", fill: theme.faint});
    }
    for (const tick of ticks(...seenY, 5)) {
      surface.line(left, y(tick), this.width - 10, y(tick), theme.line);
      surface.text(tickText(tick), left - 5, y(tick), {size: 10, anchor: "end", fill: theme.faint});
    }
    surface.text(this.x.title, (left + this.width) / 2, this.height - 9, {size: 11, anchor: "middle", fill: theme.ink});
    surface.text(this.y.title, 9, (10 + bottom) / 2, {size: 11, anchor: "middle", fill: theme.ink, turn: -90});
    const levels = axis => [...new Set([...this.rows].map(row => axis.chance && axis.chance[row]).filter(Number.isFinite).map(value => +value.toPrecision(4)))];
    const across = levels(this.x), up = levels(this.y);
    if (across.length <= 6) for (const level of across) surface.line(x(level), 10, x(level), bottom, theme.ink, 1.2, [2, 3]);
    if (up.length <= 6) for (const level of up) surface.line(left, y(level), this.width - 10, y(level), theme.ink, 1.2, [2, 3]);
  }

  whiskers(surface, row, theme) {
    const {x, y} = this.placed(), atX = this.x.values[row], atY = this.y.values[row];
    if (this.x.error) surface.line(x(atX - 2 * this.x.error[row]), y(atY), x(atX + 2 * this.x.error[row]), y(atY), theme.ink, 1.4);
    if (this.y.error) surface.line(x(atX), y(atY - 2 * this.y.error[row]), x(atX), y(atY + 2 * this.y.error[row]), theme.ink, 1.4);
  }

  mark() {
    if (!this.styles) return;
    const context = this.overlay.getContext("2d"), theme = themed(), surface = new CanvasSurface(context);
    context.clearRect(0, 0, this.width, this.height);
    if (this.lasso) surface.path(this.lasso, {stroke: theme.accent, width: 1.5, fill: theme.accent, alpha: 0.25, close: true});
    const marked = new Set(app.selection.size <= 40 ? app.selection : []);
    if (app.hovered >= 0) marked.add(app.hovered);
    const {x, y} = this.placed();
    for (const row of marked) {
      if (!this.rows.includes(row)) continue;
      this.whiskers(surface, row, theme);
      surface.circle(x(this.x.values[row]), y(this.y.values[row]), row === app.hovered ? 9 : 7, null, row === app.hovered ? theme.accent : theme.ink, 2);
    }
  }

  nearest(px, py, within = 12) {
    let found = -1, best = within ** 2;
    for (let i = 0; i < this.rows.length; i++) {
      const distance = (this.px[i] - px) ** 2 + (this.py[i] - py) ** 2;
      if (distance < best) { best = distance; found = this.rows[i]; }
    }
    return found;
  }

  watch() {
    const at = event => { const box = this.canvas.getBoundingClientRect(); return [(event.clientX - box.left) / this.scale, (event.clientY - box.top) / this.scale]; };
    this.box.addEventListener("pointerdown", event => {
      this.box.setPointerCapture(event.pointerId);
      this.pressed = at(event);
      this.panning = event.altKey || event.button === 1;
      if (!this.panning) this.lasso = [this.pressed];
    });
    this.box.addEventListener("pointermove", event => {
      const now = at(event);
      if (this.panning && this.pressed) {
        this.zoom.x += now[0] - this.pressed[0];
        this.zoom.y += now[1] - this.pressed[1];
        this.pressed = now;
        this.soon();
      } else if (this.lasso) {
        this.lasso.push(now);
        this.mark();
      } else {
        const row = this.nearest(...now);
        if (row >= 0) headHint(event, row, [[this.x, this.x.values[row]], [this.y, this.y.values[row]]].filter(([axis]) => !axis.plain)
          .map(([axis, value]) => `${axis.title} ${withError(value, axis.error && axis.error[row])}`));
        else hideHint();
        hover(row);
      }
    });
    this.box.addEventListener("pointerup", event => {
      const lasso = this.lasso;
      this.lasso = null;
      this.pressed = null;
      if (this.panning) { this.panning = false; return; }
      const long = lasso && lasso.length > 4 && Math.max(...lasso.map(([x, y]) => Math.hypot(x - lasso[0][0], y - lasso[0][1]))) > 8;
      if (long) choose(this.inside(lasso), event.shiftKey);
      else {
        const row = this.nearest(...at(event));
        choose(row < 0 ? [] : [row], event.shiftKey || event.ctrlKey);
      }
      this.mark();
    });
    this.box.addEventListener("dblclick", event => { const row = this.nearest(...at(event)); if (row >= 0) go(app.run.address(row)); });
    this.box.addEventListener("pointerleave", () => { if (!this.lasso) { hideHint(); hover(-1); } });
    this.box.addEventListener("wheel", event => {
      if (!event.ctrlKey && !event.shiftKey && document.activeElement !== this.box && !this.box.matches(":hover")) return;
      event.preventDefault();
      const [x, y] = at(event), factor = Math.exp(-event.deltaY * 0.0015), scale = Math.max(1, Math.min(40, this.zoom.scale * factor));
      const ratio = scale / this.zoom.scale, middleX = this.width / 2, middleY = this.height / 2;
      this.zoom = scale === 1 ? {scale, x: 0, y: 0}
        : {scale, x: (x - middleX) * (1 - ratio) + this.zoom.x * ratio, y: (y - middleY) * (1 - ratio) + this.zoom.y * ratio};
      this.soon();
    }, {passive: false});
  }

  soon() {
    if (this.waiting) return;
    this.waiting = requestAnimationFrame(() => { this.waiting = null; this.draw(); });
  }

  inside(lasso) {
    const found = [];
    for (let i = 0; i < this.rows.length; i++) {
      let within = false;
      for (let a = 0, b = lasso.length - 1; a < lasso.length; b = a++) {
        const [xa, ya] = lasso[a], [xb, yb] = lasso[b];
        if ((ya > this.py[i]) !== (yb > this.py[i]) && this.px[i] < (xb - xa) * (this.py[i] - ya) / (yb - ya) + xa) within = !within;
      }
      if (within) found.push(this.rows[i]);
    }
    return found;
  }

  save() {
    const surface = new SvgSurface(this.width, this.height, style("--paper")), theme = themed();
    this.paintFrame(surface, theme);
    for (let i = 0; i < this.rows.length; i++) {
      const drawn = this.styles.marks[this.styles.of[this.rows[i]]];
      mark(surface, drawn.kind, this.px[i], this.py[i], drawn.size, drawn.hollow ? theme.paper : drawn.fill, drawn.hollow ? drawn.fill : theme.paper, drawn.hollow ? 1.6 : 0.8);
    }
    download("heads-map.svg", "image/svg+xml", surface.content);
  }
}
