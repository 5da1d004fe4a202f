// The cluster's side of the axis: faults, a lane per node, elections.
//
// A role is told by height as well as by colour: a leader fills its lane, candidates stand lower and are striped, followers are
// a thin line, hollow while they know no leader.

const LANE = 24, LANE_GAP = 8, FAULT_ROW = 17, FAULT_ROWS_MAX = 4;
const INSET = { leader: 0, candidate: 3, "pre-candidate": 5, follower: 8.5, leaderless: 8.5 };

// Faults at once stand in rows below one another; more rows than four are folded onto the last.
const faultRows = (() => {
  const ends = [];
  const rows = run.faults.map((fault) => {
    const free = ends.findIndex((end) => end <= fault.from);
    const row = Math.min(free < 0 ? ends.length : free, FAULT_ROWS_MAX - 1);
    ends[row] = Math.max(ends[row] ?? 0, fault.to);
    return row;
  });
  return { rows, count: ends.length };
})();

const laneTop = (area, node) => area.top + node * (LANE + LANE_GAP);
const lanesHeight = () => run.nodes.length * (LANE + LANE_GAP);

// Stripes in the colour of what is drawn over, so that a state can be told without seeing colours.
const stripes = (g, ink, gap) => {
  const ratio = g.getTransform().a, tile = document.createElement("canvas");
  tile.width = tile.height = Math.round(gap * ratio);
  const t = tile.getContext("2d");
  t.strokeStyle = color(ink);
  t.lineWidth = 1.4 * ratio;
  t.beginPath();
  for (const shift of [-tile.width, 0, tile.width]) {
    t.moveTo(shift, tile.width);
    t.lineTo(shift + tile.width, 0);
  }
  t.stroke();
  const pattern = g.createPattern(tile, "repeat");
  pattern.setTransform(new DOMMatrix().scale(1 / ratio));
  return pattern;
};

// From and to on the canvas, never narrower than `least`; null outside of what is shown.
const stretch = (from, to, least) => {
  if (to < view.from || from > view.to) return null;
  const x = Math.max(toX(from), plot.left), end = Math.min(toX(to), plot.right);
  return { x, width: Math.max(end - x, least) };
};

const drawFaultBands = (g, top, bottom) => {
  for (const fault of run.faults) {
    const at = stretch(fault.from, fault.to, 1);
    if (at) inked(g, { fill: fault.ink, alpha: 0.08 }, () => g.fillRect(at.x, top, at.width, bottom - top));
  }
};

const drawFaultLabels = (g, area) => {
  run.faults.forEach((fault, index) => {
    const at = stretch(fault.from, fault.to, 2);
    if (!at) return;
    const y = area.top + faultRows.rows[index] * FAULT_ROW;
    inked(g, { fill: fault.ink, alpha: 0.24 }, () => g.fillRect(at.x, y, at.width, FAULT_ROW - 3));
    g.font = FONT;
    const words = [`${fault.id} ${fault.label}`, `${fault.id}`].find((text) => g.measureText(text).width + 8 <= at.width);
    if (words) label(g, words, at.x + 4, y + 11, { ink: "ink" });
  });
};

const drawLanes = (g, area) => {
  const striped = { candidate: stripes(g, "card", 5), "pre-candidate": stripes(g, "card", 4) };
  run.nodes.forEach((name, node) => {
    const top = laneTop(area, node), middle = top + LANE / 2;
    label(g, name, plot.left - 10, middle + 4, { ink: "ink", align: "right", weight: "600" });
    inked(g, { fill: "grid" }, () => g.fillRect(plot.left, middle, plot.right - plot.left, 1));
    const lane = run.roles[node];
    for (let index = firstNotBelow(lane, view.from, (segment) => segment[1]); index < lane.length; index += 1) {
      const [from, to, role, term] = lane[index];
      if (from > view.to) break;
      const at = stretch(from, to, role === "leader" ? 2 : 1), inset = INSET[role];
      const box = [at.x, top + inset, at.width, LANE - 2 * inset];
      if (role === "leaderless") {
        inked(g, { fill: "card" }, () => g.fillRect(...box));
        inked(g, { stroke: "leaderless" }, () => g.strokeRect(at.x, box[1] + 0.5, at.width, box[3] - 1));
      } else {
        inked(g, { fill: role }, () => g.fillRect(...box));
      }
      if (striped[role]) {
        g.fillStyle = striped[role];
        g.fillRect(...box);
      }
      const words = `${run.term[0]}${term}`;
      if (role === "leader" && at.width > words.length * 7 + 6) {
        label(g, words, at.x + 5, middle + 4, { ink: "on-leader", weight: "600" });
      }
    }
    drawLife(g, node, top);
    drawQuestions(g, node, top);
  });
};

// Whether the node could speak at all.
const drawLife = (g, node, top) => {
  const hatch = stripes(g, "pause", 6);
  for (const [from, to, state] of run.life[node]) {
    const at = stretch(from, to, 1);
    if (!at) continue;
    if (state === "down") {
      inked(g, { fill: "card" }, () => g.fillRect(at.x, top - 1, at.width, LANE + 2));
      inked(g, { stroke: "faint", dash: [2, 3] }, () => {
        g.beginPath();
        g.moveTo(at.x, top + LANE / 2);
        g.lineTo(at.x + at.width, top + LANE / 2);
        g.stroke();
      });
      if (at.width > 36) label(g, "down", at.x + at.width / 2, top + LANE / 2 - 4, { ink: "faint", align: "center" });
    } else if (state === "paused") {
      inked(g, { fill: "card", alpha: 0.5 }, () => g.fillRect(at.x, top, at.width, LANE));
      g.fillStyle = hatch;
      g.fillRect(at.x, top, at.width, LANE);
    } else {
      inked(g, { stroke: "partition", width: 1.4, dash: [4, 3] }, () => g.strokeRect(at.x, top + 0.5, at.width, LANE - 1));
    }
  }
};

// Each question as a line from its leaving to its answer: what happened in between two of them, nobody saw. Below, where they
// would only be a grey bar, none is drawn.
const drawQuestions = (g, node, top) => {
  const { sent, took, answered } = questions(node);
  const first = firstNotBelow(sent, view.from), last = firstNotBelow(sent, view.to);
  if (last - first > (plot.right - plot.left) / 6) return;
  for (let index = first; index < last; index += 1) {
    const x = toX(sent[index]);
    const width = Math.max(clampToPlot(toX(sent[index] + took[index])) - x, 1);
    const ink = answered[index] ? "soft" : "bad";
    inked(g, { fill: ink }, () => {
      g.fillRect(x, top + LANE + 2, width, 2);
      g.fillRect(x, top + LANE + 1, 1, 4);
    });
  }
};

// Two nodes that led at once, for certain. A millisecond is no pixel at all, so each is at least two wide and has a mark above.
const drawOverlaps = (g, area) => {
  for (const overlap of run.overlaps) {
    const at = stretch(overlap.from, overlap.to, 2);
    if (!at) continue;
    const same = overlap.older[1] === overlap.newer[1];
    const nodes = [overlap.older[0], overlap.newer[0]];
    for (const node of nodes) {
      const top = laneTop(area, node) - 2, ink = same ? "bad" : "fail";
      // A sliver is solid; where there is room, the role below stays to be seen between two edges.
      if (at.width < 8) inked(g, { fill: ink, alpha: 0.9 }, () => g.fillRect(at.x, top, at.width, LANE + 4));
      else {
        inked(g, { fill: ink, alpha: 0.22 }, () => g.fillRect(at.x, top, at.width, LANE + 4));
        inked(g, { stroke: ink, width: 2 }, () => g.strokeRect(at.x, top + 1, at.width, LANE + 2));
      }
    }
    const x = at.x + at.width / 2, tip = laneTop(area, Math.min(...nodes)) - 2;
    inked(g, { fill: same ? "bad" : "fail" }, () => {
      g.beginPath();
      g.moveTo(x, tip);
      g.lineTo(x - 4, tip - 6);
      g.lineTo(x + 4, tip - 6);
      g.fill();
    });
  }
};

// A mark per term: filled where somebody led it, hollow where nobody was seen to.
const ELECTIONS = 46;
const drawElections = (g, area) => {
  const middle = area.top + 10;
  inked(g, { fill: "grid" }, () => g.fillRect(plot.left, middle, plot.right - plot.left, 1));
  label(g, `${run.term}s`, plot.left - 10, middle + 4, { ink: "soft", align: "right" });
  let free = -Infinity;
  for (const { term, first, leader, elected } of terms) {
    const moment = leader === null ? first : elected;
    if (moment < view.from || moment > view.to) continue;
    const x = toX(moment);
    inked(g, { fill: leader === null ? "card" : "leader", stroke: leader === null ? "candidate" : "leader", width: 1.5 }, () => {
      g.beginPath();
      g.moveTo(x, middle - 5);
      g.lineTo(x + 5, middle);
      g.lineTo(x, middle + 5);
      g.lineTo(x - 5, middle);
      g.closePath();
      g.fill();
      g.stroke();
    });
    const words = leader === null ? `${run.term[0]}${term}` : `${run.term[0]}${term} ${run.nodes[leader]}`;
    g.font = FONT;
    const half = g.measureText(words).width / 2;
    if (x - half > free && x + half < plot.right) {
      label(g, words, x, middle + 18, { ink: "soft", align: "center" });
      free = x + half + 8;
    }
  }
};

// The phases of failovers that are looked at closely: a band per phase, as wide as the moment is uncertain.
const drawPhases = (g, area) => {
  for (const failover of run.failovers) {
    const shown = stretch(failover.from, failover.to, 0);
    if (!shown || shown.width < 150) continue;
    let free = -Infinity;
    const marks = [["injected", failover.from, failover.from], ...failover.phases];
    marks.forEach(([name, lo, hi]) => {
      const at = stretch(lo, hi, 1);
      if (!at) return;
      const to = at.x + at.width;
      inked(g, { fill: "accent", alpha: 0.16 }, () => g.fillRect(at.x, area.top, at.width, area.height));
      inked(g, { fill: "accent" }, () => g.fillRect(to - 1, area.top, 1, area.height));
      g.font = FONT;
      const width = g.measureText(name).width;
      if (to > free && to + width + 6 < plot.right) {
        label(g, name, to + 4, area.top + area.height - 4, { ink: "accent" });
        free = to + width + 10;
      }
    });
  }
};
