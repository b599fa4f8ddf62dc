// Drawing: one set of commands for a canvas on the screen and for an SVG file, colours, scales.

const style = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const themed = () => ({
  ink: style("--ink"), faint: style("--faint"), line: style("--line"), paper: style("--paper"), accent: style("--accent"),
  above: style("--above"), below: style("--below"), none: style("--none"), dark: isDark(),
});
const isDark = () => document.documentElement.dataset.theme === "dark"
  || (!document.documentElement.dataset.theme && matchMedia("(prefers-color-scheme: dark)").matches);

const hexOf = parts => `#${parts.map(part => Math.round(part).toString(16).padStart(2, "0")).join("")}`;
const partsOf = hex => [1, 3, 5].map(at => parseInt(hex.slice(at, at + 2), 16));
const mixed = (from, to, share) => from.map((part, i) => part + (to[i] - part) * share);
const ramp = stops => {
  const parts = stops.map(partsOf), colours = [];
  for (let step = 0; step < 256; step++) {
    const place = step / 255 * (parts.length - 1), at = Math.min(Math.floor(place), parts.length - 2);
    colours.push(hexOf(mixed(parts[at], parts[at + 1], place - at)));
  }
  return share => colours[Math.max(0, Math.min(255, Math.round(share * 255)))];
};
// Lightness alone tells the order, in both themes; differences have blue above and orange below.
const ATTENTION = {
  light: ramp(["#fbfcfe", "#c9dcf0", "#7fb0da", "#2f7ab8", "#0b3a6b"]),
  dark: ramp(["#151a21", "#1d3b5c", "#2f74ad", "#86bce8", "#f4f9ff"]),
};
const SIGNED = {
  light: ramp(["#9a4600", "#e08a3c", "#f7d7b5", "#f6f7f9", "#bcd7ee", "#4c94cc", "#0b4f8a"]),
  dark: ramp(["#ffb066", "#c46a1f", "#5b3a20", "#20262e", "#1f4668", "#3a86c4", "#9cd0ff"]),
};
const attentionColour = share => (isDark() ? ATTENTION.dark : ATTENTION.light)(share);
const signedColour = share => (isDark() ? SIGNED.dark : SIGNED.light)((share + 1) / 2);  // from -1 to 1

// Black or white, whichever stands out more from a colour (relative luminance of WCAG 2.2): at least 4.5 to 1.
const inkOn = colour => {
  const [r, g, b] = partsOf(colour).map(part => part / 255).map(part => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 ? "#000000" : "#ffffff";
};

// The colours and shapes of the run's figures, which the page's data give: colours by theme, shapes by Matplotlib's letters.
const palette = {light: [], dark: [], markers: ""};
const hue = index => index < 0 ? style("--none") : palette[isDark() ? "dark" : "light"][index % palette.light.length];
const shape = index => index < 0 ? "ring" : palette.markers[index % palette.markers.length];

const outline = (kind, r) => {  // corners of a mark around 0, 0
  const ring = (corners, turn = 0, size = r) => Array.from({length: corners}, (_, i) => {
    const angle = turn + i * 2 * Math.PI / corners;
    return [size * Math.cos(angle), size * Math.sin(angle)];
  });
  const bars = [[-1, -3], [1, -3], [1, -1], [3, -1], [3, 1], [1, 1], [1, 3], [-1, 3], [-1, 1], [-3, 1], [-3, -1], [-1, -1]];
  if (kind === "s") return ring(4, Math.PI / 4, r * 1.2);
  if (kind === "^") return ring(3, -Math.PI / 2, r * 1.25);
  if (kind === "v") return ring(3, Math.PI / 2, r * 1.25);
  if (kind === "<") return ring(3, Math.PI, r * 1.25);
  if (kind === ">") return ring(3, 0, r * 1.25);
  if (kind === "D") return ring(4, 0, r * 1.25);
  if (kind === "p") return ring(5, -Math.PI / 2, r * 1.15);
  if (kind === "h") return ring(6, Math.PI / 2, r * 1.1);
  if (kind === "*") return ring(10, -Math.PI / 2).map(([x, y], i) => [x * (i % 2 ? 0.55 : 1.4), y * (i % 2 ? 0.55 : 1.4)]);
  if (kind === "P") return bars.map(([x, y]) => [x * r / 2.6, y * r / 2.6]);
  if (kind === "X") return bars.map(([x, y]) => [(x - y) * r / 3.6, (x + y) * r / 3.6]);
  return null;
};

class CanvasSurface {
  constructor(context) { this.context = context; }
  rect(x, y, w, h, fill, stroke, width = 1) {
    const c = this.context;
    if (fill) { c.fillStyle = fill; c.fillRect(x, y, w, h); }
    if (stroke) { c.strokeStyle = stroke; c.lineWidth = width; c.strokeRect(x, y, w, h); }
  }
  path(points, {stroke, fill, width = 1, dash = [], alpha = 1, close = false} = {}) {
    const c = this.context;
    c.globalAlpha = alpha;
    c.beginPath();
    points.forEach(([x, y], i) => i ? c.lineTo(x, y) : c.moveTo(x, y));
    if (close) c.closePath();
    if (fill) { c.fillStyle = fill; c.fill(); }
    if (stroke) { c.strokeStyle = stroke; c.lineWidth = width; c.setLineDash(dash); c.stroke(); c.setLineDash([]); }
    c.globalAlpha = 1;
  }
  line(x1, y1, x2, y2, stroke, width = 1, dash = [], alpha = 1) { this.path([[x1, y1], [x2, y2]], {stroke, width, dash, alpha}); }
  curve(x1, y1, cx1, cy1, cx2, cy2, x2, y2, stroke, width, alpha = 1) {
    const c = this.context;
    c.globalAlpha = alpha; c.strokeStyle = stroke; c.lineWidth = width;
    c.beginPath(); c.moveTo(x1, y1); c.bezierCurveTo(cx1, cy1, cx2, cy2, x2, y2); c.stroke();
    c.globalAlpha = 1;
  }
  circle(x, y, r, fill, stroke, width = 1) {
    const c = this.context;
    c.beginPath(); c.arc(x, y, r, 0, 2 * Math.PI);
    if (fill) { c.fillStyle = fill; c.fill(); }
    if (stroke) { c.strokeStyle = stroke; c.lineWidth = width; c.stroke(); }
  }
  text(text, x, y, {size = 11, anchor = "start", baseline = "middle", fill = "#000", weight = 400, turn = 0} = {}) {
    const c = this.context;
    c.save(); c.translate(x, y); c.rotate(turn * Math.PI / 180);
    c.font = `${weight} ${size}px ${FONT}`; c.fillStyle = fill; c.direction = "ltr";
    c.textAlign = {start: "left", middle: "center", end: "right"}[anchor]; c.textBaseline = baseline;
    c.fillText(text, 0, 0); c.restore();
  }
}
const FONT = "system-ui, -apple-system, 'Segoe UI', 'Noto Sans', sans-serif";

const escaped = text => String(text).replace(/[&<>"']/g, sign => `&#${sign.charCodeAt(0)};`)
  .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, "\ufffd");
class SvgSurface {
  constructor(width, height, paper) {
    this.parts = [`<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="${escaped(FONT)}">`,
      `<rect width="100%" height="100%" fill="${paper}"/>`];
  }
  add(tag, attributes, content = "") {
    const kept = Object.entries(attributes).filter(([, value]) => value !== undefined && value !== null && value !== "");
    const said = kept.map(([name, value]) => ` ${name}="${escaped(typeof value === "number" ? +value.toFixed(2) : value)}"`).join("");
    this.parts.push(`<${tag}${said}>${content}</${tag}>`);
  }
  rect(x, y, width, height, fill, stroke, thick = 1) {
    this.add("rect", {x, y, width: Math.max(0, width), height: Math.max(0, height), fill: fill || "none", stroke, "stroke-width": stroke && thick});
  }
  path(points, {stroke, fill, width = 1, dash = [], alpha = 1, close = false} = {}) {
    if (!points.length) return;
    const d = points.map(([x, y], i) => `${i ? "L" : "M"}${x.toFixed(2)} ${y.toFixed(2)}`).join("") + (close ? "Z" : "");
    this.add("path", {d, fill: fill || "none", stroke, "stroke-width": stroke && width, "stroke-dasharray": dash.join(" "), opacity: alpha < 1 ? alpha : undefined});
  }
  line(x1, y1, x2, y2, stroke, width = 1, dash = [], alpha = 1) { this.path([[x1, y1], [x2, y2]], {stroke, width, dash, alpha}); }
  curve(x1, y1, cx1, cy1, cx2, cy2, x2, y2, stroke, width, alpha = 1) {
    const d = [[x1, y1], [cx1, cy1], [cx2, cy2], [x2, y2]].map(([x, y]) => `${x.toFixed(2)} ${y.toFixed(2)}`);
    this.add("path", {d: `M${d[0]}C${d[1]},${d[2]},${d[3]}`, fill: "none", stroke, "stroke-width": width, opacity: alpha});
  }
  circle(cx, cy, r, fill, stroke, width = 1) { this.add("circle", {cx, cy, r, fill: fill || "none", stroke, "stroke-width": stroke && width}); }
  text(text, x, y, {size = 11, anchor = "start", baseline = "middle", fill = "#000", weight = 400, turn = 0} = {}) {
    const shift = {middle: "0.35em", top: "0.8em", bottom: "-0.2em", alphabetic: "0"}[baseline];
    this.add("text", {x, y, dy: shift, "font-size": size, "text-anchor": anchor, fill, "font-weight": weight === 400 ? undefined : weight,
      transform: turn ? `rotate(${turn} ${x} ${y})` : undefined, "xml:space": "preserve"}, escaped(text));
  }
  get content() { return `${this.parts.join("\n")}\n</svg>\n`; }
}

const mark = (surface, kind, x, y, r, fill, stroke, width = 0.8) => {
  const corners = outline(kind, r);
  if (corners) surface.path(corners.map(([dx, dy]) => [x + dx, y + dy]), {fill, stroke, width, close: true});
  else if (kind === "ring") surface.circle(x, y, r * 0.8, null, fill, Math.max(1, r * 0.4));
  else surface.circle(x, y, r, fill, stroke, width);
};

const linear = (from, to, start, end) => value => start + (value - from) / (to - from || 1) * (end - start);
const ticks = (low, high, most = 5) => {
  if (!(high > low)) return [low];
  const rough = (high - low) / most, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map(unit => unit * power).find(unit => unit >= rough);
  const found = [];
  for (let tick = Math.ceil(low / step - 1e-9) * step; tick <= high + step * 1e-9; tick += step) found.push(Math.abs(tick) < step * 1e-9 ? 0 : tick);
  return found;
};
const extent = (values, pad = 0.04) => {
  let low = Infinity, high = -Infinity;
  for (const value of values) if (Number.isFinite(value)) { if (value < low) low = value; if (value > high) high = value; }
  if (low > high) return [0, 1];
  const room = (high - low || Math.abs(high) || 1) * pad;
  return [low - room, high + room];
};
const tickText = value => String(+value.toPrecision(6)).replace("-", "−");
// Figures are drawn in units that grow with the page's letters: at 4K both are larger.
const unit = () => parseFloat(getComputedStyle(document.documentElement).fontSize) / 15;
const measure = document.createElement("canvas").getContext("2d");
const textWidth = (text, size) => { measure.font = `400 ${size}px ${FONT}`; return measure.measureText(text).width; };
// Lines of a text no wider than so many pixels: broken between words, then after a hyphen, and within a word where that must be.
const textLines = (text, size, width) => {
  const lines = [];
  let line = "";
  for (const part of text.match(/[^\s-]+-?\s*|[\s-]+/g) || []) for (const piece of textWidth(part.trimEnd(), size) > width ? [...part] : [part]) {
    if (line && textWidth((line + piece).trimEnd(), size) > width) { lines.push(line.trimEnd()); line = ""; }
    line += piece;
  }
  return [...lines, line.trimEnd()].filter(Boolean);
};
// Entries of a legend one after another, in as many rows as they need: [x, row] of each.
const legendPlaces = (titles, size, left, right, mark) => {
  let x = left, row = 0;
  const places = titles.map(title => {
    const wide = mark + textWidth(title, size);
    if (x > left && x + wide > right) { x = left; row++; }
    const place = [x, row];
    x += wide + 14;
    return place;
  });
  return {places, rows: row + 1};
};
const shortened = (text, most) => {
  const signs = [...text];
  return signs.length > most ? `${signs.slice(0, most - 1).join("")}…` : text;
};

// A figure that draws itself again when its size or the theme changes, is saved as SVG and as CSV, and tells what is under the pointer.
const chart = ({name, label, height, draw, under, csv: rows, onpick, tools = true}) => {
  const canvas = element("canvas", {role: "img", "aria-label": label});
  const figure = element("figure", {class: "chart"}, canvas);
  let width = 0;
  const redraw = () => {
    if (!width) return;
    const scale = unit(), wide = width / scale, tall = Math.round(height(wide)), ratio = Math.min(devicePixelRatio || 1, 3) * scale;
    canvas.width = Math.round(wide * ratio);
    canvas.height = Math.round(tall * ratio);
    canvas.style.height = `${tall * scale}px`;
    const context = canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, wide, tall);
    draw(new CanvasSurface(context), wide, tall, themed());
  };
  const sized = new ResizeObserver(([entry]) => {
    const now = Math.floor(entry.contentRect.width);
    if (now !== width) { width = now; redraw(); }
  });
  sized.observe(figure);
  const at = event => {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top, box.width, box.height].map(each => each / unit());
  };
  if (under) {
    canvas.addEventListener("pointermove", event => {
      const content = under(...at(event));
      if (content) showHint(event, content); else hideHint();
      canvas.style.cursor = content && onpick ? "pointer" : "";
    });
    canvas.addEventListener("pointerleave", () => { hideHint(); under(NaN, NaN, 1, 1); });
  }
  if (onpick) canvas.addEventListener("click", event => onpick(...at(event), event));
  if (tools) {
    figure.append(element("figcaption", {class: "tools"},
      button("SVG", () => {
        const wide = width / unit(), tall = Math.round(height(wide)), surface = new SvgSurface(wide, tall, style("--paper"));
        draw(surface, wide, tall, themed());
        download(`${name}.svg`, "image/svg+xml", surface.content);
      }, {title: "Save this figure as SVG", "aria-label": `Save ${label} as SVG`}),
      rows ? button("CSV", () => download(`${name}.csv`, "text/csv", csv(rows())), {title: "Save these numbers as CSV", "aria-label": `Save the numbers of ${label} as CSV`}) : null));
  }
  figure.redraw = redraw;
  redrawn.add(figure);
  return figure;
};
const redrawn = new Set();  // figures to be drawn again with the theme
