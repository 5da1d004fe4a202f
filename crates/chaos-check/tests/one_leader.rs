//! `OneLeaderAtATime` against the truth and against brute force, over random timelines.
//!
//! A timeline has true reigns of three nodes. Some are exclusive, as of a lock that is waited out; some are not, as of a virtual
//! address on both sides of a cut. They are polled and pushed with random delays and losses, and stopped at random. Whoever is
//! convicted must have led beside another in truth; whoever did so for long, and was asked densely, must be convicted.

#![expect(clippy::unwrap_used, reason = "a test may panic; the lint exempts only the test functions themselves")]

use std::time::Duration;

use chaos_check::{Budget, Property, Verdict, check};
use chaos_history::{
    Belief, ElectionRole, Event, FaultEdge, FaultEvent, FaultId, FaultKind, Header, History, NodeId, Observation,
    ObservationOutcome, ObservationSource, Recorded, RunNanos, Seed, Stamps, Term, TermsFrom, Testimony,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

const MS: u64 = 1_000_000;
/// The end of every timeline, in milliseconds.
const END: u64 = 6_000;

/// A node led from `from` until just before `to`, in milliseconds, in a term of its own.
#[derive(Clone, Copy, Debug)]
struct Reign {
    node: u16,
    from: u64,
    to: u64,
    term: u64,
}

/// A node was stopped from `from` until just before `to`.
#[derive(Clone, Copy, Debug)]
struct Stop {
    node: u16,
    from: u64,
    to: u64,
}

/// One question: when it is asked, how long the way there and the way back take, and whether the answer is lost.
#[derive(Clone, Copy, Debug)]
struct Ask {
    node: u16,
    sent: u64,
    there: u64,
    back: u64,
    pushed: bool,
    lost: bool,
}

#[derive(Clone, Debug)]
struct Timeline {
    reigns: Vec<Reign>,
    stops: Vec<Stop>,
    asks: Vec<Ask>,
    terms: TermsFrom,
}

impl Timeline {
    fn stopped(&self, node: u16, at: u64) -> bool {
        self.stops.iter().any(|stop| stop.node == node && stop.from <= at && at < stop.to)
    }

    fn reign_at(&self, node: u16, at: u64) -> Option<&Reign> {
        self.reigns.iter().find(|reign| reign.node == node && reign.from <= at && at < reign.to)
    }

    /// How many milliseconds in a row at most two nodes led at once, both of them running.
    fn truth(&self) -> u64 {
        let (mut row, mut longest) = (0, 0);
        for at in 0..END {
            let leads = |node: &u16| self.reign_at(*node, at).is_some() && !self.stopped(*node, at);
            row = if (1..=3).filter(leads).count() > 1 { row + 1 } else { 0 };
            longest = longest.max(row);
        }
        longest
    }

    /// What a harness records of it.
    fn history(&self) -> History {
        let mut events: Vec<(u64, Event)> = Vec::new();
        for (id, stop) in (1..).zip(&self.stops) {
            events.push((stop.from, edge(id, FaultEdge::Begin, stop.node, stop.from)));
            events.push((stop.to, edge(id, FaultEdge::End, stop.node, stop.to)));
        }
        for ask in &self.asks {
            // A stopped process answers when it runs again, and says then what is true then.
            let mut told = ask.sent + ask.there;
            while self.stopped(ask.node, told) {
                told += 1;
            }
            let received = told + ask.back;
            if ask.lost || received >= END {
                continue;
            }
            let reign = self.reign_at(ask.node, told);
            let highest = self.reigns.iter().filter(|reign| reign.from <= told).map(|reign| reign.term).max();
            let (source, sent) = match ask.pushed {
                true => (ObservationSource::Push, told),
                false => (ObservationSource::Poll, ask.sent),
            };
            let belief = Belief {
                term: Term(reign.map_or(highest.unwrap_or_default(), |reign| reign.term)),
                role: if reign.is_some() { ElectionRole::Leader } else { ElectionRole::Follower },
                leader: reign.map(|reign| NodeId::new(reign.node)),
                voted_for: None,
                commit: None,
                lease_remaining_ns: None,
            };
            let observation = Observation {
                node: NodeId::new(ask.node),
                incarnation: 1,
                source,
                sent: RunNanos(sent * MS),
                received: RunNanos(received * MS),
                outcome: ObservationOutcome::Answered(belief),
            };
            events.push((received, Event::Observation(observation)));
        }
        events.sort_by_key(|(at, _)| *at);
        let record = |(line, (at, event))| Recorded { line, at: RunNanos(at * MS), event };
        let header = Header {
            chaos_history: 1,
            simulated: None,
            workload: "random".to_owned(),
            system: "simulated".to_owned(),
            nodes: 3,
            seed: Seed(1),
            started: String::new(),
            chaos: String::new(),
            testimony: Testimony { terms: self.terms, names_leader: false, ..Testimony::default() },
        };
        History { header, events: (2..).zip(events).map(record).collect(), torn: false }
    }
}

fn edge(id: u32, edge: FaultEdge, node: u16, at: u64) -> Event {
    let at = RunNanos(at * MS);
    Event::Fault(FaultEvent {
        process: None,
        id: FaultId(id),
        edge,
        kind: FaultKind::Pause,
        label: "pause".to_owned(),
        nodes: vec![NodeId::new(node)],
        links: Vec::new(),
        leader: None,
        stamps: Stamps { scheduled: at, call_begin: at, call_end: at, effect: Some(at) },
        source: None,
        error: None,
    })
}

/// Reigns one after the other, each over before the next begins or, if not `exclusive`, some time after.
fn reigns(exclusive: bool) -> impl Strategy<Value = Vec<Reign>> {
    let one = (1_u16..=3, 0_u64..60, 1_100_u64..2_500, 0_u64..900);
    prop::collection::vec(one, 1..5).prop_map(move |drawn| {
        let (mut from, mut reigns) = (0, Vec::<Reign>::new());
        for (term, (node, pause, length, beyond)) in (1..).zip(drawn) {
            from += pause;
            let to = from + length + if exclusive { 0 } else { beyond };
            if let Some(last) = reigns.iter_mut().rfind(|last| last.node == node) {
                // A node's own reigns never overlap.
                last.to = last.to.min(from);
            }
            reigns.push(Reign { node, from, to, term });
            from += length;
        }
        reigns
    })
}

/// Questions to each node, one after the other, and a few words unasked in between.
fn asks() -> impl Strategy<Value = Vec<Ask>> {
    let of = |node: u16| {
        let one = (5_u64..60, 0_u64..8, 0_u64..8, 0_u8..10, 0_u8..20);
        prop::collection::vec(one, 80..140).prop_map(move |drawn| {
            let mut sent = 0;
            let ask = |(gap, there, back, pushed, lost)| {
                sent += gap;
                Ask { node, sent, there, back, pushed: pushed == 0, lost: lost == 0 }
            };
            drawn.into_iter().map(ask).collect::<Vec<Ask>>()
        })
    };
    (of(1), of(2), of(3)).prop_map(|(one, two, three)| [one, two, three].concat())
}

fn stops() -> impl Strategy<Value = Vec<Stop>> {
    let one = (1_u16..=3, 100_u64..3_000, 20_u64..2_000);
    prop::collection::vec(one, 0..3).prop_map(|drawn| {
        let (mut from, mut stops) = (0, Vec::new());
        for (node, gap, length) in drawn {
            from += gap;
            stops.push(Stop { node, from, to: from + length });
            from += length;
        }
        stops
    })
}

fn timelines(exclusive: bool) -> impl Strategy<Value = Timeline> {
    let terms = prop_oneof![Just(TermsFrom::System), Just(TermsFrom::Reigns)];
    (reigns(exclusive), stops(), asks(), terms).prop_map(|(reigns, stops, asks, terms)| Timeline {
        reigns,
        stops,
        asks,
        terms,
    })
}

fn convicts(history: &History, allowed: u64) -> bool {
    let allowed = Duration::from_millis(allowed);
    match check(history, Property::OneLeaderAtATime { allowed }, &Budget::default()).verdict {
        Verdict::Invalid(_) => true,
        Verdict::Valid => false,
        Verdict::Unknown(why) => {
            assert!(!why.contains("confirmed"), "the verifier refused a proof of the search: {why}");
            false
        }
    }
}

/// One claim: its node, its term, when it was true.
type Claim = (NodeId, Term, u64, u64);

/// The definition, by trying every pair of pairs of claims: the longest stretch that is proven, in milliseconds; 0 for an instant.
fn brute_force(timeline: &Timeline, history: &History) -> Option<u64> {
    let answers: Vec<(Claim, bool)> = history.events.iter().filter_map(|recorded| told(&recorded.event)).collect();
    let claims: Vec<Claim> = answers.iter().filter(|(_, claims)| *claims).map(|(claim, _)| *claim).collect();
    let running = |node: NodeId, from: u64, to: u64| {
        let off = |stop: &&Stop| NodeId::new(stop.node) == node;
        let mut points = vec![(from, to)];
        for stop in timeline.stops.iter().filter(off) {
            points = points.iter().flat_map(|&(a, b)| [(a, b.min(stop.from)), (a.max(stop.to), b)]).collect();
        }
        points.into_iter().filter(|(a, b)| a <= b).collect::<Vec<_>>()
    };
    // Neighbours in time that are of one reign; longer stretches are chains of them.
    let mut proven: Vec<(NodeId, Term, u64, u64)> = Vec::new();
    for first in &claims {
        for last in claims.iter().filter(|last| (last.0, last.1) == (first.0, first.1) && first.3 <= last.2) {
            let other = |(answer, claims): &(Claim, bool)| {
                let same = *claims && (answer.0, answer.1) == (first.0, first.1);
                answer.0 == first.0 && !same && answer.2 < last.3 && answer.3 > first.2
            };
            let whole = running(first.0, first.3, last.2).contains(&(first.3, last.2));
            let close = timeline.terms == TermsFrom::System || (last.3 - first.2 <= 1_000 && whole);
            if close && !answers.iter().any(other) {
                proven.extend(running(first.0, first.3, last.2).into_iter().map(|(a, b)| (first.0, first.1, a, b)));
            }
        }
    }
    proven.sort_by_key(|&(node, term, a, b)| (node, term, a, b));
    let mut stretches: Vec<(NodeId, Term, u64, u64)> = Vec::new();
    for next in proven {
        match stretches.last_mut().filter(|last| (last.0, last.1) == (next.0, next.1) && next.2 <= last.3) {
            Some(last) => last.3 = last.3.max(next.3),
            None => stretches.push(next),
        }
    }
    let mut longest = None;
    for one in &stretches {
        for other in stretches.iter().filter(|other| other.0 != one.0) {
            let (from, to) = (one.2.max(other.2), one.3.min(other.3));
            longest = longest.max((from < to).then(|| to - from));
        }
        let inside = |claim: &&Claim| claim.0 != one.0 && one.2 <= claim.2 && claim.3 <= one.3;
        let ran = |claim: &Claim| running(claim.0, claim.2, claim.3).contains(&(claim.2, claim.3));
        longest = longest.max(claims.iter().filter(inside).any(ran).then_some(0));
    }
    longest
}

fn told(event: &Event) -> Option<(Claim, bool)> {
    let Event::Observation(observation) = event else { return None };
    let ObservationOutcome::Answered(belief) = &observation.outcome else { return None };
    let to = match observation.source {
        ObservationSource::Poll => observation.received,
        ObservationSource::Push => observation.sent,
    };
    let claim = (observation.node, belief.term, observation.sent.0 / MS, to.0 / MS);
    Some((claim, belief.role == ElectionRole::Leader))
}

/// Tries `cases` timelines from one seed for ever the same.
fn try_all(cases: u32, exclusive: bool, test: impl Fn(Timeline) -> Result<(), TestCaseError>) {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    TestRunner::new_with_rng(config, rng).run(&timelines(exclusive), test).unwrap();
}

#[test]
fn leaders_that_never_meet_are_never_convicted() {
    try_all(1_500, true, |timeline| {
        prop_assert_eq!(timeline.truth(), 0);
        prop_assert!(!convicts(&timeline.history(), 0));
        Ok(())
    });
}

#[test]
fn whoever_is_convicted_led_beside_another_for_as_long() {
    let (convicted, acquitted) = (std::cell::Cell::new(0), std::cell::Cell::new(0));
    try_all(1_500, false, |timeline| {
        let (history, truth) = (timeline.history(), timeline.truth());
        for allowed in [0, 50, 400] {
            let convicts = convicts(&history, allowed);
            prop_assert!(!convicts || truth > allowed, "convicted of more than {} ms, in truth {} ms", allowed, truth);
            let count = if convicts { &convicted } else { &acquitted };
            count.set(count.get() + 1);
        }
        Ok(())
    });
    assert!(convicted.get() > 300 && acquitted.get() > 300, "{convicted:?} convicted, {acquitted:?} acquitted");
}

#[test]
fn the_search_finds_what_trying_all_pairs_of_claims_finds() {
    try_all(150, false, |timeline| {
        let history = timeline.history();
        let longest = brute_force(&timeline, &history);
        prop_assert_eq!(convicts(&history, 0), longest.is_some());
        if let Some(longest) = longest.filter(|longest| *longest > 0) {
            prop_assert!(convicts(&history, longest - 1), "{} ms are proven", longest);
            prop_assert!(!convicts(&history, longest), "no more than {} ms are proven", longest);
        }
        Ok(())
    });
}

#[test]
fn a_long_meeting_that_is_asked_densely_is_always_convicted() {
    let dense =
        |node| (0..END / 20).map(move |n| Ask { node, sent: n * 20, there: 1, back: 1, pushed: false, lost: false });
    for terms in [TermsFrom::System, TermsFrom::Reigns] {
        for meet in [60, 200, 1_000] {
            let reigns = vec![
                Reign { node: 1, from: 0, to: 2_000 + meet, term: 1 },
                Reign { node: 2, from: 2_000, to: END, term: 2 },
            ];
            let asks = (1..=3).flat_map(dense).collect();
            let timeline = Timeline { reigns, stops: Vec::new(), asks, terms };
            assert!(convicts(&timeline.history(), 0), "{meet} ms");
            assert!(!convicts(&timeline.history(), meet), "{meet} ms are allowed");
        }
    }
}
