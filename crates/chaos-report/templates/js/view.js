// The one axis of time: which stretch of the run is shown, and where on the canvas a moment of it stands.

const END = Math.max(run.end, 1);
// Closer than this nothing can be told apart: moments are known to a microsecond.
const SPAN_MIN = Math.min(200, END);

const view = { from: 0, to: END };
const plot = { left: 56, right: 600 };

const toX = (at) => plot.left + ((at - view.from) / (view.to - view.from)) * (plot.right - plot.left);
const toTime = (x) => view.from + ((x - plot.left) / (plot.right - plot.left)) * (view.to - view.from);
const clampToPlot = (x) => Math.min(Math.max(x, plot.left), plot.right);

// The stretch that was wished for, moved and cut so that it lies in the run.
const lawful = (from, to) => {
  const span = Math.min(Math.max(to - from, SPAN_MIN), END);
  const middle = (from + to) / 2;
  const start = Math.min(Math.max(middle - span / 2, 0), END - span);
  return { from: start, to: start + span };
};

// Around a moment that keeps its place on the screen.
const zoomedAround = (at, factor) => lawful(at - (at - view.from) * factor, at + (view.to - at) * factor);

// A round distance between marks: the smallest of 1, 2, 5 × 10^k that leaves `pixels` between two of them.
const markStep = (pixels) => {
  const least = ((view.to - view.from) * pixels) / Math.max(plot.right - plot.left, 1);
  const decade = 10 ** Math.floor(Math.log10(least));
  return [1, 2, 5, 10].map((factor) => factor * decade).find((step) => step >= least);
};

// As many decimals as the distance between two marks needs.
const momentLabel = (at, step) => {
  const decimals = Math.min(Math.max(0, Math.ceil(6 - Math.log10(step) - 1e-9)), 6);
  return `${(at / 1e6).toFixed(decimals)} s`;
};

// As the page's tables write durations: two or three digits that matter.
const durationLabel = (us) => {
  if (us < 1000) return `${Math.round(us)} µs`;
  if (us < 1e4) return `${(us / 1e3).toFixed(1)} ms`;
  if (us < 1e6) return `${Math.round(us / 1e3)} ms`;
  if (us < 1e7) return `${(us / 1e6).toFixed(2)} s`;
  return `${(us / 1e6).toFixed(1)} s`;
};

const grouped = (number) => Math.round(number).toString().replace(/\B(?=(\d{3})+$)/g, ",");

// Colours are the style sheet's. A canvas wants them resolved, so an element that nobody sees is asked.
const palette = new Map();
const color = (name) => {
  if (!palette.has(name)) {
    const probe = byId("probe");
    probe.style.color = `var(--${name})`;
    palette.set(name, getComputedStyle(probe).color);
  }
  return palette.get(name);
};

// Draws in a colour, and leaves the canvas as it was.
const inked = (g, { fill, stroke, alpha = 1, width = 1, dash = [] }, draw) => {
  g.save();
  g.globalAlpha = alpha;
  if (fill) g.fillStyle = color(fill);
  if (stroke) g.strokeStyle = color(stroke);
  g.lineWidth = width;
  g.setLineDash(dash);
  draw();
  g.restore();
};

const FONT = '11px system-ui, -apple-system, "Segoe UI", sans-serif';
const label = (g, text, x, y, { ink = "soft", align = "left", weight = "" } = {}) => {
  g.font = weight ? `${weight} ${FONT}` : FONT;
  g.fillStyle = color(ink);
  g.textAlign = align;
  g.fillText(text, x, y);
};

// Marks of the axis through all tracks, labelled above and below.
const drawAxis = (g, top, bottom) => {
  const step = markStep(90);
  for (let index = Math.ceil(view.from / step); index * step <= view.to; index += 1) {
    const x = Math.round(toX(index * step)) + 0.5;
    inked(g, { fill: "grid" }, () => g.fillRect(x - 0.5, top, 1, bottom - top));
    const text = momentLabel(index * step, step);
    // A label at the edge would be cut off.
    if (x > plot.left + 16 && x < plot.right - 16) {
      label(g, text, x, top - 5, { ink: "faint", align: "center" });
      label(g, text, x, bottom + 13, { ink: "faint", align: "center" });
    }
  }
};
