//! Counterexamples in words: each story on a history that tells it, with its picture.

mod locks;
mod objects;
mod registers;

use chaos_check::linear::explain::{Deed, Described, Explanation, Scene, explain};
use chaos_check::linear::{Budget, Decision, Entry, Model, check};

/// An operation of a told history: who, from when to when (`None`: never answered), and what.
pub(crate) type Row<T> = (&'static str, u64, Option<u64>, T);

/// Convicts the rows and explains the core.
pub(crate) fn told<M: Model>(
    model: &M,
    (object, initially): (&str, &str),
    rows: &[Row<M::Op>],
    deed: impl Fn(&M::Op) -> Deed,
) -> Explanation {
    let entry = |(_, invoked, answered, what): &Row<M::Op>| Entry {
        what: what.clone(),
        invoked: *invoked,
        answered: *answered,
    };
    let entries: Vec<Entry<M::Op>> = rows.iter().map(entry).collect();
    let decision = check(model, &entries, &Budget::default()).expect("the stamps are in order");
    let Decision::Violation { core, verified: true } = decision else { panic!("{decision:?}") };
    let scene = Scene { object: object.to_owned(), initially: initially.to_owned(), fate: None };
    explain(model, &entries, &core, &scene, |index| {
        let (who, invoked, answered, what) = &rows[index as usize];
        let line = usize::try_from(invoked + 1).expect("stamps are small");
        let end = answered.map(|answered| usize::try_from(answered + 1).expect("stamps are small"));
        Described {
            who: (*who).to_owned(),
            deed: deed(what),
            asked: invoked.to_string(),
            asked_line: Some(line),
            answered: answered.map(|answered| answered.to_string()),
            answered_line: end,
            term: None,
        }
    })
}

/// Everything that is shown, one below the other.
pub(crate) fn shown(explanation: &Explanation) -> String {
    let steps: Vec<String> =
        (1..).zip(&explanation.steps).map(|(number, step)| format!("{number}. {step}\n")).collect();
    let lines: Vec<String> = explanation.lines.iter().map(ToString::to_string).collect();
    let (sentence, picture) = (&explanation.sentence, explanation.picture.to_ascii());
    format!("{sentence}\n{}lines {}\n{picture}", steps.concat(), lines.join(" "))
}

/// The picture is true to the order of instants, within its width, and each point lies inside its bar.
pub(crate) fn drawn_true(explanation: &Explanation) {
    use chaos_check::linear::picture::Place;
    let picture = &explanation.picture;
    for bar in &picture.bars {
        assert!(bar.end.is_none_or(|end| bar.begin < end && end < picture.instants), "{bar:?}");
        if let Place::At { after, .. } = bar.place {
            assert!(bar.begin <= after && bar.end.is_none_or(|end| after < end), "{bar:?}");
        }
    }
    let text = picture.to_ascii();
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
}
