//! The report as a reader meets it: opened from a file in a real browser, looked at, zoomed, clicked and typed at.
//!
//! Every claim here is one that the rendered text alone can't prove: that the script runs under the page's own policy, that
//! gestures and keys do what the page says that they do, that nothing hostile gets to run, that a telephone needs no sideways
//! scrolling. Without Chromium (on the `PATH`, or named by `CHAOS_CHROMIUM`) the tests say so and prove nothing;
//! `CHAOS_BROWSER=required` makes that a failure.

mod devtools;
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use chaos_check::Property;
use chaos_failover::{OperationPoint, PointOutcome};
use chaos_history::RunNanos;
use chaos_report::Report;
use devtools::{Browser, Page};
use serde_json::json;
use support::{drawn_witness, history, invalid, report, valid};

/// Runs `test` with a page of this size; the tests share one browser, one after the other.
fn with_page(name: &str, (width, height): (u32, u32), test: impl FnOnce(&mut Page<'_>)) {
    static BROWSER: OnceLock<Mutex<Browser>> = OnceLock::new();
    let Some(program) = devtools::find() else {
        assert!(std::env::var_os("CHAOS_BROWSER").is_none_or(|how| how != "required"), "no Chromium");
        // Written past the test runner, which shows nothing of a test that passes.
        let _ = writeln!(std::io::stderr(), "SKIPPED {name}: no Chromium on the PATH, and CHAOS_CHROMIUM names none");
        return;
    };
    let start = || {
        let profile = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("chromium-{}", std::process::id()));
        Mutex::new(Browser::start(&program, &profile))
    };
    // A test that failed leaves its page open, and harms no other.
    let mut browser = BROWSER.get_or_init(start).lock().unwrap_or_else(PoisonError::into_inner);
    test(&mut browser.page(width, height));
}

const DESK: (u32, u32) = (1280, 900);
const PHONE: (u32, u32) = (390, 844);

fn sound() -> Report {
    let outcomes = [Property::ElectionSafety, Property::Linearizable].map(valid);
    report(&history(6, 200), &outcomes, "Take the leader away in three ways.", &BTreeMap::new())
}

/// A run with a violation at 11.604 s, drawn and quoted, all of it in these words.
fn convicted(words: &str) -> Report {
    let mut stale = invalid(words, words);
    if let chaos_check::Verdict::Invalid(witness) = &mut stale.verdict {
        witness.picture = Some(drawn_witness(words));
    }
    let line = json!({"at": 11_590_000_000_u64, "value": words}).to_string();
    let lines = BTreeMap::from([(12, line), (17, words.to_owned())]);
    let mut report = report(&history(6, 200), &[stale, valid(Property::Linearizable)], words, &lines);
    report.run.workload = words.to_owned();
    report.plan = format!("{words}\n    - {words}: leader\n      place: \"faults/mixed.yaml:8:9\"\n");
    report
}

fn saved(name: &str, report: &Report) -> PathBuf {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("browser-{name}.html"));
    fs::write(&file, report.to_html().expect("a report renders")).expect("the build directory can be written");
    file
}

/// What the timeline shows, in seconds.
fn shown(page: &mut Page<'_>) -> (f64, f64) {
    let from = page.number("Number(document.getElementById('stage').dataset.from)");
    (from / 1e6, page.number("Number(document.getElementById('stage').dataset.to)") / 1e6)
}

/// Waits until what is shown is this, give or take a thousandth of the run.
fn settles(page: &mut Page<'_>, (from, to): (f64, f64)) {
    let off =
        |name: &str, at: f64| format!("Math.abs(document.getElementById('stage').dataset.{name} - {}) < 3e4", at * 1e6);
    page.wait_for(&format!("{} && {}", off("from", from), off("to", to)));
}

const END: f64 = 27.0;

#[test]
fn every_section_renders_and_the_browser_has_nothing_to_complain_of() {
    with_page("every section", DESK, |page| {
        page.open(&saved("sound", &sound()));
        for section in ["checks", "timeline", "failovers", "clients", "appendix"] {
            let height = page.number(&format!("document.getElementById('{section}').getBoundingClientRect().height"));
            assert!(height > 40.0, "{section} is {height} high");
        }
        // What the canvas shows is what it was told: the colours of a leader, of an answer, of a fault.
        for (what, ink) in
            [("tracks", "leader"), ("tracks", "follower"), ("tracks", "on-leader"), ("overview", "accent")]
        {
            let share = page.number(&pixels_of(what, ink));
            assert!(share > 0.0, "{what} has nothing in the colour of {ink}");
        }
        assert_eq!(page.value("getComputedStyle(document.querySelector('.still')).display"), "none");
        assert_eq!(page.number("document.querySelectorAll('.panel svg .steps').length"), 15.0, "kinds times phases");
        assert_eq!(page.complaints(), Vec::<String>::new());
    });
}

/// How many pixels of a canvas have exactly this colour.
fn pixels_of(canvas: &str, ink: &str) -> String {
    format!(
        "(() => {{ const c = document.getElementById('{canvas}'), p = document.getElementById('probe'); p.style.color = 'var(--{ink})'; \
         const [r, g, b] = getComputedStyle(p).color.match(/\\d+/g).map(Number); \
         const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data; let n = 0; \
         for (let i = 0; i < d.length; i += 4) n += d[i] === r && d[i + 1] === g && d[i + 2] === b; return n; }})()"
    )
}

#[test]
fn wheel_drag_and_buttons_zoom_around_what_they_point_at() {
    with_page("zoom", DESK, |page| {
        page.open(&saved("zoom", &sound()));
        settles(page, (0.0, END));
        let [left, top, width, _] = page.place("#stage");
        let (plot, y) = (width - 70.0 - 2.0, top + 60.0);
        let x = |seconds: f64| left + 1.0 + 60.0 + seconds / END * plot;
        page.drag((x(9.0), y), (x(18.0), y));
        settles(page, (9.0, 18.0));
        page.mouse("mouseWheel", (x(13.5), y), json!({"deltaX": 0, "deltaY": -200}));
        page.wait_for("document.getElementById('stage').dataset.to < 17.5e6");
        let (from, to) = shown(page);
        assert!((from + to - 27.0).abs() < 0.1, "the middle keeps its place: {from} to {to}");
        page.mouse("mouseWheel", (x(13.5), y), json!({"deltaX": 300, "deltaY": 0}));
        page.wait_for(&format!("document.getElementById('stage').dataset.from > {}", from * 1e6 + 1e5));
        page.click("#zoom-reset");
        settles(page, (0.0, END));
        page.click("#zoom-in");
        settles(page, (END / 4.0, END * 3.0 / 4.0));
        page.click("#zoom-out");
        settles(page, (0.0, END));
        assert_eq!(page.complaints(), Vec::<String>::new());
    });
}

#[test]
fn a_wheel_over_the_timeline_scrolls_the_page_until_the_reader_takes_it_in_hand() {
    with_page("wheel", DESK, |page| {
        page.open(&saved("wheel", &sound()));
        let [left, top, ..] = page.place("#stage");
        let before = page.number("scrollY");
        page.mouse("mouseWheel", (left + 400.0, top + 60.0), json!({"deltaX": 0, "deltaY": 120}));
        page.wait_for(&format!("scrollY > {before}"));
        settles(page, (0.0, END));
    });
}

#[test]
fn the_window_of_the_overview_can_be_dragged() {
    with_page("overview", DESK, |page| {
        page.open(&saved("overview", &sound()));
        page.click("#zoom-in");
        settles(page, (END / 4.0, END * 3.0 / 4.0));
        let [left, top, width, height] = page.place("#overview");
        let x = |seconds: f64| left + 60.0 + seconds / END * (width - 70.0);
        let y = top + height / 2.0;
        page.drag((x(13.5), y), (x(10.5), y));
        settles(page, (END / 4.0 - 3.0, END * 3.0 / 4.0 - 3.0));
        let to = shown(page).1;
        page.drag((x(to), y), (x(to + 5.0), y));
        page.wait_for(&format!("document.getElementById('stage').dataset.to > {}", (to + 4.5) * 1e6));
    });
}

#[test]
fn a_row_of_the_failover_table_shows_its_moment() {
    with_page("jump", DESK, |page| {
        page.open(&saved("jump", &sound()));
        page.click("tr[data-from]:nth-child(2)");
        page.wait_for(
            "(document.getElementById('stage').dataset.to - document.getElementById('stage').dataset.from) < 3e6",
        );
        page.wait_for(
            "document.querySelector('tr.current').dataset.from > Number(document.getElementById('stage').dataset.from)",
        );
        page.wait_for(
            "document.querySelector('tr.current').dataset.to < Number(document.getElementById('stage').dataset.to)",
        );
        page.wait_for("document.getElementById('stage').getBoundingClientRect().top > -5");
        let words = page.value("document.getElementById('readout').textContent");
        assert!(words.as_str().unwrap().starts_with("fault 4: kill leader"), "{words}");
        assert_eq!(page.value("document.activeElement.id"), "stage");
        assert!(page.number(&pixels_of("tracks", "accent")) > 100.0, "the phases are marked");
        assert_eq!(page.complaints(), Vec::<String>::new());
    });
}

#[test]
fn a_link_can_name_a_moment() {
    with_page("link", DESK, |page| {
        page.prefer(&[("prefers-reduced-motion", "reduce")]);
        page.open(&saved("link", &convicted("n3 and n5 both led term 8")));
        page.value("location.hash = '#fault-4'");
        page.wait_for("document.getElementById('readout').textContent.startsWith('failover 4:')");
        page.wait_for("document.getElementById('stage').dataset.from > 14e6");
        page.value("location.hash = '#violation'");
        page.wait_for("document.getElementById('readout').textContent.startsWith('ElectionSafety')");
        page.wait_for("document.getElementById('stage').dataset.to < 12e6");
        let before = shown(page);
        page.value("location.hash = '#fault-999'");
        assert_eq!(shown(page), before, "a fault that there is not is no moment");
    });
}

#[test]
fn everything_can_be_done_with_keys() {
    with_page("keys", DESK, |page| {
        page.open(&saved("keys", &convicted("n3 and n5 both led term 8")));
        page.value("document.querySelector('tr[data-from]').focus()");
        page.key("ArrowDown");
        page.key("Enter");
        page.wait_for("document.querySelector('tr.current') !== document.querySelector('tr[data-from]')");
        page.wait_for(
            "(document.getElementById('stage').dataset.to - document.getElementById('stage').dataset.from) < 3e6",
        );
        page.key("0");
        settles(page, (0.0, END));
        page.key("+");
        settles(page, (END / 4.0, END * 3.0 / 4.0));
        page.key("ArrowRight");
        settles(page, (END * 0.35, END * 0.85));
        page.key("Home");
        settles(page, (0.0, END / 2.0));
        page.key("-");
        settles(page, (0.0, END));
        page.key("n");
        page.wait_for("document.getElementById('readout').textContent.startsWith('failover 1:')");
        page.key("n");
        page.wait_for("document.getElementById('readout').textContent.startsWith('failover 2:')");
        page.key("p");
        page.wait_for("document.getElementById('readout').textContent.startsWith('failover 1:')");
        page.key("v");
        page.wait_for("document.getElementById('readout').textContent.includes('both led term 8')");
        page.wait_for("document.getElementById('stage').dataset.from < 11.59e6 && document.getElementById('stage').dataset.to > 11.604e6");
        page.key("?");
        assert_eq!(page.value("document.getElementById('keys').open"), true);
        page.key("n");
        assert_eq!(page.value("document.getElementById('keys').open"), true, "keys below a dialog do nothing");
        page.key("?");
        assert_eq!(page.value("document.getElementById('keys').open"), false);
        assert_eq!(page.complaints(), Vec::<String>::new());
    });
}

#[test]
fn the_pointer_reads_the_drawing_out_in_words() {
    with_page("readout", DESK, |page| {
        page.open(&saved("readout", &sound()));
        let [left, top, width, _] = page.place("#stage");
        let at = |seconds: f64| left + 1.0 + 60.0 + seconds / END * (width - 72.0);
        // The lane of n2, which leads term 1, stands below one row of faults.
        page.mouse("mouseMoved", (at(1.5), top + 20.0 + 17.0 + 12.0 + 32.0 + 12.0), json!({}));
        page.wait_for("document.getElementById('readout').textContent.includes('n2: leader, term 1')");
        page.mouse("mouseMoved", (at(3.6), top + 30.0), json!({}));
        page.wait_for("document.getElementById('readout').textContent.includes('fault 1: kill leader (n2)')");
    });
}

#[test]
fn hostile_words_stay_words_in_the_browser_too() {
    let hostile = "</script><script>pwned=1</script><img src=x onerror=pwned=2>\"'><svg onload=pwned=3><a href=javascript:pwned=4>";
    with_page("hostile", DESK, |page| {
        page.open(&saved("harmless", &convicted("n1 and n2")));
        let elements = "document.querySelectorAll('script, img, a, svg, [onerror], [onload]').length";
        let lawful = page.number(elements);
        page.open(&saved("hostile", &convicted(hostile)));
        assert_eq!(page.number(elements), lawful);
        assert_eq!(page.value("document.querySelector('h1').textContent.trim()"), hostile);
        // The script ran to its end: the data, hostile labels and all, could be read.
        page.wait_for("document.documentElement.dataset.ready !== undefined");
        page.key("v");
        page.wait_for("document.getElementById('readout').textContent.includes('<img src=x')");
        page.click("button[data-from]");
        page.wait_for("document.getElementById('readout').textContent.includes('<img src=x')");
        assert_eq!(page.value("typeof pwned"), "undefined");
        assert_eq!(page.complaints(), Vec::<String>::new());
    });
}

/// Were the escaping wrong, the policy would still hold: what it names is run and applied, and nothing else is.
#[test]
fn the_policy_stops_what_the_escaping_would_have_let_through() {
    let attacks = [
        (
            "an inline script",
            "const s = document.createElement('script'); s.textContent = 'pwned=1'; document.body.append(s)",
        ),
        ("markup with a handler", "document.body.innerHTML += '<img src=x onerror=pwned=1>'"),
        ("a handler", "document.body.setAttribute('onclick', 'pwned=1'); document.body.click()"),
        (
            "an image of elsewhere",
            "const i = new Image(); i.src = 'https://example.invalid/x.png'; document.body.append(i)",
        ),
        (
            "a style",
            "const s = document.createElement('style'); s.textContent = 'body{display:none}'; document.head.append(s)",
        ),
        ("a request", "fetch('https://example.invalid/').catch(() => {})"),
    ];
    with_page("policy", DESK, |page| {
        for (what, attack) in attacks {
            page.open(&saved("policy", &sound()));
            page.value("addEventListener('securitypolicyviolation', () => { document.title = 'stopped'; })");
            page.value(&format!("(() => {{ try {{ {attack} }} catch (error) {{ }} }})()"));
            page.wait_for("document.title === 'stopped'");
            assert_eq!(page.value("typeof pwned"), "undefined", "{what}");
            assert_eq!(page.value("getComputedStyle(document.body).display"), "block", "{what}");
        }
    });
}

#[test]
fn a_telephone_shows_everything_without_sideways_scrolling() {
    with_page("phone", PHONE, |page| {
        page.open(&saved(
            "phone",
            &convicted("n3 and n5 both led term 8, a_word_that_is_longer_than_any_line_of_any_telephone_is"),
        ));
        // What is wider than the screen and stands in no box of its own that scrolls, by name.
        let wide = "[...document.body.querySelectorAll('*')].filter(e => e.getBoundingClientRect().right > 390.5 \
                    && !e.closest('.scroll, .strip, #stage, pre, .pair table')).map(e => e.outerHTML.slice(0, 120))";
        assert_eq!(page.value(wide), json!([]));
        assert_eq!(page.number("document.documentElement.scrollWidth"), 390.0);
        let [left, _, width, height] = page.place("#stage");
        assert!(left >= 0.0 && left + width <= 390.0 && height > 300.0, "{left} {width} {height}");
        // Two fingers that part zoom.
        let [left, top, width, _] = page.place("#stage");
        let finger = |x: f64, id: u32| json!({"x": left + x, "y": top + 80.0, "id": id});
        let touch = |page: &mut Page<'_>, kind: &str, apart: f64| {
            let middle = 46.0 + (width - 58.0) / 2.0;
            page.call(
                "Input.dispatchTouchEvent",
                json!({"type": kind, "touchPoints": [finger(middle - apart, 0), finger(middle + apart, 1)]}),
            );
        };
        touch(page, "touchStart", 30.0);
        for apart in [35.0, 45.0, 60.0] {
            touch(page, "touchMove", apart);
        }
        page.call("Input.dispatchTouchEvent", json!({"type": "touchEnd", "touchPoints": []}));
        page.wait_for(
            "document.getElementById('stage').dataset.to - document.getElementById('stage').dataset.from < 16e6",
        );
        let (from, to) = shown(page);
        assert!((from + to - END).abs() < 1.5, "{from} to {to}");
        assert_eq!(page.complaints(), Vec::<String>::new());
    });
}

#[test]
fn light_and_dark_follow_the_system_until_the_reader_decides() {
    with_page("dark", DESK, |page| {
        let background = "getComputedStyle(document.body).backgroundColor";
        page.prefer(&[("prefers-color-scheme", "light")]);
        page.open(&saved("dark", &sound()));
        assert_eq!(page.value(background), "rgb(251, 250, 248)");
        let light = page.number(&pixels_of("tracks", "leader"));
        page.prefer(&[("prefers-color-scheme", "dark")]);
        assert_eq!(page.value(background), "rgb(20, 24, 27)");
        // The canvas was drawn anew, in the colours of the dark.
        page.wait_for(&format!("{} > {}", pixels_of("tracks", "leader"), light / 2.0));
        page.click("#theme");
        assert_eq!(page.value(background), "rgb(251, 250, 248)");
        page.click("#theme");
        page.prefer(&[("prefers-color-scheme", "light")]);
        assert_eq!(page.value(background), "rgb(20, 24, 27)");
    });
}

#[test]
fn who_prefers_calm_is_taken_there_at_once() {
    with_page("calm", DESK, |page| {
        page.prefer(&[("prefers-reduced-motion", "reduce")]);
        page.open(&saved("calm", &sound()));
        let two_frames = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(Number(document.getElementById('stage').dataset.to)))))";
        page.key("n");
        let first = page.number(two_frames);
        let second = page.number(two_frames);
        assert!(first < 6e6 && first == second, "{first} {second}");
    });
}

#[test]
fn without_a_script_the_drawn_timeline_and_every_table_are_there() {
    with_page("no script", DESK, |page| {
        page.call("Emulation.setScriptExecutionDisabled", json!({"value": true}));
        page.open(&saved("still", &convicted("n3 and n5 both led term 8")));
        assert_eq!(page.value("getComputedStyle(document.querySelector('.still')).display"), "block");
        assert_eq!(page.value("getComputedStyle(document.querySelector('.live')).display"), "none");
        assert_eq!(page.value("getComputedStyle(document.querySelector('.tools')).display"), "none");
        assert!(page.number("document.querySelectorAll('.still svg rect.leader').length") >= 6.0);
        assert_eq!(page.number("document.querySelectorAll('.failovers tbody tr').length"), 6.0);
        assert_eq!(page.value("document.querySelector('h1').textContent.trim()"), "n3 and n5 both led term 8");
    });
}

/// `report.json` has neither lanes nor single operations; a page made from it shows what there is, and breaks at nothing.
#[test]
fn a_report_read_back_from_its_json_and_an_empty_run_still_open() {
    let again: Report = serde_json::from_str(&sound().to_json().unwrap()).unwrap();
    let mut nothing = history(1, 10);
    nothing.events.clear();
    let nothing = report(&nothing, &[], "", &BTreeMap::new());
    with_page("read back", DESK, |page| {
        page.open(&saved("again", &again));
        page.click("tr[data-from]");
        page.wait_for("document.getElementById('stage').dataset.to < 5e6");
        page.open(&saved("nothing", &nothing));
        page.wait_for("document.documentElement.dataset.ready !== undefined");
        page.key("n");
        page.key("v");
        assert_eq!(page.complaints(), Vec::<String>::new());
    });
}

#[test]
fn a_run_that_is_too_long_to_be_drawn_in_full_says_so_and_keeps_what_is_odd() {
    let mut long = sound();
    let point = |index: u64| OperationPoint {
        due: RunNanos(index * 100_000),
        latency: std::time::Duration::from_micros(if index == 77_777 { 900_000 } else { 300 + index % 700 }),
        outcome: if index.is_multiple_of(50_000) { PointOutcome::Info } else { PointOutcome::Ok },
        pinned: false,
    };
    long.measured.operations.points = (0..260_000).map(point).collect();
    with_page("thinned", DESK, |page| {
        page.open(&saved("thinned", &long));
        let words = page.value("document.getElementById('thinned').textContent");
        assert!(words.as_str().unwrap().contains("of 260,000 operations are drawn"), "{words}");
        assert!(page.number(&pixels_of("tracks", "leader")) > 0.0);
        page.open(&saved("whole", &sound()));
        assert_eq!(
            page.value("document.getElementById('thinned')"),
            serde_json::Value::Null,
            "nothing is said of nothing"
        );
    });
}
