// The clients' side of the axis: every operation by its latency, and how many a second were answered.
//
// What happened is a dot, what failed a cross, what nobody knows a plus: the three differ without colour.

// The scale of latencies: whole powers of ten around what there is.
const scale = (() => {
  let least = Infinity, most = 0;
  for (const latency of operations.latency) {
    if (latency < least) least = latency;
    if (latency > most) most = latency;
  }
  const low = Math.floor(Math.log10(Math.max(Math.min(least, 1e6), 10)));
  return { low, high: Math.max(Math.ceil(Math.log10(Math.max(most, 10))), low + 1) };
})();

const powerY = (area, power) => {
  const share = (power - scale.low) / (scale.high - scale.low);
  return area.top + area.height * (1 - Math.min(Math.max(share, 0), 1));
};

// The operations that are shown. One that began before may still be answered in here, so it starts a little earlier.
const shownOperations = () => ({
  first: firstNotBelow(operations.due, view.from),
  last: firstNotBelow(operations.due, view.to),
});

const drawLatencyScale = (g, area) => {
  for (let power = scale.low; power <= scale.high; power += 1) {
    const y = Math.round(powerY(area, power)) + 0.5;
    inked(g, { fill: "grid" }, () => g.fillRect(plot.left, y - 0.5, plot.right - plot.left, 1));
    const words = power < 3 ? `${10 ** power} µs` : power < 6 ? `${10 ** (power - 3)} ms` : `${10 ** (power - 6)} s`;
    label(g, words, plot.left - 8, y + 4, { ink: "faint", align: "right" });
  }
};

const drawOutages = (g, area) => {
  for (const [from, to] of run.outages) {
    const at = stretch(from, to, 1);
    if (!at) continue;
    inked(g, { fill: "fail", alpha: 0.12 }, () => g.fillRect(at.x, area.top, at.width, area.height));
    const words = durationLabel(to - from);
    if (at.width > 48) label(g, words, at.x + at.width / 2, area.top + 12, { ink: "bad", align: "center" });
  }
};

const MARK = {
  [OK]: { ink: "ok", draw: (g, x, y) => g.rect(x - 1, y - 1, 2, 2) },
  [FAIL]: {
    ink: "fail",
    draw: (g, x, y) => {
      g.moveTo(x - 2, y - 2);
      g.lineTo(x + 2, y + 2);
      g.moveTo(x + 2, y - 2);
      g.lineTo(x - 2, y + 2);
    },
  },
  [INFO]: {
    ink: "info",
    draw: (g, x, y) => {
      g.moveTo(x - 3, y);
      g.lineTo(x + 3, y);
      g.moveTo(x, y - 3);
      g.lineTo(x, y + 3);
    },
  },
};

// First those of clients that stay with one node, then the others over them; what went wrong on top. A client that stays with a
// follower is refused by design: that is shown, and does not shout.
const LAYERS = [
  { outcome: OK, pinned: 1, alpha: 0.35 },
  { outcome: OK, pinned: 0, alpha: 0.8 },
  { outcome: FAIL, pinned: 1, alpha: 0.2 },
  { outcome: FAIL, pinned: 0, alpha: 0.8 },
  { outcome: INFO, pinned: 1, alpha: 0.6 },
  { outcome: INFO, pinned: 0, alpha: 0.8 },
];

// Operations that fall onto the same pixel are drawn once, so that a million of them cost no more than the pixels there are.
const drawOperations = (g, area) => {
  const { first, last } = shownOperations();
  const columns = Math.ceil(plot.right - plot.left) + 1, rows = Math.ceil(area.height) + 1;
  const taken = new Uint8Array(columns * rows);
  const paths = LAYERS.map(() => new Path2D());
  for (let index = first; index < last; index += 1) {
    const outcome = operations.outcome[index], layer = outcome * 2 + 1 - operations.pinned[index];
    const x = toX(operations.due[index]), y = powerY(area, operations.power[index]);
    const cell = Math.round(y - area.top) * columns + Math.round(x - plot.left), bit = 1 << layer;
    if (taken[cell] & bit) continue;
    taken[cell] |= bit;
    MARK[outcome].draw(paths[layer], x, y);
  }
  LAYERS.forEach(({ outcome, alpha }, layer) => {
    const { ink } = MARK[outcome];
    if (outcome === OK) inked(g, { fill: ink, alpha }, () => g.fill(paths[layer]));
    else inked(g, { stroke: ink, alpha, width: 1.2 }, () => g.stroke(paths[layer]));
  });
};

// Bins are joined until one is at least two pixels wide; the scale is that of what is shown.
const drawRate = (g, area) => {
  const width = ((plot.right - plot.left) * run.bin) / (view.to - view.from);
  const joined = Math.max(1, Math.ceil(2 / width)), bin = run.bin * joined;
  const first = Math.max(0, Math.floor(view.from / bin)), last = Math.ceil(view.to / bin);
  const perSecond = (counts, index) => {
    let sum = 0;
    for (let at = index * joined; at < Math.min((index + 1) * joined, counts.length); at += 1) sum += counts[at];
    // The last bin ends with the run, and so may be shorter.
    const lasted = Math.min((index + 1) * bin, END) - index * bin;
    return (sum * 1e6) / Math.max(lasted, run.bin / 4);
  };
  let most = 1;
  for (let index = first; index < last; index += 1) {
    for (const counts of rate) most = Math.max(most, perSecond(counts, index));
  }
  const y = (value) => area.top + area.height * (1 - value / most);
  const bottom = area.top + area.height;
  rate.forEach((counts, outcome) => {
    g.beginPath();
    g.moveTo(clampToPlot(toX(first * bin)), bottom);
    for (let index = first; index < last; index += 1) {
      const height = y(perSecond(counts, index));
      g.lineTo(clampToPlot(toX(index * bin)), height);
      g.lineTo(clampToPlot(toX((index + 1) * bin)), height);
    }
    g.lineTo(clampToPlot(toX(last * bin)), bottom);
    if (outcome === OK) inked(g, { fill: "ok", alpha: 0.35 }, () => g.fill());
    else inked(g, { stroke: MARK[outcome].ink, dash: outcome === INFO ? [3, 2] : [] }, () => g.stroke());
  });
  inked(g, { fill: "rule" }, () => g.fillRect(plot.left, bottom, plot.right - plot.left, 1));
  label(g, grouped(most), plot.left - 8, area.top + 8, { ink: "faint", align: "right" });
  label(g, "0", plot.left - 8, bottom + 3, { ink: "faint", align: "right" });
};

// The operation nearest to a point of the canvas, within a finger's width.
const nearestOperation = (area, x, y) => {
  const REACH = 9;
  let best = -1, distance = REACH * REACH;
  const last = firstNotBelow(operations.due, toTime(x + REACH));
  for (let index = firstNotBelow(operations.due, toTime(x - REACH)); index < last; index += 1) {
    const dx = toX(operations.due[index]) - x, dy = powerY(area, operations.power[index]) - y;
    if (dx * dx + dy * dy < distance) {
      distance = dx * dx + dy * dy;
      best = index;
    }
  }
  return best;
};
