//! The summary, read back by `pulldown-cmark` as GitHub would read it: tables on.

use chaos_report::Report;
use chaos_report::formats::{Format, SUMMARY_BYTES_MAX, summary_within};
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use super::{HOSTILE, convicted, empty, hostile, long, shown, sound, untold, written};

#[derive(Debug, Default)]
struct Page {
    headings: usize,
    /// Cells of each row, headers included.
    rows: Vec<Vec<String>>,
    paragraphs: Vec<String>,
    code: Vec<String>,
}

/// Reads a page, and fails at everything that can only come from foreign words: HTML, links, pictures, rules, emphasis.
fn read(markdown: &str) -> Page {
    let mut page = Page::default();
    let (mut text, mut in_code) = (String::new(), false);
    for event in Parser::new_ext(markdown, Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH) {
        match event {
            Event::Html(html) | Event::InlineHtml(html) => panic!("HTML: {html}"),
            Event::Start(
                Tag::Link { .. } | Tag::Image { .. } | Tag::HtmlBlock | Tag::Emphasis | Tag::Strikethrough,
            ) => {
                panic!("a link, a picture or HTML")
            }
            Event::Code(code) => panic!("code: {code}"),
            Event::Rule => panic!("a rule"),
            Event::Start(Tag::Heading { .. }) => page.headings += 1,
            Event::Start(Tag::TableHead | Tag::TableRow) => page.rows.push(Vec::new()),
            Event::Start(Tag::CodeBlock(_)) => in_code = true,
            Event::Start(Tag::Paragraph | Tag::TableCell | Tag::Item) => text.clear(),
            Event::Text(piece) if in_code => page.code.push(piece.into_string()),
            Event::Text(piece) => text.push_str(&piece),
            Event::End(TagEnd::TableCell) => page.rows.last_mut().unwrap().push(std::mem::take(&mut text)),
            Event::End(TagEnd::Paragraph | TagEnd::Item) => page.paragraphs.push(std::mem::take(&mut text)),
            Event::End(TagEnd::CodeBlock) => in_code = false,
            Event::SoftBreak | Event::HardBreak => text.push(' '),
            Event::Start(_) | Event::End(_) => {}
            Event::InlineMath(_) | Event::DisplayMath(_) | Event::FootnoteReference(_) | Event::TaskListMarker(_) => {
                panic!("an extension that is not on")
            }
        }
    }
    page
}

fn of(report: &Report) -> Page {
    read(&written(Format::Markdown, std::slice::from_ref(report)))
}

#[test]
fn a_convicted_run_shows_verdict_argument_figures_and_command() {
    let page = of(&convicted());
    assert!(page.rows.contains(&vec![
        "✘ violated".to_owned(),
        "ElectionSafety".to_owned(),
        "n3 and n5 both led term 8".to_owned()
    ]));
    let all = page.paragraphs.join("\n");
    for shown in ["line 17: n5 says that it leads term 8", "faults/mixed.yaml line 8"] {
        assert!(all.contains(shown), "{shown} is not in\n{all}");
    }
    assert!(page.rows.iter().any(|row| row[0] == "partition" && row[1] == "writable"));
    assert_eq!(page.code, ["chaos run workloads/partition.yaml --seed 7\n"]);
}

#[test]
fn unknown_and_empty_runs_say_why() {
    assert!(of(&untold()).rows.iter().any(|row| row.contains(&"no final reads".to_owned())));
    let page = of(&empty());
    assert!(page.rows.iter().any(|row| row.contains(&"the history has no end".to_owned())));
    assert!(page.paragraphs.contains(&"No failover was measured.".to_owned()));
}

#[test]
fn hostile_words_stay_words_and_change_no_structure() {
    let shape = |page: &Page| -> (usize, Vec<usize>, usize, usize) {
        (page.headings, page.rows.iter().map(Vec::len).collect(), page.paragraphs.len(), page.code.len())
    };
    let (tame, page) = (shape(&of(&hostile("tame"))), of(&hostile(HOSTILE)));
    assert_eq!(tame, shape(&page));
    let beginnings =
        ["# a", "- a", "+ a", "* a", "> a", "1. a", "12) a", "===", "---", "    a", "```", "~~~ a", "| a |", "[a]: b"];
    for words in beginnings {
        assert_eq!(tame, shape(&of(&hostile(words))), "{words}");
    }
    assert!(page.rows.iter().flatten().any(|cell| *cell == shown(HOSTILE)), "{:?}", page.rows);
    assert_eq!(page.code, [format!("{}\n", shown(HOSTILE))]);
}

#[test]
fn a_summary_never_exceeds_its_limit_and_says_what_it_leaves_out() {
    let many = vec![hostile_without_runs(); 2_000];
    let whole = written(Format::Markdown, &many[..10]);
    assert!(!whole.contains("Cut here"));
    let cut = written(Format::Markdown, &many);
    assert!(cut.len() <= SUMMARY_BYTES_MAX && cut.len() > SUMMARY_BYTES_MAX / 2, "{} bytes", cut.len());
    assert!(cut.trim_end().ends_with("The report has everything.") && cut.contains("**Cut here: "));
    read(&cut);
    for bytes_max in [0, 1, 150, 500, 2_000, 20_000] {
        let cut = summary_within(&many[..10], bytes_max).unwrap();
        assert!(cut.len() <= bytes_max, "{} of {bytes_max} bytes", cut.len());
    }
    assert!(summary_within(&[hostile(&long())], usize::MAX).unwrap().len() < 40_000, "long words are cut");
}

/// Hostile in a few words, and small.
fn hostile_without_runs() -> Report {
    let mut report = empty();
    report.sentence = format!("{HOSTILE}{HOSTILE}{HOSTILE}");
    report.warnings = vec![HOSTILE.to_owned()];
    report
}

#[test]
fn the_page_is_pinned() {
    insta::assert_snapshot!(written(Format::Markdown, &[convicted()]));
    insta::assert_snapshot!("several", written(Format::Markdown, &[sound(), convicted()]));
}
