// The timeline itself: where its tracks lie, when it is drawn anew, and what hands and keys do to it.

const stage = byId("stage");
const canvas = byId("tracks");
const readout = byId("readout");
const calm = matchMedia("(prefers-reduced-motion: reduce)");

// A canvas as wide as its box, in units of the page, sharp on every screen.
const canvasOf = (element, height) => {
  const ratio = Math.min(devicePixelRatio || 1, 3), width = element.parentElement.clientWidth;
  if (element.width !== Math.round(width * ratio) || element.height !== Math.round(height * ratio)) {
    element.width = Math.round(width * ratio);
    element.height = Math.round(height * ratio);
    element.style.height = `${height}px`;
  }
  const g = element.getContext("2d");
  g.setTransform(ratio, 0, 0, ratio, 0, 0);
  g.clearRect(0, 0, width, height);
  return g;
};

const small = () => stage.clientWidth < 640;

// What is drawn where, from above to below.
const layout = () => {
  plot.left = small() ? 46 : 60;
  plot.right = stage.clientWidth - 10;
  let y = 20;
  const area = (height, gap) => {
    const placed = { top: y, height };
    y += height + gap;
    return placed;
  };
  const areas = { faults: area(faultRows.count * FAULT_ROW, 12), lanes: area(lanesHeight(), 4), elections: area(ELECTIONS, 0) };
  if (operations.due.length > 0) {
    y += 24;
    areas.scatter = area(small() ? 170 : 200, 26);
    areas.rate = area(54, 0);
  }
  return { ...areas, top: 18, bottom: y + 2, height: y + 20 };
};

let areas = layout();
let pending = 0;
// What the reader jumped to last.
let highlight = null;

const draw = () => {
  pending = 0;
  areas = layout();
  const g = canvasOf(canvas, areas.height);
  drawAxis(g, areas.top, areas.bottom);
  g.save();
  g.beginPath();
  g.rect(0, 0, plot.right + 1, areas.height);
  g.clip();
  drawFaultBands(g, areas.lanes.top - 6, areas.bottom);
  drawStalls(g);
  drawFaultLabels(g, areas.faults);
  drawLanes(g, areas.lanes);
  drawOverlaps(g, areas.lanes);
  drawElections(g, areas.elections);
  if (areas.scatter) {
    label(g, "latency from due, log scale", plot.left, areas.scatter.top - 7);
    drawLatencyScale(g, areas.scatter);
    drawOutages(g, areas.scatter);
    drawOperations(g, areas.scatter);
    label(g, small() ? "answers a second" : "answers a second: acknowledged (filled), refused (line, clients that stay with one node left out), unknown (dashed)", plot.left, areas.rate.top - 7);
    drawRate(g, areas.rate);
  }
  drawPhases(g, { top: areas.lanes.top - 6, height: areas.elections.top + ELECTIONS - areas.lanes.top + 6 });
  drawMarks(g);
  g.restore();
  drawOverview();
  stage.dataset.from = view.from;
  stage.dataset.to = view.to;
};

// Stalls of the host, over everything: no figure within is sure.
const drawStalls = (g) => {
  for (const [from, to] of run.stalls) {
    const at = stretch(from, to, 1);
    if (at) inked(g, { fill: "faint", alpha: 0.18 }, () => g.fillRect(at.x, areas.top, at.width, areas.bottom - areas.top));
  }
};

// Violations, and the two ends of what the reader jumped to.
const drawMarks = (g) => {
  for (const { at } of run.violations) {
    if (at < view.from || at > view.to) continue;
    inked(g, { fill: "bad" }, () => g.fillRect(toX(at) - 0.75, areas.top, 1.5, areas.bottom - areas.top));
    label(g, "✘", toX(at) + 4, areas.faults.top + areas.faults.height + 9, { ink: "bad", weight: "700" });
  }
  if (!highlight) return;
  for (const [at, side] of [[highlight.from, 1], [highlight.to, -1]]) {
    if (at < view.from || at > view.to) continue;
    inked(g, { fill: "accent" }, () => {
      g.fillRect(toX(at) - 0.5, areas.top - 2, 1, areas.bottom - areas.top + 2);
      g.fillRect(side > 0 ? toX(at) : toX(at) - 5, areas.top - 2, 5, 2);
    });
  }
};

const redraw = () => {
  pending ||= requestAnimationFrame(draw);
};

// Shows a stretch of the run, at once.
const show = ({ from, to }) => {
  view.from = from;
  view.to = to;
  cross.hidden = true;
  redraw();
};

// Moves there, so that the eye can follow; at once for who prefers calm.
let moving = 0;
const travel = (wished) => {
  cancelAnimationFrame(moving);
  const start = { ...view }, goal = lawful(wished.from, wished.to), began = performance.now();
  if (calm.matches) return show(goal);
  const frame = (now) => {
    const part = Math.min((now - began) / 240, 1), eased = 1 - (1 - part) ** 3;
    if (part < 1) {
      show({ from: start.from + (goal.from - start.from) * eased, to: start.to + (goal.to - start.to) * eased });
      moving = requestAnimationFrame(frame);
    } else {
      show(goal);
    }
  };
  moving = requestAnimationFrame(frame);
};

// Zooms to a moment with some air around it, marks it, and brings the timeline into sight.
const jump = (from, to, words) => {
  highlight = { from, to };
  const air = Math.max((to - from) * 0.2, 20000);
  travel({ from: from - air, to: to + air });
  stage.scrollIntoView({ block: "nearest", behavior: calm.matches ? "auto" : "smooth" });
  stage.focus({ preventScroll: true });
  readout.textContent = words;
};

// The next failover after what is shown, or the one before it.
const step = (direction) => {
  const middle = highlight ? highlight.from : direction > 0 ? -1 : Infinity;
  const ahead = run.failovers.filter((it) => (direction > 0 ? it.from > middle : it.from < middle));
  const next = direction > 0 ? ahead[0] : ahead[ahead.length - 1];
  if (next) jump(next.from, next.to, next.title);
};

const nextViolation = () => {
  const after = run.violations.filter((it) => !highlight || it.from > highlight.from);
  const next = after[0] ?? run.violations[0];
  if (next) jump(next.from, next.to, `${next.property}: ${next.sentence}`);
};

const pan = (share) => {
  const by = (view.to - view.from) * share;
  travel({ from: view.from + by, to: view.to + by });
};
const zoom = (factor) => travel(zoomedAround((view.from + view.to) / 2, factor));
const reset = () => {
  highlight = null;
  travel({ from: 0, to: END });
};

const KEYS = {
  ArrowLeft: () => pan(-0.2), ArrowRight: () => pan(0.2), "+": () => zoom(0.5), "=": () => zoom(0.5), "-": () => zoom(2),
  0: reset, Home: () => travel({ from: 0, to: view.to - view.from }), End: () => travel({ from: END - (view.to - view.from), to: END }),
  Escape: reset,
};
stage.addEventListener("keydown", (event) => {
  const act = KEYS[event.key];
  if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  act();
});

// A wheel scrolls the page until the reader has taken the timeline in hand, or holds Control, as a pinch on a touchpad does.
stage.addEventListener("wheel", (event) => {
  const sideways = Math.abs(event.deltaX) > Math.abs(event.deltaY);
  if (!sideways && !event.ctrlKey && !event.metaKey && document.activeElement !== stage) return;
  event.preventDefault();
  cancelAnimationFrame(moving);
  if (sideways) {
    const by = (event.deltaX / (plot.right - plot.left)) * (view.to - view.from);
    show(lawful(view.from + by, view.to + by));
  } else {
    const strength = event.ctrlKey ? 0.01 : 0.002;
    show(zoomedAround(toTime(clampToPlot(placeOf(event).x)), Math.exp(Math.max(-1, Math.min(1, event.deltaY * strength)))));
  }
}, { passive: false });

const placeOf = (event) => {
  const box = canvas.getBoundingClientRect();
  return { x: event.clientX - box.left, y: event.clientY - box.top };
};

// One finger or Shift pans, two pinch, a mouse selects a stretch to zoom into.
const touching = new Map();
const selection = byId("selection");
let gesture = null;

stage.addEventListener("pointerdown", (event) => {
  if (event.button !== 0) return;
  cancelAnimationFrame(moving);
  touching.set(event.pointerId, placeOf(event));
  stage.setPointerCapture(event.pointerId);
  const kind = touching.size === 2 ? "pinch" : event.pointerType === "mouse" && !event.shiftKey ? "select" : "pan";
  gesture = { kind, start: { ...view }, at: [...touching.values()].map((place) => place.x), moved: false };
});

stage.addEventListener("pointermove", (event) => {
  const place = placeOf(event);
  if (!touching.has(event.pointerId) || !gesture) return inspect(place);
  touching.set(event.pointerId, place);
  const { kind, start, at } = gesture, span = start.to - start.from, width = plot.right - plot.left;
  const timeAt = (x) => start.from + ((x - plot.left) / width) * span;
  if (Math.abs(place.x - at[0]) > 4) gesture.moved = true;
  if (!gesture.moved && kind !== "pinch") return;
  if (kind === "pan") {
    const by = ((at[0] - place.x) / width) * span;
    show(lawful(start.from + by, start.to + by));
  } else if (kind === "select") {
    const [from, to] = [at[0], place.x].map(clampToPlot).sort((a, b) => a - b);
    selection.hidden = false;
    selection.style.left = `${from}px`;
    selection.style.width = `${to - from}px`;
    readout.textContent = `${momentOf(toTime(from))} to ${momentOf(toTime(to))}: ${durationLabel(toTime(to) - toTime(from))}`;
  } else if (touching.size === 2) {
    gesture.moved = true;
    const [a, b] = [...touching.values()].map((finger) => finger.x), [a0, b0] = at;
    const factor = Math.max(Math.abs(b0 - a0), 20) / Math.max(Math.abs(b - a), 20);
    // The moment that was in the middle of the fingers stays there.
    const from = timeAt((a0 + b0) / 2) - (((a + b) / 2 - plot.left) / width) * span * factor;
    show(lawful(from, from + span * factor));
  }
});

const release = (event) => {
  if (!touching.delete(event.pointerId) || !gesture) return;
  const { kind, at, moved } = gesture;
  selection.hidden = true;
  if (kind === "select" && moved && event.type === "pointerup") {
    const [from, to] = [at[0], placeOf(event).x].map(clampToPlot).sort((a, b) => a - b);
    if (to - from > 4) travel({ from: toTime(from), to: toTime(to) });
  }
  if (!moved && event.type === "pointerup") inspect(placeOf(event));
  gesture = null;
};
stage.addEventListener("pointerup", release);
stage.addEventListener("pointercancel", release);
stage.addEventListener("dblclick", reset);

// What is under the pointer, in words. Lines and rings stand on the canvas, so that nothing is drawn anew for them.
const cross = byId("cross"), ring = byId("ring");
const momentOf = (at) => `${(at / 1e6).toFixed(view.to - view.from < 2e6 ? 4 : 3)} s`;

const inspect = ({ x, y }) => {
  const inside = x >= plot.left && x <= plot.right;
  cross.hidden = !inside;
  ring.hidden = true;
  if (!inside) return;
  cross.style.left = `${x}px`;
  const at = toTime(x), words = [momentOf(at)];
  for (const fault of run.faults) {
    if (fault.from <= at && at <= fault.to) words.push(`fault ${fault.id}: ${fault.label} (${fault.nodes.map((node) => run.nodes[node]).join(", ")})`);
  }
  const node = Math.floor((y - areas.lanes.top) / (LANE + LANE_GAP));
  if (y >= areas.lanes.top && node < run.nodes.length) words.push(nodeWords(node, at));
  const near = areas.scatter && y >= areas.scatter.top - 8 && y <= areas.scatter.top + areas.scatter.height + 8;
  const found = near ? nearestOperation(areas.scatter, x, y) : -1;
  if (found >= 0) {
    const latency = operations.latency[found];
    ring.hidden = false;
    ring.style.left = `${toX(operations.due[found])}px`;
    ring.style.top = `${powerY(areas.scatter, operations.power[found])}px`;
    const outcome = ["acknowledged", "refused", "outcome unknown"][operations.outcome[found]];
    words.push(`operation due at ${momentOf(operations.due[found])}: ${outcome} after ${durationLabel(latency)}${operations.pinned[found] ? ", by a client that stays with one node" : ""}`);
  }
  const overlap = run.overlaps.find((it) => toX(it.from) - 4 <= x && x <= Math.max(toX(it.to), toX(it.from) + 2) + 4);
  if (overlap && y < areas.elections.top) {
    const leader = ([who, term]) => `${run.nodes[who]} (${run.term} ${term})`;
    words.push(`${leader(overlap.older)} and ${leader(overlap.newer)} both led for ${overlap.least} to ${overlap.most}`);
  }
  readout.textContent = words.join(" · ");
};

const nodeWords = (node, at) => {
  const name = run.nodes[node];
  const life = run.life[node].find(([from, to]) => from <= at && at <= to);
  const lane = run.roles[node], segment = lane[firstNotBelow(lane, at, (it) => it[1])];
  const state = life ? `, ${{ down: "down", paused: "paused", cut: "cut off from a majority" }[life[2]]}` : "";
  if (!segment || segment[0] > at) return `${name}${state || ": no answer"}`;
  const [from, to, role, term, named] = segment;
  const whom = role === "follower" ? ` of ${run.nodes[named]}` : role === "leaderless" ? " that knows no leader" : "";
  return `${name}: ${role === "leaderless" ? "follower" : role}${whom}, ${run.term} ${term}, for ${durationLabel(to - from)}${state}`;
};

stage.addEventListener("pointerleave", () => {
  cross.hidden = ring.hidden = true;
});
new ResizeObserver(redraw).observe(stage);
