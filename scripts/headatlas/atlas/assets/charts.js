// The charts that several views share: an attention matrix, attention by offset, numbers with errors and chance.

// The rows of a table of a square's weights, without those that cannot be.
const weightRows = (size, at, names = null) => {
  const titles = names ? ["query", "query token", "key", "key token", "attention"] : ["query", "key", "attention"], rows = [titles];
  for (let query = 0; query < size; query++) for (let key = 0; key < size; key++) {
    const weight = at(query, key);
    if (!Number.isNaN(weight)) rows.push(names ? [query, names[query], key, names[key], weight] : [query, key, weight]);
  }
  return rows;
};

// A square of attention: at(query, key) is a weight, NaN where a query cannot look.
const matrixChart = ({name, label, size, at, names = null, most = 1, onpick, active = () => -1, side: fixed = null, ticked = true}) => {
  const labelled = width => names && size <= 48 && width > 300;
  const layout = width => {
    const margin = labelled(width) ? Math.min(84, 14 + 6.2 * Math.max(...names.map(each => Math.min(12, [...each].length)))) : ticked ? 24 : 2;
    const side = Math.max(20, Math.min(width - margin - 4, fixed || 560));
    return {margin, side, cell: side / size};
  };
  const place = (x, y, width) => {
    const {margin, cell} = layout(width);
    const query = Math.floor((y - 4) / cell), key = Math.floor((x - margin) / cell);
    return query >= 0 && key >= 0 && query < size && key < size ? [query, key] : null;
  };
  return chart({
    name, label, csv: () => weightRows(size, at, names),
    height: width => { const {margin, side} = layout(width); return side + margin + 8; },
    draw(surface, width, height, theme) {
      const {margin, side, cell} = layout(width);
      surface.rect(margin, 4, side, side, theme.none);
      for (let query = 0; query < size; query++) {
        for (let key = 0; key < size; key++) {
          const weight = at(query, key);
          if (Number.isNaN(weight)) continue;
          surface.rect(margin + key * cell, 4 + query * cell, cell + 0.4, cell + 0.4, attentionColour(Math.min(1, weight / most)));
        }
      }
      if (active() >= 0) surface.rect(margin - 1, 4 + active() * cell, side + 2, cell, null, theme.accent, 2);
      const every = Math.max(1, Math.ceil((labelled(width) ? 11 : 26) / cell));
      for (let i = 0; ticked && i < size; i += every) {
        const text = labelled(width) ? shortened(names[i], 12) : String(i);
        surface.text(text, margin - 5, 4 + (i + 0.5) * cell, {size: 10, anchor: "end", fill: theme.faint});
        if (labelled(width)) surface.text(text, margin + (i + 0.5) * cell, side + 9, {size: 10, anchor: "end", fill: theme.faint, turn: -90});
        else surface.text(text, margin + (i + 0.5) * cell, side + 10, {size: 10, anchor: "middle", baseline: "top", fill: theme.faint});
      }
    },
    under(x, y, width) {
      const found = place(x, y, width);
      if (!found) return null;
      const [query, key] = found, weight = at(query, key);
      const said = i => names ? [token(names[i]), ` (${i})`] : [`position ${i}`];
      return [element("div", {}, ...said(query), " → ", ...said(key)),
        element("strong", {}, Number.isNaN(weight) ? "cannot be attended to" : number(weight))];
    },
    onpick: onpick && ((x, y, width) => { const found = place(x, y, width); if (found) onpick(...found); }),
  });
};

// Attention by offset, with a band of two standard errors and a head that attends to all alike.
const offsetChart = ({name, label, curves, uniform, offsets}) => {
  const [first, last] = offsets, count = last - first + 1;
  const ends = curves.flatMap(({values, errors}) => [...values].map((value, i) => value + 2 * (errors[i] || 0)));
  const top = Math.max(0.05, ...ends.filter(Number.isFinite), ...uniform.filter(Number.isFinite)) * 1.04;
  const keys = [...curves.map(({title}) => title), "attends to all alike"];
  const legend = width => legendPlaces(keys, 10.5, 38, width - 2, 23);
  const box = (width, height) => ({left: 38, right: width - 8, top: 10 + 16 * legend(width).rows, bottom: height - 32});
  return chart({
    name, label,
    csv: () => [["offset", ...curves.flatMap(({title}) => [title, `${title}, standard error`]), "uniform head"],
      ...Array.from({length: count}, (_, i) => [first + i, ...curves.flatMap(({values, errors}) => [values[i], errors[i]]), uniform[i]])],
    height: width => Math.max(190, Math.min(310, width * 0.66)) + 16 * (legend(width).rows - 1),
    draw(surface, width, height, theme) {
      const at = box(width, height), x = linear(first, last, at.left, at.right), y = linear(0, top, at.bottom, at.top);
      for (const tick of ticks(0, top, 4)) {
        surface.line(at.left, y(tick), at.right, y(tick), theme.line, 1);
        surface.text(tickText(tick), at.left - 5, y(tick), {size: 10, anchor: "end", fill: theme.faint});
      }
      for (const tick of ticks(first, last, Math.min(8, width / 50)).filter(Number.isInteger))
        surface.text(tickText(tick), x(tick), at.bottom + 5, {size: 10, anchor: "middle", baseline: "top", fill: theme.faint});
      surface.text("positions looked back", (at.left + at.right) / 2, height - 10, {size: 10.5, anchor: "middle", fill: theme.faint});
      surface.path(uniform.map((value, i) => [x(first + i), y(value)]), {stroke: theme.faint, width: 1.2, dash: [4, 3]});
      curves.forEach(({values, errors}, which) => {
        const colour = hue(which), points = [...values].map((value, i) => [x(first + i), y(value)]);
        const edge = sign => [...values].map((value, i) => [x(first + i), y(Math.max(0, value + sign * 2 * (errors[i] || 0)))]);
        surface.path([...edge(1), ...edge(-1).reverse()], {fill: colour, alpha: 0.18, close: true});
        surface.path(points, {stroke: colour, width: 1.8});
        if (count <= 64) for (const [px, py] of points) mark(surface, shape(which), px, py, 2.6, colour);
      });
      legend(width).places.forEach(([start, row], which) => {
        const y = 9 + 16 * row, alike = which === curves.length;
        surface.line(start, y, start + 18, y, alike ? theme.faint : hue(which), 2, alike ? [4, 3] : []);
        surface.text(keys[which], start + 23, y, {size: 10.5, fill: theme.ink});
      });
    },
    under(x, y, width, height) {
      const at = box(width, height), i = Math.round(linear(at.left, at.right, 0, count - 1)(x));
      if (!(i >= 0 && i < count)) return null;
      return [element("div", {}, `offset ${first + i}`),
        ...curves.map(({title, values, errors}) => element("div", {}, `${title}: `, element("strong", {}, withError(values[i], errors[i])))),
        element("div", {}, `attends to all alike: ${number(uniform[i])}`)];
    },
  });
};

// Rows of numbers: each with whiskers of two standard errors, its chance as a bar, and the other heads as faint ticks.
const dotChart = ({name, label, rows, series = [""]}) => {
  const tall = 27, named = width => Math.min(168, width * 0.4);
  const keys = width => legendPlaces(series, 11, 6, width, 9);
  const spans = rows.map(({points, chance, others = []}) => extent(
    [...points.flatMap(({value, error}) => [value - 2 * (error || 0), value + 2 * (error || 0)]), chance, ...others], 0.07));
  return chart({
    name, label,
    csv: () => [["score", "of", "value", "standard error", "chance"],
      ...rows.flatMap(({title, points, chance}) => points.map(({value, error}, i) => [title, series[i], value, error, chance]))],
    height: width => rows.length * tall + (series.length > 1 ? 14 + 16 * keys(width).rows : 8),
    draw(surface, width, height, theme) {
      const left = named(width), right = width - 66;
      rows.forEach(({title, points, chance, others = []}, i) => {
        const x = linear(...spans[i], left, right), y = i * tall + tall / 2 + 2;
        const size = textWidth(title, 11.5) > left - 12 ? 10 : 11.5, lines = textLines(title, size, left - 12);
        lines.forEach((each, at) => surface.text(each, left - 8, y + (at - (lines.length - 1) / 2) * 11, {size, anchor: "end", fill: theme.ink}));
        surface.line(left, y, right, y, theme.line, 1);
        for (const other of others) surface.line(x(other), y - 3, x(other), y + 3, theme.faint, 1, [], 0.35);
        if (Number.isFinite(chance)) surface.line(x(chance), y - 8, x(chance), y + 8, theme.ink, 1.6, [2, 2]);
        points.forEach(({value, error}, which) => {
          if (!Number.isFinite(value)) return;
          const drop = points.length > 1 ? (which - (points.length - 1) / 2) * 8 : 0, colour = hue(which);
          if (Number.isFinite(error)) surface.line(x(value - 2 * error), y + drop, x(value + 2 * error), y + drop, colour, 2);
          mark(surface, shape(which), x(value), y + drop, 4, colour, theme.paper);
        });
        const said = points.length === 1 ? number(points[0].value) : Number.isFinite(points[1].value - points[0].value) ? `Δ ${number(points[1].value - points[0].value)}` : MISSING;
        surface.text(said, width - 2, y, {size: 11, anchor: "end", fill: theme.ink});
      });
      if (series.length > 1) {
        const {places, rows: lines} = keys(width);
        series.forEach((title, which) => {
          const [x, row] = places[which], y = height - 12 - 16 * (lines - 1 - row);
          mark(surface, shape(which), x, y, 4, hue(which));
          surface.text(title, x + 9, y, {size: 11, fill: theme.ink});
        });
      }
    },
    under(x, y) {
      const row = rows[Math.floor((y - 2) / tall)];
      return row && [element("div", {}, row.title), ...row.points.map(({value, error}, i) =>
        element("div", {}, series[i] ? `${series[i]}: ` : "", element("strong", {}, withError(value, error)))),
        element("div", {}, Number.isFinite(row.chance) ? `chance ${number(row.chance)}` : "chance: not available"),
        row.note ? element("div", {}, row.note) : null];
    },
  });
};

// A small picture of a head's mean pattern.
const picture = (overview, place, side = 56) => {
  const values = overview.arrays[0], [, rows, columns] = values.shape;
  const canvas = element("canvas", {class: "picture", width: columns, height: rows, "aria-hidden": true, style: {width: `${side}px`, height: `${side}px`}});
  const paint = () => {
    const context = canvas.getContext("2d");
    for (let y = 0; y < rows; y++) for (let x = 0; x < columns; x++) {
      context.fillStyle = attentionColour(values[(place * rows + y) * columns + x] / 255);
      context.fillRect(x, y, 1, 1);
    }
  };
  paint();
  canvas.redraw = paint;
  redrawn.add(canvas);
  return canvas;
};
