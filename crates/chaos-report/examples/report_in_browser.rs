//! What the HTML report costs, and what it looks like, in a real browser.
//!
//! ```sh
//! cargo run --release -p chaos-report --example report_in_browser -- table
//! cargo run --release -p chaos-report --example report_in_browser -- pictures PASS.html FAIL.html FOLDER
//! ```
//!
//! `table` makes runs of 10⁴, 10⁵ and 10⁶ operations with 60,000 observations each, and prints what their reports weigh, how long
//! they take to be written (median of five) and how long a browser takes until the timeline is drawn and answers (median of five
//! fresh loads). `pictures` takes those of the documentation. Neither asserts anything: a slow machine is no defect.

#[expect(dead_code, reason = "shared with the browser tests, which press keys and drag")]
#[path = "../tests/browser/devtools.rs"]
mod devtools;
#[expect(dead_code, reason = "shared with the tests, which also convict")]
#[path = "../tests/support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chaos_check::Property;
use devtools::{Browser, Page};
use serde_json::json;

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let program = devtools::find().expect("Chromium on the PATH, or named by CHAOS_CHROMIUM");
    let folder = env::temp_dir().join(format!("chaos-report-browser-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder for temporary files");
    let mut browser = Browser::start(&program, &folder.join("profile"));
    match arguments[..] {
        ["table"] => table(&mut browser, &folder),
        ["pictures", pass, fail, into] => pictures(&mut browser, [pass, fail], Path::new(into)),
        _ => panic!("either `table`, or `pictures PASS.html FAIL.html FOLDER`"),
    }
    drop(browser);
    // The browser's own children write into its profile for a moment longer than it lives.
    let until = Instant::now() + Duration::from_secs(10);
    while fs::remove_dir_all(&folder).is_err() && folder.exists() {
        assert!(Instant::now() < until, "{} can't be removed", folder.display());
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[expect(clippy::print_stdout, reason = "the table is what it is run for")]
fn table(browser: &mut Browser, folder: &Path) {
    println!("operations  observations       size   rendered   interactive   zoom redrawn");
    // 29 faults make 119 s; the rates make the powers of ten.
    for rate in [85, 841, 8_404] {
        let history = support::history(29, rate);
        let report = support::report(&history, &[support::valid(Property::ElectionSafety)], "", &BTreeMap::new());
        let operations = report.measured.operations.points.len();
        let observations = report.measured.observed.answers + report.measured.observed.silences;
        let mut html = String::new();
        let rendered = median(|| {
            let begun = Instant::now();
            html = report.to_html().expect("a report renders");
            begun.elapsed().as_secs_f64() * 1e3
        });
        let file = folder.join(format!("{operations}.html"));
        fs::write(&file, &html).expect("the folder can be written");
        let interactive = median(|| {
            let mut page = browser.page(1280, 900);
            page.open(&file);
            page.number("Number(document.documentElement.dataset.ready)")
        });
        let redrawn = median(|| redraw(&mut browser.page(1280, 900), &file));
        let size = html.len() as f64 / 1e6;
        println!(
            "{operations:>10}  {observations:>12}  {size:>6.2} MB  {rendered:>6.0} ms  {interactive:>9.0} ms  {redrawn:>9.0} ms"
        );
    }
}

/// From a key to the second frame after it, in which the zoomed timeline stands.
fn redraw(page: &mut Page<'_>, file: &Path) -> f64 {
    page.prefer(&[("prefers-reduced-motion", "reduce")]);
    page.open(file);
    page.number(
        "new Promise((done) => { const begun = performance.now(); \
         document.getElementById('stage').dispatchEvent(new KeyboardEvent('keydown', { key: '+' })); \
         requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - begun))); })",
    )
}

fn median(mut measure: impl FnMut() -> f64) -> f64 {
    let mut values: Vec<f64> = (0..5).map(|_| measure()).collect();
    values.sort_by(f64::total_cmp);
    values[2]
}

/// The passing and the failing run, in light and in dark, and on a telephone.
fn pictures(browser: &mut Browser, files: [&str; 2], into: &Path) {
    let [pass, fail] = files.map(|file| PathBuf::from(file).canonicalize().expect("the report is there"));
    let mut take = |file: &Path, hash: &str, theme: &str, (width, height): (u32, u32), name: &str| {
        let mut page = browser.page(width, height);
        page.prefer(&[("prefers-color-scheme", theme), ("prefers-reduced-motion", "reduce")]);
        page.open(file);
        if !hash.is_empty() {
            page.value(&format!("location.hash = '{hash}'"));
            page.value("document.getElementById('timeline').scrollIntoView({ block: 'start' })");
        }
        page.value("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(1))))");
        let picture = page.call("Page.captureScreenshot", json!({"format": "png"}));
        let picture = STANDARD.decode(picture["data"].as_str().expect("a picture")).expect("base64");
        fs::write(into.join(format!("{name}.png")), picture).expect("the folder can be written");
    };
    take(&pass, "", "light", (1100, 1720), "report");
    take(&pass, "", "dark", (1100, 1720), "report-dark");
    take(&fail, "", "light", (1100, 1240), "report-fail");
    take(&fail, "#violation", "dark", (1100, 800), "report-fail-dark");
    take(&fail, "#fault-7", "light", (390, 844), "report-phone");
}
