//! `OneLeaderAtATime`: at no instant do two nodes both lead, whatever their terms; or never for longer than is allowed.
//!
//! Raft promises one leader *per term*, and two of different terms may overlap for as long as the older one has not heard of the
//! newer. Who promises more (a lease that is waited out, a lock, one virtual address) is held to it here.
//!
//! *What is known.* An answer was true at some instant in `[sent, received]`; what a node said unasked was true at its stamp
//! `sent`. So a claim shows one instant of leadership, somewhere in its span.
//!
//! *A reign.* Two claims of one node, one incarnation and one term, with no other answer of that node that may have been given
//! between them, prove leadership from the first one's `received` to the second one's `sent`:
//!
//! * where the system shows terms, because leading a term is one contiguous stretch (to lead it again takes another term);
//! * where it shows none, under an assumption, and only if the answers follow each other within [`REIGN_GAP`] and the process was
//!   not stopped in between: that the lead isn't given up, taken, given up again and taken back between two such answers.
//!   Systems that hand over that fast should be watched through their clients (the lock workload), not through polls.
//!
//! While a process is stopped or down it leads nobody, whatever its log, its address or its last word say: only instants at
//! which both processes ran for certain count ([topology](crate::topology)). A node that answers a question which left after it
//! was stopped does run, if only a running process can answer: what was stopped is another process of that node.
//!
//! ```text
//!   A:  ──[claim]───────────────────────[claim]──      A led on ├─────────────────────┤
//!           sent received           sent  received
//!   B:  ────────────[claim]──────────────────────      B led at one instant of it: two led, for an instant
//!   B:  ────────────[claim]────[claim]───────────      B led on      ├────┤: two led for at least that long
//!   B:  ───────────────────────────────────[claim]      A may have ended before: acquitted
//! ```
//!
//! *Why it is sound.* Let `A`'s reign be proven on `[x, y]` and `B`'s claim lie in `[s, r]` with `x ≤ s` and `r ≤ y`. The instant
//! at which `B` led is in `[s, r]`, hence in `[x, y]`, where `A` led: both led at that instant. Two proven reigns of different
//! nodes that share `[p, q]` prove `q − p`. A violation is one longer than `allowed`; with nothing allowed, an instant is enough.
//! Every witness is checked again by [`verify`](mod@verify), which shares no code with the search.
//!
//! `Valid` is about what was asked: a double claim between two polls is not seen. `Unknown`: nobody ever claimed to lead, or a
//! node was never heard. O(n log n) plus the pairs of reigns that overlap. Source: Gray and Cheriton, "Leases" (SOSP 1989), for what is
//! promised; the intervals are those of an interval order (Fishburn).

mod verify;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chaos_history::{
    Event, FaultEdge, FaultEvent, FaultId, History, Impact, NodeId, ObservationSource, RunNanos, Term, TermsFrom,
};

use crate::answers::{Answer, answers};
use crate::text::{count, seconds};
use crate::topology::Topology;
use crate::verdict::{Verdict, Witness};

/// Without terms of the system, two claims prove what is between them only if they are this close.
pub(crate) const REIGN_GAP: Duration = Duration::from_secs(1);

/// At most one leader at a time.
pub(crate) fn one_leader(history: &History, allowed: Duration) -> (Verdict, String) {
    let answers = answers(history);
    let topology = Topology::of(history);
    let awake = awake(&topology, history);
    let mut by_node: BTreeMap<NodeId, Vec<Answer<'_>>> = BTreeMap::new();
    for answer in &answers.told {
        by_node.entry(answer.node).or_default().push(*answer);
    }
    let claims: Vec<Answer<'_>> = answers.told.iter().filter(|answer| answer.claims()).copied().collect();
    let mut reigns = Vec::new();
    for (node, of_node) in &mut by_node {
        let spans = awake.get(node).map_or(&[][..], Vec::as_slice);
        reigns.extend(stretches(of_node, history.header.testimony.terms, spans));
    }
    let basis = format!(
        "{} by {}, {}",
        count(claims.len(), "claim"),
        count(claims.iter().map(|claim| claim.node).collect::<BTreeSet<_>>().len(), "node"),
        count(reigns.len(), "proven reign")
    );
    if let Some(proof) = longest(&reigns, &claims, &awake, allowed) {
        let found = proof.lines();
        return match verify::proves(history, &found, allowed) {
            Ok(()) => (Verdict::Invalid(proof.witness(history, allowed)), basis),
            Err(why) => (Verdict::Unknown(format!("a proof of two leaders that can't be confirmed: {why}")), basis),
        };
    }
    let unheard = NodeId::all(topology.nodes).find(|node| !by_node.contains_key(node));
    let verdict = match unheard {
        _ if claims.is_empty() => Verdict::Unknown("no node ever claimed to lead".to_owned()),
        Some(node) => Verdict::Unknown(format!("{node} was never heard")),
        None => Verdict::Valid,
    };
    (answers.conclude(verdict), basis)
}

/// A stretch of time, both ends included.
type Span = (RunNanos, RunNanos);

/// When an answer was true: some instant of this.
fn span(answer: &Answer<'_>) -> Span {
    match answer.source {
        ObservationSource::Poll => (answer.sent, answer.received),
        ObservationSource::Push => (answer.sent, answer.sent),
    }
}

/// When each node ran for certain, in order.
fn awake(topology: &Topology, history: &History) -> BTreeMap<NodeId, Vec<Span>> {
    let mut awake: BTreeMap<NodeId, Vec<Span>> = BTreeMap::new();
    for epoch in &topology.epochs {
        for &node in &epoch.usable {
            awake.entry(node).or_default().push((epoch.from, epoch.to));
        }
    }
    if history.header.testimony.shows_life {
        shown(history).into_iter().for_each(|(node, span)| awake.entry(node).or_default().push(span));
    }
    for spans in awake.values_mut() {
        spans.sort_unstable();
        spans.dedup_by(|next, last| {
            let meets = next.0 <= last.1;
            last.1 = if meets { last.1.max(next.1) } else { last.1 };
            meets
        });
    }
    awake
}

/// When nodes that were to be stopped ran all the same: from the first question asked meanwhile that they answered meanwhile.
fn shown(history: &History) -> Vec<(NodeId, Span)> {
    // Each with when its end was called and when that was confirmed: what is answered in between may be of a resumed process.
    let mut stops: BTreeMap<FaultId, (&FaultEvent, Span)> = BTreeMap::new();
    for recorded in &history.events {
        let Event::Fault(fault) = &recorded.event else { continue };
        match (fault.kind.impact(), fault.edge) {
            (Impact::Stops, FaultEdge::Begin) => {
                stops.entry(fault.id).or_insert((fault, (history.end(), history.end())));
            }
            (Impact::Stops, FaultEdge::End) => {
                let until = (fault.stamps.call_begin, fault.stamps.effect.unwrap_or(fault.stamps.call_end));
                stops.entry(fault.id).and_modify(|stop| stop.1 = until);
            }
            (Impact::Ends | Impact::Hinders | Impact::Spares, _) => {}
        }
    }
    let answers = answers(history).told;
    let of_stop = |(fault, (called, until)): (&FaultEvent, Span)| {
        let from = fault.stamps.effect.unwrap_or(fault.stamps.call_end);
        let inside = |answer: &&Answer<'_>| {
            answer.source == ObservationSource::Poll && from < answer.sent && answer.received < called
        };
        let first = |node: &NodeId| {
            let of_node = answers.iter().filter(|answer| answer.node == *node).filter(inside);
            of_node.map(|answer| (answer.node, (answer.sent, until))).min_by_key(|(_, span)| span.0)
        };
        fault.nodes.iter().filter_map(first).collect::<Vec<_>>()
    };
    stops.into_values().flat_map(of_stop).collect()
}

/// A stretch in which a node led for certain, and the claims that prove it.
#[derive(Clone, Debug)]
struct Stretch<'a> {
    node: NodeId,
    from: RunNanos,
    to: RunNanos,
    /// In order; never fewer than two.
    claims: Vec<Answer<'a>>,
}

impl<'a> Stretch<'a> {
    /// The closest claims around a stretch of time inside of it.
    fn around(&self, (from, to): Span) -> [Answer<'a>; 2] {
        let before = self.claims.iter().filter(|claim| span(claim).1 <= from).max_by_key(|claim| span(claim).1);
        let after = self.claims.iter().filter(|claim| span(claim).0 >= to).min_by_key(|claim| span(claim).0);
        let (first, last) = (self.claims[0], self.claims[self.claims.len() - 1]);
        [before.copied().unwrap_or(first), after.copied().unwrap_or(last)]
    }
}

/// What an answer says of leading: nothing, or a claim of an incarnation in a term.
fn state(answer: &Answer<'_>) -> Option<(u64, Term)> {
    answer.claims().then_some((answer.incarnation, answer.belief.term))
}

/// Everything that one node's answers prove, cut to where it ran.
fn stretches<'a>(of_node: &mut [Answer<'a>], terms: TermsFrom, awake: &[Span]) -> Vec<Stretch<'a>> {
    of_node.sort_by_key(|answer| (span(answer), answer.line));
    // Of the answers up to each, in order of when they were true at the earliest: the latest end, and the latest one that is of
    // another state. What was asked early and told late may be younger than what lies between.
    let mut latest: Vec<Latest> = Vec::with_capacity(of_node.len());
    for answer in of_node.iter() {
        let before = latest.last().copied().unwrap_or_default();
        latest.push(before.with(state(answer), span(answer).1));
    }
    let joined = |one: &Answer<'_>, other: &Answer<'_>| {
        let close = match terms {
            TermsFrom::System => true,
            TermsFrom::Reigns => {
                let (from, to) = (span(one).1, span(other).0);
                let ran = awake.iter().any(|&(begin, end)| begin <= from && to <= end);
                ran && span(other).1.since(span(one).0) <= REIGN_GAP
            }
        };
        let begun = of_node.partition_point(|answer| span(answer).0 < span(other).1);
        let contradicted = latest[..begun].last().and_then(|latest| latest.other_than(state(one)));
        close && state(one) == state(other) && contradicted.is_none_or(|until| until <= span(one).0)
    };
    let claims: Vec<Answer<'a>> = of_node.iter().filter(|answer| answer.claims()).copied().collect();
    let mut found = Vec::new();
    for run in claims.chunk_by(joined) {
        let from = run.iter().map(|claim| span(claim).1).min().unwrap_or_default();
        let to = run.iter().map(|claim| span(claim).0).max().unwrap_or_default();
        let pieces = awake.iter().map(|&(begin, end)| (from.max(begin), to.min(end))).filter(|(from, to)| from <= to);
        found.extend(pieces.map(|(from, to)| Stretch { node: run[0].node, from, to, claims: run.to_vec() }));
    }
    found
}

/// The two latest ends of answers of different states.
#[derive(Clone, Copy, Default)]
struct Latest {
    first: Option<(Option<(u64, Term)>, RunNanos)>,
    second: Option<(Option<(u64, Term)>, RunNanos)>,
}

impl Latest {
    fn with(self, state: Option<(u64, Term)>, to: RunNanos) -> Self {
        let Some(first) = self.first else { return Self { first: Some((state, to)), second: None } };
        if first.0 == state {
            return Self { first: Some((state, first.1.max(to))), ..self };
        }
        if to >= first.1 {
            return Self { first: Some((state, to)), second: Some(first) };
        }
        let second = self.second.filter(|second| second.0 != state && second.1 >= to);
        Self { second: Some(second.unwrap_or((state, to))), ..self }
    }

    /// The latest end of an answer of another state.
    fn other_than(self, state: Option<(u64, Term)>) -> Option<RunNanos> {
        let other = |entry: Option<(Option<(u64, Term)>, RunNanos)>| entry.filter(|entry| entry.0 != state);
        other(self.first).or(other(self.second)).map(|entry| entry.1)
    }
}

/// Two leaders at once.
struct Proof<'a> {
    /// Who led all the while: its claims around the shared stretch.
    one: [Answer<'a>; 2],
    /// Who led beside it: its claims around the shared stretch, or the one inside of it twice.
    other: [Answer<'a>; 2],
    /// Where both led; of a single claim, where its instant lies.
    shared: Span,
    /// For how long at least.
    lasted: Duration,
}

impl Proof<'_> {
    fn lines(&self) -> verify::Claimed {
        let lines = |claims: [Answer<'_>; 2]| claims.map(|claim| claim.line);
        verify::Claimed { one: lines(self.one), other: lines(self.other), shared: self.shared }
    }

    fn is_instant(&self) -> bool {
        self.other[0].line == self.other[1].line
    }

    fn witness(&self, history: &History, allowed: Duration) -> Witness {
        let ([a, b], [c, d]) = (self.one, self.other);
        let term = |claim: &Answer<'_>| match history.header.testimony.terms {
            TermsFrom::System => format!(" (term {})", claim.belief.term),
            TermsFrom::Reigns => String::new(),
        };
        let (from, to) = self.shared;
        let mut claims = vec![a, b, c, d];
        claims.sort_by_key(|claim| claim.line);
        claims.dedup_by_key(|claim| claim.line);
        let mut steps: Vec<String> = claims.iter().map(Answer::step).collect();
        let led = |[first, last]: [Answer<'_>; 2]| {
            let (lines, node) = (format!("lines {} and {}", first.line, last.line), first.node);
            format!("{lines}: of one reign, so that {node} led from {from} to {to}")
        };
        steps.push(led(self.one));
        let how_long = if self.is_instant() {
            steps.push(format!("line {}: {} led at an instant inside of that", c.line, c.node));
            format!("at some instant from {from} to {to}")
        } else {
            steps.push(led(self.other));
            format!("for at least {} from {from} on", seconds(self.lasted))
        };
        let bound = if allowed.is_zero() { String::new() } else { format!(" (allowed {})", seconds(allowed)) };
        let sentence = format!("{}{} and {}{} both led {how_long}{bound}", a.node, term(&a), c.node, term(&c));
        let lines = claims.iter().map(|claim| claim.line).collect();
        let at = if self.is_instant() { to } else { from + allowed };
        Witness::new(sentence, lines, steps, at, vec![a.node, c.node])
    }
}

/// The proof of the longest time with two leaders, if it is longer than allowed; of equal ones the first.
fn longest<'a>(
    stretches: &[Stretch<'a>],
    claims: &[Answer<'a>],
    awake: &BTreeMap<NodeId, Vec<Span>>,
    allowed: Duration,
) -> Option<Proof<'a>> {
    let mut by_begin: Vec<&Stretch<'a>> = stretches.iter().collect();
    by_begin.sort_by_key(|stretch| (stretch.from, stretch.to, stretch.node));
    let mut best: Option<Proof<'a>> = None;
    for (index, one) in by_begin.iter().enumerate() {
        let later = by_begin[index + 1..].iter().take_while(|other| other.from < one.to);
        for other in later.filter(|other| other.node != one.node) {
            let shared = (one.from.max(other.from), one.to.min(other.to));
            let lasted = shared.1.since(shared.0);
            if lasted > allowed && best.as_ref().is_none_or(|best| lasted > best.lasted) {
                best = Some(Proof { one: one.around(shared), other: other.around(shared), shared, lasted });
            }
        }
    }
    if best.is_some() || !allowed.is_zero() {
        return best;
    }
    let ran = |claim: &Answer<'_>| {
        let (from, to) = span(claim);
        awake.get(&claim.node).is_some_and(|spans| spans.iter().any(|&(begin, end)| begin <= from && to <= end))
    };
    let mut instants: Vec<Answer<'a>> = claims.iter().filter(|claim| ran(claim)).copied().collect();
    instants.sort_by_key(|claim| (span(claim), claim.line));
    by_begin.into_iter().find_map(|one| {
        let first = instants.partition_point(|claim| span(claim).0 < one.from);
        let within = instants[first..].iter().take_while(|claim| span(claim).0 <= one.to);
        let beside = within.filter(|claim| claim.node != one.node).find(|claim| span(claim).1 <= one.to)?;
        let shared = span(beside);
        Some(Proof { one: one.around(shared), other: [*beside; 2], shared, lasted: Duration::ZERO })
    })
}
