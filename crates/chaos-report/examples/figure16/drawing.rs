//! Two panels as in the paper: how much randomness (above), how short a timeout (below). Solid lines are measured, dashed ones
//! expected; a ring is a figure of the paper's text, in its range's colour.

use std::fmt::Write as _;
use std::time::Duration;

use crate::Setting;

const WIDTH: f64 = 920.0;
const PANEL: f64 = 330.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 236.0;
const TOP: f64 = 44.0;
const BOTTOM: f64 = 46.0;

/// Okabe and Ito's colours: told apart by everybody; each line is named beside it as well.
const COLORS: [&str; 6] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"];

const STYLE: &str = "\
svg{color-scheme:light dark;background:#fff}text{font:12px system-ui,sans-serif;fill:#222}.t{font-weight:600;font-size:14px}\
.g{stroke:#ddd;stroke-width:1}.a{stroke:#666;stroke-width:1}.m{fill:none;stroke-width:2;stroke-linejoin:round}\
.f{fill:none;stroke-width:1.4;stroke-dasharray:5 4}.p{fill:none;stroke-width:2}.s{fill:#666}\
@media(prefers-color-scheme:dark){svg{background:#16181c}text{fill:#e6e6e6}.g{stroke:#333}.a{stroke:#999}.s{fill:#aaa}}";

/// A panel's axis of time: logarithmic, since 12 ms and 10 s are on one page.
struct Axis {
    min_ms: f64,
    max_ms: f64,
}

impl Axis {
    fn of(settings: &[&Setting]) -> Self {
        let times = || {
            settings.iter().flat_map(|setting| {
                let formula = setting.formula.iter().filter(|(share, _)| *share < 990_000).map(|(_, time)| *time);
                let published = setting.published.iter().map(|one| Duration::from_millis(one.ms));
                setting.samples.iter().copied().chain(formula).chain(published)
            })
        };
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        let min = times().map(ms).fold(f64::INFINITY, f64::min).max(1.0);
        let max = times().map(ms).fold(10.0, f64::max);
        Self { min_ms: (min * 0.85).min(max / 2.0), max_ms: max * 1.15 }
    }

    fn x(&self, time: Duration) -> f64 {
        let ms = (time.as_secs_f64() * 1e3).clamp(self.min_ms, self.max_ms);
        LEFT + (ms / self.min_ms).ln() / (self.max_ms / self.min_ms).ln() * (WIDTH - LEFT - RIGHT)
    }

    /// 1, 2 and 5 times the powers of ten.
    fn ticks(&self) -> Vec<u64> {
        let decades = (0..6).flat_map(|power| [1, 2, 5].map(|first| first * 10_u64.pow(power)));
        decades.filter(|tick| (self.min_ms..=self.max_ms).contains(&(*tick as f64))).collect()
    }
}

/// Where a share of the crashes stands, in a panel that begins at `top`.
fn y(top: f64, share: f64) -> f64 {
    top + TOP + (1.0 - share) * (PANEL - TOP - BOTTOM)
}

/// The whole figure.
pub(crate) fn svg(settings: &[Setting]) -> String {
    // The paper's upper panel varies the range above 150 ms, its lower one the shortest timeout; 150–300 is in both.
    let of_150 = |setting: &&Setting| setting.millis().0 == 150;
    let doubled = |setting: &&Setting| setting.millis().1 == 2 * setting.millis().0;
    let panels = [
        ("How much randomness: timeouts from 150 ms", settings.iter().filter(of_150).collect::<Vec<_>>()),
        ("How short a timeout: ranges from T to 2T", settings.iter().filter(doubled).collect()),
    ];
    let shown: Vec<_> = panels.into_iter().filter(|(_, settings)| !settings.is_empty()).collect();
    let height = PANEL * shown.len() as f64;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"Cumulative \
         distributions of the time without a leader\"><style>{STYLE}</style>\n"
    );
    for (index, (title, settings)) in shown.iter().enumerate() {
        panel(&mut out, PANEL * index as f64, title, settings);
    }
    out.push_str("</svg>\n");
    out
}

fn panel(out: &mut String, top: f64, title: &str, settings: &[&Setting]) {
    let axis = Axis::of(settings);
    let (right, bottom) = (WIDTH - RIGHT, y(top, 0.0));
    let _ = writeln!(out, "<text class=\"t\" x=\"{LEFT}\" y=\"{}\">{title}</text>", top + 24.0);
    for percent in [0, 25, 50, 75, 100] {
        let at = y(top, f64::from(percent) / 100.0);
        let _ = writeln!(out, "<path class=\"g\" d=\"M{LEFT} {at:.1}H{right}\"/>");
        let label = LEFT - 8.0;
        let _ = writeln!(
            out,
            "<text class=\"s\" x=\"{label}\" y=\"{:.1}\" text-anchor=\"end\">{percent} %</text>",
            at + 4.0
        );
    }
    for tick in axis.ticks() {
        let x = axis.x(Duration::from_millis(tick));
        let name = if tick < 1000 { format!("{tick} ms") } else { format!("{} s", tick / 1000) };
        let _ = writeln!(out, "<path class=\"g\" d=\"M{x:.1} {:.1}V{bottom:.1}\"/>", y(top, 1.0));
        let below = bottom + 18.0;
        let _ = writeln!(out, "<text class=\"s\" x=\"{x:.1}\" y=\"{below:.1}\" text-anchor=\"middle\">{name}</text>");
    }
    let _ = writeln!(out, "<path class=\"a\" d=\"M{LEFT} {bottom:.1}H{right}\"/>");
    let caption = "time without a leader; solid measured, dashed expected, rings the paper's text";
    let (middle, below) = (f64::midpoint(LEFT, right), bottom + 38.0);
    let _ = writeln!(out, "<text class=\"s\" x=\"{middle}\" y=\"{below:.1}\" text-anchor=\"middle\">{caption}</text>");
    for (index, setting) in settings.iter().enumerate() {
        curve(out, top, &axis, setting, COLORS[index % COLORS.len()], index);
    }
}

fn curve(out: &mut String, top: f64, axis: &Axis, setting: &Setting, color: &str, index: usize) {
    let all = (setting.samples.len() + setting.never) as f64;
    if let Some((first, rest)) = setting.samples.split_first() {
        let mut path = format!("M{:.1} {:.1}V{:.1}", axis.x(*first), y(top, 0.0), y(top, 1.0 / all));
        for (rank, time) in rest.iter().enumerate() {
            let _ = write!(path, "H{:.1}V{:.1}", axis.x(*time), y(top, (rank + 2) as f64 / all));
        }
        let _ = writeln!(out, "<path class=\"m\" stroke=\"{color}\" d=\"{path}\"/>");
    }
    let mut path = String::new();
    for (share, time) in &setting.formula {
        let start = if path.is_empty() { 'M' } else { 'L' };
        let _ = write!(path, "{start}{:.1} {:.1}", axis.x(*time), y(top, f64::from(*share) / 1e6));
    }
    if !path.is_empty() {
        let _ = writeln!(out, "<path class=\"f\" stroke=\"{color}\" d=\"{path}\"/>");
    }
    for one in setting.published {
        let Some(share) = one.share else { continue };
        let (x, y) = (axis.x(Duration::from_millis(one.ms)), y(top, f64::from(share) / 1e6));
        let title = format!("the paper, {}–{} ms: {} {} ms", one.min_ms, one.max_ms, one.what, one.ms);
        let _ = writeln!(
            out,
            "<circle class=\"p\" stroke=\"{color}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"5\"><title>{title}</title></circle>"
        );
    }
    let (x, y) = (WIDTH - RIGHT + 16.0, top + TOP + 10.0 + 30.0 * index as f64);
    let never = if setting.never > 0 { format!(", {} never", setting.never) } else { String::new() };
    let _ = writeln!(out, "<path stroke=\"{color}\" stroke-width=\"3\" d=\"M{x} {:.1}h18\"/>", y - 4.0);
    let _ = writeln!(out, "<text x=\"{}\" y=\"{y:.1}\">{} (n={all}{never})</text>", x + 26.0, setting.name());
    for (line, one) in setting.published.iter().enumerate() {
        let _ = writeln!(
            out,
            "<text class=\"s\" x=\"{}\" y=\"{:.1}\" font-size=\"10\">paper: {} {} ms</text>",
            x + 26.0,
            y + 13.0 + 12.0 * line as f64,
            one.what,
            one.ms
        );
    }
}
