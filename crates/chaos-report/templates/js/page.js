// The rest of the page: rows and buttons that jump, keys that work everywhere, light and dark.

const root = document.documentElement;

// Whatever carries a stretch of time jumps to it: rows of the failover tables, buttons beside violations.
const jumpOf = (element) => {
  const { from, to, title } = element.dataset;
  jump(Number(from), Number(to), title);
  document.querySelectorAll("tr.current").forEach((row) => row.classList.remove("current"));
  if (element.matches("tr")) element.classList.add("current");
};
const rows = [...document.querySelectorAll("tr[data-from]")];
for (const row of rows) {
  row.tabIndex = 0;
  row.addEventListener("click", () => {
    // Who selects text to copy it doesn't want to be taken elsewhere.
    if (getSelection().isCollapsed) jumpOf(row);
  });
  row.addEventListener("keydown", (event) => {
    const neighbour = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (event.key === "Enter") jumpOf(row);
    else if (neighbour) rows[rows.indexOf(row) + neighbour]?.focus();
    else return;
    event.preventDefault();
  });
}
document.querySelectorAll("button[data-from]").forEach((button) => button.addEventListener("click", () => jumpOf(button)));

const buttons = { "zoom-in": () => zoom(0.5), "zoom-out": () => zoom(2), "zoom-reset": reset };
for (const [id, act] of Object.entries(buttons)) byId(id).addEventListener("click", act);

const keys = byId("keys");
const toggleKeys = () => (keys.open ? keys.close() : keys.showModal());
byId("show-keys").addEventListener("click", toggleKeys);
byId("close-keys").addEventListener("click", () => keys.close());

const EVERYWHERE = { "?": toggleKeys, n: () => step(1), p: () => step(-1), v: nextViolation };
document.addEventListener("keydown", (event) => {
  const act = EVERYWHERE[event.key];
  if (!act || event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, textarea, select")) return;
  if (keys.open && event.key !== "?") return;
  event.preventDefault();
  act();
});

// The system decides between light and dark until the reader does.
const THEMES = ["auto", "light", "dark"];
const theme = byId("theme");
const recolor = () => {
  palette.clear();
  redraw();
};
theme.addEventListener("click", () => {
  const next = THEMES[(THEMES.indexOf(root.dataset.theme ?? "auto") + 1) % THEMES.length];
  root.dataset.theme = next;
  theme.textContent = `theme: ${next}`;
  recolor();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", recolor);

// A link may name a moment: `report.html#fault-7`, `report.html#violation`.
const follow = () => {
  const [, number] = location.hash.match(/^#fault-(\d+)$/) ?? [];
  const fault = run.failovers.find((it) => it.fault === Number(number)) ?? run.faults.find((it) => it.id === Number(number));
  if (location.hash === "#violation") nextViolation();
  else if (fault) jump(fault.from, fault.to, fault.title ?? `fault ${fault.id}: ${fault.label}`);
};
addEventListener("hashchange", follow);

root.classList.add("scripted");
draw();
root.dataset.ready = performance.now().toFixed(0);
follow();
