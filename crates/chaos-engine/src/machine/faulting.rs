//! A fault from its aim to its end.

use std::collections::BTreeSet;

use chaos_history::{FaultId, FaultKind, NodeId, RunNanos, Seed, SourcePlace};
use chaos_plan::{Fault, Target, Until};

use super::{ANSWER_WITHIN, Doing, FaultStep, Lasting, Machine, Shared, Surroundings, at_place};
use crate::faults::{Aimed, Lift};
use crate::partition;
use crate::pulse::Pulse;
use crate::random::Stream;
use crate::target::{self, Scene, Unresolved};

impl Machine {
    /// Finds the moment at which the fault is to begin.
    pub(super) fn aim(&mut self, step: FaultStep, shared: &mut Shared, around: &Surroundings<'_>) -> Doing {
        let at = self.begins_at(step.phase, step.number, shared, around);
        Doing::Aiming { step, at }
    }

    /// Resolves the fault and commands its begin.
    pub(super) fn inject(
        &mut self,
        step: FaultStep,
        scheduled: RunNanos,
        shared: &mut Shared,
        around: &mut Surroundings<'_>,
    ) -> Doing {
        let now = around.now;
        match resolve(&step, scheduled, shared, around) {
            Ok(aimed) => {
                if let Some(name) = &step.name {
                    shared.named.insert(name.clone(), aimed.nodes.clone());
                }
                if !aimed.conditioned.is_empty() {
                    let links: Vec<String> = aimed.conditioned.iter().map(|link| format!("{link:?}")).collect();
                    around.remark(format!("`{}`: {}", step.label, links.join(", ")));
                }
                if let Some(to) = aimed.to {
                    around.remark(format!("`{}`: to {to}", step.label));
                }
                let fault = around.faults.begin(aimed, around.out);
                Doing::Beginning { step, fault, until: now + ANSWER_WITHIN }
            }
            Err(Unresolved::NoLeader) if now < step.give_up => Doing::WithoutTarget { step },
            Err(unresolved) => Self::skip(&step, unresolved, shared, around),
        }
    }

    pub(super) fn skip(
        step: &FaultStep,
        unresolved: Unresolved,
        shared: &mut Shared,
        around: &mut Surroundings<'_>,
    ) -> Doing {
        let (label, at, reason) = (&step.label, at_place(&step.place), unresolved.reason());
        around.remark(format!("skipped `{label}` ({at}): {reason}"));
        shared.faults_done += 1;
        Doing::Next
    }

    /// The world answered the begin, or didn't in time.
    pub(super) fn begun(step: FaultStep, fault: FaultId, shared: &mut Shared, around: &mut Surroundings<'_>) -> Doing {
        let now = around.now;
        if let Some(since) = around.faults.active_since(fault) {
            return match step.lasting {
                Lasting::Drawn(lasting) => Doing::Holding { step, fault, until: since + lasting },
                Lasting::Until(condition) => {
                    Doing::Enduring { step, fault, condition, since, until: since + condition.within }
                }
                Lasting::Open => {
                    shared.faults_done += 1;
                    Doing::Next
                }
            };
        }
        if around.faults.is_beginning(fault) {
            let (label, waited) = (&step.label, ANSWER_WITHIN.as_secs());
            around.remark(format!("no answer within {waited}s that `{label}` took effect"));
            // It is taken back when the answer comes, or by force at the end of the run.
            around.faults.lift(fault, &Lift { scheduled: now, source: None }, around.out);
            shared.faults_done += 1;
            return Doing::Next;
        }
        ending(step.label, BTreeSet::from([fault]), true, now)
    }

    /// Holds a fault until another node leads, or for as long as that may take.
    pub(super) fn endure(
        step: FaultStep,
        fault: FaultId,
        condition: Until,
        (since, until): (RunNanos, RunNanos),
        around: &mut Surroundings<'_>,
    ) -> (Doing, bool) {
        let now = around.now;
        if !around.faults.is_under_way(fault) {
            return (Doing::Holding { step, fault, until: now }, true);
        }
        if around.view.another_leads(around.faults.leader_before(fault), since) {
            return (Doing::Holding { step, fault, until: now + condition.plus }, true);
        }
        if now < until {
            return (Doing::Enduring { step, fault, condition, since, until }, false);
        }
        let (label, within, seen) = (&step.label, condition.within, around.view.seen(now));
        around.remark(format!("`{label}` lasted {within:?}, and nobody else led meanwhile: {seen}"));
        (Doing::Holding { step, fault, until: now }, true)
    }

    /// The fault's time is over, or a step beside this one has ended it already.
    pub(super) fn take_back(step: FaultStep, fault: FaultId, until: RunNanos, around: &mut Surroundings<'_>) -> Doing {
        around.faults.lift(fault, &Lift { scheduled: until, source: Some(step.place) }, around.out);
        ending(step.label, BTreeSet::from([fault]), true, around.now)
    }

    /// A restart, resume or heal.
    pub(super) fn bring_back(
        (kind, verb): (FaultKind, &str),
        whom: Option<&Target>,
        (number, place): (usize, SourcePlace),
        shared: &mut Shared,
        around: &mut Surroundings<'_>,
    ) -> Doing {
        let now = around.now;
        let at = at_place(&place);
        let lift = Lift { scheduled: now, source: Some(place) };
        let commands_before = around.out.len();
        let faults = match whom {
            None => around.faults.lift_all(Some(kind), &lift, around.out),
            Some(whom) => {
                let held = around.faults.hit(kind);
                let (named, stream) = shared.names_and_stream(number);
                let scene = Scene { view: around.view, leader: None, named };
                let nodes = target::among(whom, &held, scene, stream);
                around.faults.bring_back(kind, &nodes, &lift, around.out)
            }
        };
        if faults.is_empty() && around.out.len() == commands_before {
            around.remark(format!("`{verb}` had nothing to take back ({at})"));
        }
        ending(verb.to_owned(), faults, false, now)
    }
}

fn resolve(
    step: &FaultStep,
    scheduled: RunNanos,
    shared: &mut Shared,
    around: &Surroundings<'_>,
) -> Result<Aimed, Unresolved> {
    let leaders = around.leaders();
    let (named, stream) = shared.names_and_stream(step.number);
    let scene = Scene { view: around.view, leader: leaders.working, named };
    let none = BTreeSet::new();
    let mut aim = |target| target::resolve(target, &none, scene, stream);
    let mut aimed = Aimed {
        fault: step.fault.clone(),
        label: step.label.clone(),
        nodes: Vec::new(),
        links: Vec::new(),
        conditioned: Vec::new(),
        pulse: None,
        seed: Seed(0),
        leader: leaders.named,
        to: None,
        scheduled,
        source: Some(step.place.clone()),
    };
    match &step.fault {
        Fault::Transfer { to } => {
            aimed.nodes = aim(&Target::Leader)?;
            aimed.to = to.as_ref().map(|to| successor(to, &aimed.nodes, scene, stream)).transpose()?;
        }
        Fault::Partition(shape, _) => {
            let cut = partition::resolve(shape, scene, stream)?;
            (aimed.nodes, aimed.links) = (cut.nodes, cut.links.into_iter().collect());
        }
        Fault::Link { links, .. } => {
            let chosen = partition::chosen(links, scene, stream)?;
            (aimed.nodes, aimed.conditioned) = (chosen.nodes, chosen.links.into_iter().collect());
        }
        Fault::FreezeHost { target } => {
            aimed.nodes = target::still_to_hit(aim(target)?, &step.fault, scene.view)?;
            aimed.links = target::legs(&aimed.nodes, scene.view);
        }
        Fault::CrashLoop { target, up, down } => {
            aimed.nodes = target::still_to_hit(aim(target)?, &step.fault, scene.view)?;
            aimed.pulse = Some(Pulse::new(&aimed.nodes, *up, *down, stream.fork()));
        }
        Fault::PowerLoss { target, .. } | Fault::CorruptFile { target, .. } => {
            aimed.nodes = target::still_to_hit(aim(target)?, &step.fault, scene.view)?;
            aimed.seed = stream.seed();
        }
        Fault::Kill { target, .. }
        | Fault::Pause { target, .. }
        | Fault::RemoveMember { target }
        | Fault::Hinder { target, .. } => {
            aimed.nodes = target::still_to_hit(aim(target)?, &step.fault, scene.view)?;
        }
    }
    Ok(aimed)
}

/// To whom a leader is to hand over.
fn successor(to: &Target, leader: &[NodeId], scene: Scene<'_>, stream: &mut Stream) -> Result<NodeId, Unresolved> {
    // Whoever is drawn must be able to take over.
    let to = if *to == Target::Random { &Target::Follower } else { to };
    let nodes = target::resolve(to, &BTreeSet::new(), scene, stream)?;
    let others = nodes.into_iter().filter(|node| !leader.contains(node) && scene.view.is_member(*node));
    others.min().ok_or(Unresolved::Nothing)
}

fn ending(label: String, faults: BTreeSet<FaultId>, of_fault_step: bool, now: RunNanos) -> Doing {
    Doing::Ending { label, faults, of_fault_step, until: now + ANSWER_WITHIN }
}
