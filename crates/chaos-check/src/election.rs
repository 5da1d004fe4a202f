//! `ElectionSafety` and `SingleVote`: facts about a term, refuted by two observations.
//!
//! "i leads t" and "i believes that j leads t" are facts about the term t, not about an instant: i adopts j only after a
//! message of j as leader of t. So, per term, take a write-once register whose only operation is `observe() -> leader`. The
//! history is linearizable with respect to these registers if and only if, for every term, all observations name one node:
//! a legal sequence of one register contains one value, and any order that extends real time is legal if they all agree;
//! registers compose by locality (Herlihy and Wing, theorem 1). Hence one pass and a map from term to the first node named:
//! O(n log terms), whatever the order, the clocks, the losses and the rate of observation. "Names nobody" says nothing and
//! is left out. A leader that no answer ever named is not seen, so `Valid` is about what was observed.
//!
//! ```text
//!   n1: ──[leader of 4: n1]───────────────────────────
//!   n3: ─────────────────────────[leader of 4: n2]────   refuted by these two, whenever they were taken
//! ```
//!
//! Further observers that show terms (a coordinator's epochs) are each a witness of their own: their terms are not those of the
//! nodes, so each observer's views are checked by themselves, and two leaders of one of its terms refute the property as well.
//! *Whose word.* That i follows j in t is told by i in one answer, which is only as good as its snapshot: a program that raises its term
//! before it forgets its leader shows the old leader in the new term for a moment, and its old vote. Where answers aren't known to be
//! of one moment ([`Testimony::snapshot`](chaos_history::Testimony)), two leaders are a violation only if both *claimed* the term
//! themselves; if one of them was merely named by another node, or if it is a vote, the answer is unknown, and says why.
//!
//! A system whose nodes show no terms has none to be safe in: numbers of reigns are the harness's, and the answer is unknown.
//!
//! `SingleVote` is the same with the register of a (node, term) and the node's vote (Raft, figure 2: `votedFor`); it needs a
//! system that shows its vote.

use std::collections::BTreeMap;

use chaos_history::{History, NodeId, Term, TermsFrom};

use crate::answers::{Answer, Answers, answers, views_with_terms};
use crate::text::count;
use crate::verdict::{Verdict, Witness};

/// At most one leader per term.
pub(crate) fn election_safety(history: &History) -> (Verdict, String) {
    let own = match history.header.testimony.terms {
        TermsFrom::System => per_term(&answers(history), None, history.header.testimony.snapshot),
        TermsFrom::Reigns => without_terms(history),
    };
    let further = views_with_terms(history);
    let further = further
        .iter()
        .map(|(observer, answers)| (observer, per_term(answers, Some(observer), history.header.testimony.snapshot)));
    let (mut verdict, mut basis) = own;
    for (observer, (of_observer, of_basis)) in further {
        basis = format!("{basis}; `{observer}`: {of_basis}");
        // What an observer could not be asked for is no doubt about what the nodes themselves said.
        if matches!((&verdict, &of_observer), (Verdict::Valid | Verdict::Unknown(_), Verdict::Invalid(_))) {
            verdict = of_observer;
        }
    }
    (verdict, basis)
}

/// What is said of terms where there are none.
pub(crate) fn without_terms(history: &History) -> (Verdict, String) {
    let observations = count(answers(history).told.len(), "observation");
    let reason = "the system shows no terms: reigns were numbered as they were seen, which proves nothing of the system's \
                  own order";
    (Verdict::Unknown(reason.to_owned()), observations)
}

fn per_term(answers: &Answers<'_>, observer: Option<&str>, snapshot: bool) -> (Verdict, String) {
    let mut leaders: BTreeMap<Term, (NodeId, &Answer<'_>)> = BTreeMap::new();
    let mut claimed: BTreeMap<Term, (NodeId, &Answer<'_>)> = BTreeMap::new();
    let mut doubt = None;
    for answer in &answers.told {
        // A claimant that names another node tells two facts at once, and they contradict each other.
        let facts = [answer.named(), answer.belief.leader.map(|leader| (answer.belief.term, leader))];
        for (term, leader) in facts.into_iter().flatten() {
            let claims = answer.claims() && leader == answer.node;
            // Of two claims, the rival's own is the better witness than whoever was named first.
            let rival = claims.then(|| *claimed.entry(term).or_insert((leader, answer)));
            let rival = rival.filter(|(rival, _)| *rival != leader);
            let first = *leaders.entry(term).or_insert((leader, answer));
            let Some(other) = rival.or((first.0 != leader).then_some(first)) else { continue };
            if rival.is_some() || snapshot {
                let witness = two_leaders(term, observer, other, (leader, answer));
                return (Verdict::Invalid(witness), basis(&leaders, answers.told.len()));
            }
            doubt = doubt.or_else(|| Some(doubtful(term, observer, [other, (leader, answer)])));
        }
    }
    let verdict = match doubt {
        Some(reason) => Verdict::Unknown(reason),
        None if leaders.is_empty() => Verdict::Unknown("no observation names a leader".to_owned()),
        None => Verdict::Valid,
    };
    (answers.conclude(verdict), basis(&leaders, answers.told.len()))
}

/// Two leaders of a term, of whom one is known by hearsay only.
fn doubtful(term: Term, observer: Option<&str>, named: [(NodeId, &Answer<'_>); 2]) -> String {
    let of = of_observer(observer);
    let [(one, first), (other, second)] = named;
    format!(
        "term {term}{of} seems to have two leaders, {one} and {other} (line {}: {}; line {}: {}), but they didn't both claim it: a node \
         that shows a new term beside an old leader for a moment would look like this. If its answers are of one moment, \
         `snapshot: true` of the observer says so",
        first.line,
        first.words(),
        second.line,
        second.words()
    )
}

/// Behind a term: whose it is, if it isn't the nodes' own.
fn of_observer(observer: Option<&str>) -> String {
    observer.map(|observer| format!(" of `{observer}`")).unwrap_or_default()
}

fn two_leaders(
    term: Term,
    observer: Option<&str>,
    first: (NodeId, &Answer<'_>),
    second: (NodeId, &Answer<'_>),
) -> Witness {
    let of = of_observer(observer);
    let (one, other) = (first.0.min(second.0), first.0.max(second.0));
    let mut steps = vec![first.1.step()];
    if second.1.line != first.1.line {
        steps.push(second.1.step());
    }
    steps.push(format!(
        "lines {} and {} give term {term}{of} two leaders, and a term has at most one for ever",
        first.1.line, second.1.line
    ));
    Witness::new(
        format!("term {term}{of} has two leaders: {one} and {other}"),
        vec![first.1.line, second.1.line],
        steps,
        first.1.received.max(second.1.received),
        vec![one, other],
    )
}

fn basis<T>(leaders: &BTreeMap<Term, T>, observations: usize) -> String {
    let observations = count(observations, "observation");
    match (leaders.first_key_value(), leaders.last_key_value()) {
        (Some((first, _)), Some((last, _))) if first == last => format!("term {first}, {observations}"),
        (Some((first, _)), Some((last, _))) => format!("terms {first}–{last}, {observations}"),
        (None, _) | (_, None) => observations,
    }
}

/// At most one vote per node and term.
pub(crate) fn single_vote(history: &History) -> (Verdict, String) {
    if history.header.testimony.terms == TermsFrom::Reigns {
        return without_terms(history);
    }
    let answers = answers(history);
    // A member that has joined anew, with an empty disk, is another voter.
    let mut votes: BTreeMap<(NodeId, usize, Term), (NodeId, &Answer<'_>)> = BTreeMap::new();
    for answer in &answers.told {
        let (Some(candidate), Some(membership)) = (answer.belief.voted_for, answer.membership) else { continue };
        let (node, term) = (answer.node, answer.belief.term);
        let (first, seen) = *votes.entry((node, membership, term)).or_insert((candidate, answer));
        if first == candidate {
            continue;
        }
        if !history.header.testimony.snapshot {
            let reason = format!(
                "{node} shows two votes of term {term}, for {first} (line {}) and for {candidate} (line {}), but the parts of its \
                 answers may be of different moments (`snapshot` of the observer)",
                seen.line, answer.line
            );
            return (Verdict::Unknown(reason), count(votes.len(), "vote"));
        }
        let step = |candidate: NodeId, answer: &Answer<'_>| {
            format!(
                "line {}: {node} (started {} times) shows its vote of term {term} for {candidate}",
                answer.line, answer.incarnation
            )
        };
        let witness = Witness::new(
            format!("{node} voted twice in term {term}: for {first} and for {candidate}"),
            vec![seen.line, answer.line],
            vec![step(first, seen), step(candidate, answer)],
            seen.received.max(answer.received),
            vec![node, first, candidate],
        );
        return (Verdict::Invalid(witness), count(votes.len(), "vote"));
    }
    let verdict =
        if votes.is_empty() { Verdict::Unknown("no observation shows a vote".to_owned()) } else { Verdict::Valid };
    (answers.conclude(verdict), count(votes.len(), "vote"))
}
