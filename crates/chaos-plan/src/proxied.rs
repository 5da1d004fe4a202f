//! What a network of proxies can't do: of the system, and of the plan.
//!
//! Proxies see the bytes of TCP connections and no packets, and have no namespaces beside them. A fault that needs either is a mistake
//! at its step's place, and a system whose nodes find each other in a way that leads past the proxies is one at its name: faults between
//! its nodes would reach nobody.

use crate::error::{Mistake, Mistakes};
use crate::fault::Fault;
use crate::model::System;
use crate::order::faults;
use crate::read::ReadPlan;
use crate::source::Place;
use crate::wire::{DropMode, HealMode, LinkConditions};

/// Notes that the system's nodes can't be kept apart by proxies, if so.
pub(crate) fn check_system(system: &System, place: Option<Place>, mistakes: &mut Mistakes) {
    if let (System::Defined(defined), Some(place)) = (system, place)
        && !defined.definition.proxied
    {
        let mistake = Mistake::at(place, format!("`{}` can't run on `network: proxy`", system.name()))
            .label("its nodes may learn addresses that lead past a proxy")
            .help("a definition whose nodes dial only what their own templates say has `network: { proxy: true }`")
            .help("`raft`, `raft-rs` and `openraft` run on proxies; all others on `network: netns`");
        mistakes.note(mistake);
    }
}

/// Notes every fault that proxies can't make.
pub(crate) fn check_plan(plan: &ReadPlan, mistakes: &mut Mistakes) {
    for (number, fault) in faults(&plan.plan.steps) {
        if let Some((why, help)) = out_of_reach(fault) {
            let mistake = Mistake::at(plan.places[number], "`network: proxy` can't do this").label(why);
            mistakes.note(mistake.help(help));
        }
    }
}

/// Why proxies can't make this fault, and what to do instead.
fn out_of_reach(fault: &Fault) -> Option<(String, &'static str)> {
    const NAMESPACES: &str = "leave `network: proxy` out: it needs namespaces";
    match fault {
        Fault::Link { conditions, .. } => {
            let named = of_packets(conditions)?;
            Some((format!("`{named}` is done to packets, and proxies have none"), "proxies have `delay` and `rate`"))
        }
        Fault::FreezeHost { .. } => Some((
            "a frozen host would have to be cut off from its clients, too".to_owned(),
            "`pause` stops its processes and leaves its network alone",
        )),
        Fault::PowerLoss { .. } => Some(("it needs a mount of the run's own".to_owned(), NAMESPACES)),
        Fault::Partition(..) => {
            let mode = fault.cut_mode();
            match (mode.drop, mode.heal) {
                (DropMode::Hold, _) => Some((
                    "a proxy can't hold the packets of a handshake".to_owned(),
                    "`drop: lose` keeps the bytes of connections until the heal, too",
                )),
                (DropMode::Lose | DropMode::Reject, HealMode::Kick) => Some((
                    "a proxy can't kick a handshake that hangs".to_owned(),
                    "leave `heal` out, or take `heal: reset`",
                )),
                (DropMode::Lose | DropMode::Reject, HealMode::Natural | HealMode::Reset) => None,
            }
        }
        Fault::Kill { .. }
        | Fault::Pause { .. }
        | Fault::CrashLoop { .. }
        | Fault::CorruptFile { .. }
        | Fault::Transfer { .. }
        | Fault::RemoveMember { .. }
        | Fault::Hinder { .. } => None,
    }
}

/// The first condition that is one of packets.
fn of_packets(conditions: &LinkConditions) -> Option<&'static str> {
    let LinkConditions {
        delay: _,
        jitter,
        loss,
        duplicate_millionths,
        reorder,
        corrupt_millionths,
        bits_per_second: _,
    } = conditions;
    let there = [
        ("jitter", jitter.is_some()),
        ("loss", loss.is_some()),
        ("duplicate", *duplicate_millionths > 0),
        ("reorder", reorder.is_some()),
        ("corrupt", *corrupt_millionths > 0),
    ];
    there.into_iter().find(|(_, is_there)| *is_there).map(|(name, _)| name)
}
