// The whole run in a strip, with a window over what the timeline shows. The window is moved by its middle and resized by its
// edges; a press beside it moves it there.

const overview = byId("overview");
const OVERVIEW_HEIGHT = 40;
const overviewX = (at) => plot.left + (at / END) * (plot.right - plot.left);
const overviewTime = (x) => ((x - plot.left) / (plot.right - plot.left)) * END;

const drawOverview = () => {
  const g = canvasOf(overview, OVERVIEW_HEIGHT);
  const bottom = OVERVIEW_HEIGHT - 2;
  for (const fault of run.faults) {
    const x = overviewX(fault.from);
    inked(g, { fill: fault.ink, alpha: 0.22 }, () => g.fillRect(x, 2, Math.max(overviewX(fault.to) - x, 1), bottom - 2));
  }
  drawOverviewRate(g, bottom);
  for (const [ink, moments] of [["leader", terms.filter((it) => it.leader !== null).map((it) => it.elected)],
    ["bad", run.violations.map((it) => it.at)]]) {
    for (const at of moments) inked(g, { fill: ink }, () => g.fillRect(overviewX(at) - 0.75, 2, ink === "bad" ? 2 : 1.5, ink === "bad" ? bottom - 2 : 8));
  }
  const from = overviewX(view.from), to = overviewX(view.to);
  inked(g, { fill: "page", alpha: 0.72 }, () => {
    g.fillRect(plot.left, 0, from - plot.left, OVERVIEW_HEIGHT);
    g.fillRect(to, 0, plot.right - to, OVERVIEW_HEIGHT);
  });
  inked(g, { stroke: "accent", width: 1.5 }, () => g.strokeRect(from, 1, Math.max(to - from, 2), OVERVIEW_HEIGHT - 2));
  inked(g, { fill: "accent" }, () => {
    for (const x of [from, to]) g.fillRect(x - 2, OVERVIEW_HEIGHT / 2 - 7, 4, 14);
  });
};

const drawOverviewRate = (g, bottom) => {
  const [acknowledged] = rate;
  const columns = Math.max(1, Math.floor((plot.right - plot.left) / 2));
  const heights = new Float64Array(columns);
  acknowledged.forEach((count, bin) => {
    heights[Math.min(columns - 1, Math.floor((bin / acknowledged.length) * columns))] += count;
  });
  const most = Math.max(1, ...heights);
  inked(g, { fill: "ok", alpha: 0.4 }, () => {
    heights.forEach((count, column) => {
      const height = (count / most) * (bottom - 14);
      g.fillRect(plot.left + column * 2, bottom - height, 2, height);
    });
  });
};

overview.addEventListener("pointerdown", (event) => {
  const REACH = event.pointerType === "touch" ? 16 : 7;
  const x = event.offsetX, from = overviewX(view.from), to = overviewX(view.to);
  const span = view.to - view.from;
  let edge = null;
  if (Math.abs(x - from) <= REACH && Math.abs(x - from) <= Math.abs(x - to)) edge = "from";
  else if (Math.abs(x - to) <= REACH) edge = "to";
  else if (x < from || x > to) show(lawful(overviewTime(x) - span / 2, overviewTime(x) + span / 2));
  const grip = overviewTime(x) - view.from;
  overview.setPointerCapture(event.pointerId);
  const move = (moved) => {
    const at = Math.min(Math.max(overviewTime(moved.offsetX), 0), END);
    if (edge === "from") show(lawful(Math.min(at, view.to - SPAN_MIN), view.to));
    else if (edge === "to") show(lawful(view.from, Math.max(at, view.from + SPAN_MIN)));
    else show(lawful(at - grip, at - grip + span));
  };
  const end = () => {
    overview.removeEventListener("pointermove", move);
    overview.removeEventListener("pointerup", end);
    overview.removeEventListener("pointercancel", end);
  };
  overview.addEventListener("pointermove", move);
  overview.addEventListener("pointerup", end);
  overview.addEventListener("pointercancel", end);
});
