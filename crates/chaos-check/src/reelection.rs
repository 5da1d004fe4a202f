//! `BoundedReelection`: whenever a majority clique is there for long enough, a majority names one leader meanwhile.
//!
//! *Premise.* An epoch of the [topology](crate::topology) (no process started or ended, no fault began or ended) with a
//! majority clique: a majority of all nodes, up, unpaused, pairwise connected in both directions. The clock starts anew with
//! every epoch. Judged from the mark `load_begin` on (the first election has a bound of its own), to the last answer.
//!
//! *Demand.* No stretch of such an epoch longer than `within` without agreement. *Agreement*: a majority of all nodes, each
//! by its latest answer in the epoch, names the same leader of the same term, and that leader is up, unpaused and connected both
//! ways with a majority (itself counted; it may be hindered, since it may lead all the same): followers that go on naming a leader that is gone agree on nobody. A stretch is measured short, in the system's
//! favour: from the answer that ended the last agreement (or the epoch's begin) to the question before the one whose answer
//! completed the next (or the epoch's end).
//!
//! ```text
//!   cut n1 off                              within
//!   ──┤═══════════ one epoch ═══════════════════════════════════════
//!   n2:  none  none  none  …                                  none     no majority ever names one leader: violated
//!   n3:  none  n3/5  none  …                                  none
//! ```
//!
//! Nodes that speak only of themselves ([`Testimony`](chaos_history::Testimony)) can't agree on anybody. Of them the demand is only
//! that *some* node claims to lead: a stretch is one in which no latest answer of any node is a claim, wherever that node is.
//! (Candidates for a lease need not reach each other; whether a claimant serves anybody is for its clients to tell.)
//!
//! *What convicts.* Absence of agreement in a sample is evidence only if the sample is dense. A usable node that leaves more
//! than `within / 10` between two answers (host stalls not counted) may have named anybody meanwhile: if such nodes could have
//! completed a majority, the stretch is unknown. So is an epoch in which no majority of nodes answered at least once in
//! every `within`: agreement seen there may be old news. Nodes that are down or paused name nobody. The time that the host stalled is taken off the stretch, and a stretch that is too long in spite of
//! more than `within / 10` of stalls is unknown. An agreement shorter than the sampling period may be missed, which is why
//! `within` should be many times the election timeout: with ten times its upper bound plus the round trip, a run of unlucky
//! split votes long enough for a false alarm has a probability of about 10^-15. O(observations × nodes).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chaos_history::{History, Mark, NodeId, RunNanos, Term};

use crate::answers::{Answer, Answers, answers};
use crate::text::{brief, count, seconds};
use crate::topology::{Epoch, Topology, stalled};
use crate::verdict::{Verdict, Witness};

/// Which part of the bound may pass in silence or in stalls of the host before nothing is certain any more.
const DOUBT_SHARE: u32 = 10;

/// A majority clique gets its leader in time.
pub(crate) fn bounded_reelection(history: &History, within: Duration) -> (Verdict, String) {
    let Answers { told: mut answers, malformed } = answers(history);
    if let Some(reason) = malformed {
        // Silence counts here, and an answer that can't be read may have broken it.
        return (Verdict::Unknown(reason), "malformed observations".to_owned());
    }
    answers.sort_by_key(|answer| (answer.received, answer.line));
    let Some(last) = answers.last() else {
        return (Verdict::Unknown("no node ever answered".to_owned()), count(0, "observation"));
    };
    let (begin, end) = (history.landmark(Mark::LoadBegin).unwrap_or_default(), last.received);
    let topology = Topology::of(history);
    let (mut calm, mut tested, mut longest) = (0, 0, Duration::ZERO);
    let mut unknown = None;
    let mut violation = None;
    for epoch in &topology.epochs {
        let epoch = Epoch { from: epoch.from.max(begin), to: epoch.to.min(end), ..epoch.clone() };
        let Some(clique) = epoch.majority_clique(topology.nodes) else { continue };
        calm += usize::from(epoch.length() > Duration::ZERO);
        if epoch.length() <= within {
            continue;
        }
        tested += 1;
        let judge = Judge {
            names: history.header.testimony.names_leader,
            history,
            within,
            nodes: topology.nodes,
            answers: slice(&answers, &epoch),
            clique,
            epoch,
        };
        unknown = unknown.or_else(|| judge.silence());
        for stretch in judge.stretches() {
            longest = longest.max(stretch.length());
            match judge.judge(&stretch) {
                Verdict::Valid => {}
                Verdict::Invalid(witness) => violation = violation.or(Some(witness)),
                Verdict::Unknown(reason) => unknown = unknown.or(Some(reason)),
            }
        }
    }
    let basis = basis(within, longest, (tested, calm), answers.len());
    let untested = || {
        format!(
            "no majority was up and connected, with nothing changing, for longer than {within:?}: let faults last longer than \
             the bound, or raise `settle`"
        )
    };
    let verdict = match (violation, unknown) {
        (Some(witness), _) => Verdict::Invalid(witness),
        (None, Some(reason)) => Verdict::Unknown(reason),
        (None, None) if tested == 0 => Verdict::Unknown(untested()),
        (None, None) => Verdict::Valid,
    };
    (verdict, basis)
}

/// From how much: of the calm periods (a majority up and connected, nothing changing) those longer than the bound are judged.
fn basis(within: Duration, longest: Duration, (tested, calm): (usize, usize), observations: usize) -> String {
    let periods = format!("{tested} of {} (a majority up and connected)", count(calm, "calm period"));
    let observations = count(observations, "observation");
    if tested == 0 {
        return format!("{periods} longer than the bound of {within:?}, {observations}");
    }
    // What was longer than the bound need not have ended in an agreement.
    let what = if longest <= within { "slowest agreement" } else { "longest time without an agreed leader" };
    format!("{what} {} (bound {within:?}), judged in {periods}, {observations}", brief(longest))
}

/// The answers that arrived in an epoch; `answers` are in order of arrival.
fn slice<'b, 'a>(answers: &'b [Answer<'a>], epoch: &Epoch) -> &'b [Answer<'a>] {
    let from = answers.partition_point(|answer| answer.received < epoch.from);
    let to = answers.partition_point(|answer| answer.received <= epoch.to);
    &answers[from..to.max(from)]
}

/// An interval without agreement.
struct Stretch<'a> {
    from: RunNanos,
    to: RunNanos,
    /// The most nodes that named one leader at once, below a majority.
    named: usize,
    /// The answer that ended the agreement before it.
    broken_by: Option<Answer<'a>>,
    /// The answer that completed the agreement after it.
    ended_by: Option<Answer<'a>>,
}

impl Stretch<'_> {
    fn length(&self) -> Duration {
        self.to.since(self.from)
    }
}

/// One epoch under examination.
struct Judge<'b, 'a> {
    history: &'a History,
    within: Duration,
    /// Whether nodes name the leader that they follow.
    names: bool,
    nodes: usize,
    epoch: Epoch,
    clique: BTreeSet<NodeId>,
    /// The answers that arrived in the epoch, in order of arrival.
    answers: &'b [Answer<'a>],
}

impl<'a> Judge<'_, 'a> {
    fn majority(&self) -> usize {
        self.nodes / 2 + 1
    }

    /// How many answers are an agreement: a majority's, or one claim where nodes speak only of themselves.
    fn enough(&self) -> usize {
        if self.names { self.majority() } else { 1 }
    }

    /// The nodes that could lead throughout the epoch: able to, and connected both ways with a majority of able ones. A hindered node is
    /// one of them: nothing is demanded of it, and nobody may say that it didn't lead.
    fn electable(&self) -> BTreeSet<NodeId> {
        let able = &self.epoch.able;
        let reach = |node: NodeId| able.iter().filter(|&&other| self.epoch.may_connect(node, other)).count();
        able.iter().copied().filter(|&node| reach(node) >= self.majority()).collect()
    }

    /// All stretches of the epoch, in order.
    fn stretches(&self) -> Vec<Stretch<'a>> {
        let mut stretches = Vec::new();
        let mut latest: BTreeMap<NodeId, Answer<'a>> = BTreeMap::new();
        let electable = self.electable();
        let begin = |from, broken_by| Stretch { from, to: self.epoch.to, named: 0, broken_by, ended_by: None };
        let mut open = Some(begin(self.epoch.from, None));
        for answer in self.answers {
            let previous = latest.insert(answer.node, *answer);
            let named = if self.names {
                most_named(&latest, &electable)
            } else {
                latest.values().filter(|answer| answer.claims()).count()
            };
            if named < self.enough() {
                let stretch = open.get_or_insert_with(|| begin(answer.received, Some(*answer)));
                stretch.named = stretch.named.max(named);
            } else if let Some(stretch) = open.take() {
                // The node may have joined the others at any moment since it was asked the last time.
                let joined = previous.map_or(self.epoch.from, |previous| previous.sent);
                stretches.push(Stretch { to: joined.max(stretch.from), ended_by: Some(*answer), ..stretch });
            }
        }
        stretches.extend(open);
        stretches
    }

    /// Usable nodes that left more than `limit` between two answers of an interval.
    fn silent(&self, from: RunNanos, to: RunNanos, limit: Duration) -> Vec<NodeId> {
        let mut last: BTreeMap<NodeId, RunNanos> = self.epoch.usable.iter().map(|&node| (node, from)).collect();
        let mut silent = BTreeSet::new();
        let too_long = |from: RunNanos, to: RunNanos| {
            let gap = to.since(from);
            gap > limit && gap.saturating_sub(stalled(self.history, from, to)) > limit
        };
        let inside = self.answers.iter().filter(|answer| from <= answer.received && answer.received <= to);
        for answer in inside {
            if let Some(before) = last.get_mut(&answer.node)
                && too_long(std::mem::replace(before, answer.received), answer.received)
            {
                silent.insert(answer.node);
            }
        }
        silent.extend(last.into_iter().filter(|&(_, before)| too_long(before, to)).map(|(node, _)| node));
        silent.into_iter().collect()
    }

    /// Why the epoch as a whole says too little, if it does.
    fn silence(&self) -> Option<String> {
        let silent = self.silent(self.epoch.from, self.epoch.to, self.within);
        let heard = self.epoch.usable.len() - silent.len();
        (heard < self.majority()).then(|| {
            format!(
                "{} left more than {} between answers from {} to {}: too few nodes were heard",
                names(&silent),
                seconds(self.within),
                self.epoch.from,
                self.epoch.to
            )
        })
    }

    fn judge(&self, stretch: &Stretch<'a>) -> Verdict {
        if stretch.length() <= self.within {
            return Verdict::Valid;
        }
        let stalls = stalled(self.history, stretch.from, stretch.to);
        if stretch.length().saturating_sub(stalls) <= self.within {
            return Verdict::Valid;
        }
        let when = format!("no agreed leader from {} to {}", stretch.from, stretch.to);
        if stalls > self.within / DOUBT_SHARE {
            return Verdict::Unknown(format!("{when}, but the host stalled for {} of it", seconds(stalls)));
        }
        let silent = self.silent(stretch.from, stretch.to, self.within / DOUBT_SHARE);
        if !silent.is_empty() && stretch.named + silent.len() >= self.enough() {
            let done = if self.names { "named one" } else { "claimed to lead" };
            return Verdict::Unknown(format!("{when}, but {} may have {done} unheard", names(&silent)));
        }
        Verdict::Invalid(self.witness(stretch))
    }

    fn witness(&self, stretch: &Stretch<'a>) -> Witness {
        let clique: Vec<NodeId> = self.clique.iter().copied().collect();
        let mut lines: Vec<usize> = self.epoch.line.into_iter().collect();
        let began = match self.epoch.line {
            Some(line) => format!("line {line}"),
            None => "before line 2".to_owned(),
        };
        let mut steps = vec![format!(
            "{began}: the last change before {}; from there to {} {} were up, unpaused and connected to each other",
            self.epoch.from,
            self.epoch.to,
            names(&clique)
        )];
        if let Some(broken) = &stretch.broken_by {
            lines.push(broken.line);
            let lost = if self.names { "no majority named one leader" } else { "no node claimed to lead" };
            steps.push(format!("{}; with that {lost} any more", broken.step()));
        }
        let inside: Vec<&Answer<'_>> = self
            .answers
            .iter()
            .filter(|answer| stretch.from <= answer.received && answer.received <= stretch.to)
            .collect();
        for node in &clique {
            let mut of_node = inside.iter().filter(|answer| answer.node == *node);
            let (first, last) = (of_node.next(), of_node.next_back());
            for answer in [first, last].into_iter().flatten() {
                if lines.contains(&answer.line) {
                    continue;
                }
                lines.push(answer.line);
                steps.push(answer.step());
            }
        }
        if let Some(ended) = &stretch.ended_by {
            lines.push(ended.line);
            let came = if self.names { "a majority named one leader" } else { "a node claimed to lead" };
            steps.push(format!("{}; only then {came}", ended.step()));
        }
        let found = if self.names {
            format!("at most {} of {} nodes at once named one leader that could lead", stretch.named, self.nodes)
        } else {
            "no node claimed to lead".to_owned()
        };
        steps.push(format!(
            "line {} to line {}: in {} {found}",
            inside.first().map_or(0, |answer| answer.line),
            inside.last().map_or(0, |answer| answer.line),
            count(inside.len(), "answer"),
        ));
        let nobody = if self.names { "no majority named a leader that could lead" } else { "no node claimed to lead" };
        let sentence = format!(
            "{nobody} for {} from {} on, though {} were up and connected (bound {})",
            seconds(stretch.length()),
            stretch.from,
            names(&clique),
            seconds(self.within)
        );
        Witness::new(sentence, lines, steps, stretch.from + self.within, clique)
    }
}

/// The most nodes whose latest answers name one leader, of those that could lead, of one term.
fn most_named(latest: &BTreeMap<NodeId, Answer<'_>>, electable: &BTreeSet<NodeId>) -> usize {
    let mut counts: BTreeMap<(Term, NodeId), usize> = BTreeMap::new();
    for named in latest.values().filter_map(Answer::named).filter(|(_, leader)| electable.contains(leader)) {
        *counts.entry(named).or_default() += 1;
    }
    counts.into_values().max().unwrap_or_default()
}

fn names(nodes: &[NodeId]) -> String {
    let names: Vec<String> = nodes.iter().map(ToString::to_string).collect();
    names.join(", ")
}
