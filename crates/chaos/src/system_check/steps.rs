//! The steps of a check, in order: start, observers, readiness, ports, clients, replicas, failover.
//!
//! Each adds what it found, and prints what it saw while it saw it. A step goes on after one that failed as long as there is
//! something to ask; only a cluster that doesn't come up ends the check, after everybody in it has been asked why.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use chaos_cluster::StartError;
use chaos_engine::FaultChange;
use chaos_history::{NodeId, ReplicaState, Term};
use chaos_plan::KillSignal;
use chaos_plan::definition::{Ask, Observer};
use chaos_systems::Driver;

use super::findings::shortened;
use super::operations;
use super::trial::{Abort, Trial};
use super::views::{self, Complaint, Views};
use crate::show;

/// How long one condition, or one comparison, may take to be told.
const TOLD_WITHIN: Duration = Duration::from_secs(5);
/// How long a system is left alone between two looks.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(200);

/// Tries everything that the definition declares.
pub(super) fn all(trial: &mut Trial) -> Result<(), Abort> {
    if !start(trial)? {
        return Ok(());
    }
    let leader = observers(trial)?;
    conditions(trial)?;
    ports(trial);
    let first = leader.map_or_else(|| NodeId::new(1), |(leader, _)| leader);
    operations::try_all(trial, first, "check")?;
    replicas(trial)?;
    match leader {
        Some((leader, term)) => failover(trial, leader, term)?,
        None => trial.findings.untried("failover", "not tried: there is no one leader to kill"),
    }
    for (node, how) in trial.take_exits() {
        show::print(&trial.last_words(node));
        trial.findings.broken("nodes stay up", format!("{node}: {how}"), "the log says why; look at `processes`");
    }
    Ok(())
}

/// Brings the cluster up; whether it came.
fn start(trial: &mut Trial) -> Result<bool, Abort> {
    let begun = trial.now();
    let error = match trial.start() {
        Ok(()) => {
            let took = trial.now().since(begun);
            trial.findings.works("start", format!("every node answers, the cluster is ready after {took:.1?}"));
            return Ok(true);
        }
        Err(StartError::Interrupted { why }) => return Err(Abort::Interrupted(why)),
        Err(StartError::World(error)) => return Err(Abort::World(error)),
        Err(error) => error,
    };
    let main = &trial.definition().nodes.processes[0].name;
    let (node, remedy) = match &error {
        StartError::Exited { node, .. } => (Some(*node), format!("the log says why; look at `processes.{main}.run`")),
        StartError::ProcessExited { node, process, .. } => {
            (Some(*node), format!("the log says why; look at `processes.{process}.run`"))
        }
        StartError::Preparation { node, .. } => {
            (Some(*node), "the log says why; look at `setup` and `after-start`".to_owned())
        }
        StartError::NeverAnswered { node, .. } => {
            (Some(*node), "see the first observer below; or give it more time by `--within`".to_owned())
        }
        StartError::NotReady { .. } => (
            None,
            "look at `ready`, and at `client` (what it makes before the load); or give it more time by `--within`"
                .to_owned(),
        ),
        StartError::Process(_) => (None, format!("look at `files`, `setup` and `processes.{main}.run`")),
        StartError::World(_) | StartError::Interrupted { .. } => unreachable!("told above"),
    };
    let nobody_ran = matches!(
        error,
        StartError::Process(_)
            | StartError::Preparation { .. }
            | StartError::Exited { .. }
            | StartError::ProcessExited { .. }
    );
    // The log is shown below, and is gone when the check is over.
    let named = error.log().map(|log| format!("; its log is {}", log.display())).unwrap_or_default();
    let words = format!("{:#}", anyhow::Error::from(error)).replace(&named, "");
    trial.findings.broken("start", words, remedy);
    show::print(&trial.last_words(node.unwrap_or_else(|| NodeId::new(1))));
    if !nobody_ran {
        let nodes: Vec<NodeId> = trial.nodes().collect();
        for index in 0..trial.definition().observers.len() {
            let views = trial.ask(index, &nodes)?;
            let observer = trial.definition().observers[index].clone();
            let complaint = views::complaint(&observer, &views);
            told(trial, &observer, &views, complaint);
        }
        ports(trial);
    }
    Ok(false)
}

/// Asks every observer at every node. Who leads by the word of the first, and in which term, if that is clear.
fn observers(trial: &mut Trial) -> Result<Option<(NodeId, Term)>, Abort> {
    let nodes: Vec<NodeId> = trial.nodes().collect();
    let mut leader = None;
    for index in 0..trial.definition().observers.len() {
        let observer = trial.definition().observers[index].clone();
        let (views, complaint) =
            trial.ask_until(index, &nodes, trial.settle, |views| views::complaint(&observer, views))?;
        if index == 0 {
            leader = led_by(&views);
        }
        told(trial, &observer, &views, complaint);
    }
    Ok(leader)
}

/// The one leader and its term.
fn led_by(views: &Views) -> Option<(NodeId, Term)> {
    let [leader] = views::leaders(views)[..] else { return None };
    let view = views.iter().find(|(node, _)| *node == leader)?;
    Some((leader, view.1.belief.as_ref().ok()?.term))
}

/// Prints an observer's answers, and finds what is wrong with them.
fn told(trial: &mut Trial, observer: &Observer, views: &Views, complaint: Option<Complaint>) {
    let mut text = format!("  observer {} ({}, {})\n", observer.name, observer.of.name(), views::kind(&observer.ask));
    for (node, examined) in views {
        text.push_str(&views::line(observer, *node, examined));
    }
    show::print(&text);
    let what = format!("observer {}", observer.name);
    match complaint {
        Some(Complaint { why, remedy }) => trial.findings.broken(what, why, remedy),
        None => {
            let leader = views::names(&views::leaders(views));
            let testimony = observer.testimony();
            let named = if testimony.names_leader { ", and is named by all" } else { "" };
            let term = if observer.term.is_some() { "" } else { "; no terms, reigns are numbered as they are seen" };
            trial.findings.works(what, format!("{} nodes answer, {leader} leads{named}{term}", views.len()));
        }
    }
}

fn conditions(trial: &mut Trial) -> Result<(), Abort> {
    for (index, words) in trial.driver.conditions().into_iter().enumerate() {
        let give_up = trial.now() + trial.settle;
        let missing = loop {
            let driver = Arc::clone(&trial.driver);
            let told = trial.beside(async move { driver.meets(index).await }, TOLD_WITHIN)?;
            match told {
                Some(Ok(())) => break None,
                Some(Err(missing)) if trial.now() >= give_up => break Some(missing),
                None if trial.now() >= give_up => break Some(format!("no answer within {TOLD_WITHIN:?}")),
                Some(Err(_)) | None => trial.pause(LOOK_AGAIN_AFTER)?,
            }
        };
        let what = format!("ready {}", index + 1);
        match missing {
            None => trial.findings.works(what, shortened(&words, 100)),
            Some(missing) => trial.findings.broken(what, missing, format!("look at `ready[{index}]`: {words}")),
        }
    }
    Ok(())
}

/// Whether something listens where the definition says.
fn ports(trial: &mut Trial) {
    let definition = trial.definition();
    let mut used: BTreeSet<String> =
        definition.observers.iter().filter_map(|observer| port_of(&observer.ask)).collect();
    used.extend(definition.client.as_ref().and_then(|client| client.port.clone()));
    let declared = definition.ports.clone();
    let listening: Vec<(NodeId, BTreeSet<u16>)> = trial.nodes().map(|node| (node, trial.listening(node))).collect();
    let all: BTreeSet<u16> = listening.iter().flat_map(|(_, ports)| ports.iter().copied()).collect();
    for (name, port) in declared {
        let without: Vec<NodeId> =
            listening.iter().filter(|(_, ports)| !ports.contains(&port)).map(|(node, _)| *node).collect();
        let what = format!("port {name} {port}");
        if without.is_empty() {
            trial.findings.works(what, "something listens at every node");
        } else if used.contains(&name) {
            let others: Vec<String> = all.iter().map(u16::to_string).collect();
            let others = if others.is_empty() { "nothing else either".to_owned() } else { others.join(", ") };
            let why = format!("nothing listens at {}; the nodes listen on: {others}", views::names(&without));
            trial.findings.broken(
                what,
                why,
                format!("`ports.{name}` must be the port that the program is told to use"),
            );
        } else {
            let at = views::names(&without);
            trial
                .findings
                .untried(what, format!("no TCP socket listens at {at}; no observer and no client asks there"));
        }
    }
}

fn port_of(ask: &Ask) -> Option<String> {
    match ask {
        Ask::Http { port, .. } | Ask::Prometheus { port, .. } | Ask::Tcp { port, .. } | Ask::Resp { port, .. } => {
            Some(port.clone())
        }
        Ask::UnixJsonRpc { .. } | Ask::Exec { .. } | Ask::Log { .. } | Ask::Address { .. } | Ask::Client { .. } => None,
    }
}

/// Whether every node tells its state, and all tell the same once nothing is written.
fn replicas(trial: &mut Trial) -> Result<(), Abort> {
    if trial.definition().compare.is_none() {
        trial.findings.untried("compare", "not declared: replicas are not compared");
        return Ok(());
    }
    let give_up = trial.now() + trial.settle;
    let wrong = loop {
        let mut states: Vec<(NodeId, ReplicaState)> = Vec::new();
        let mut wrong = None;
        for node in trial.nodes() {
            let Some(question) = trial.driver.compare(node) else { continue };
            match trial.beside(question, TOLD_WITHIN)? {
                Some(Ok(state)) => states.push((node, state)),
                Some(Err(error)) => wrong = Some(format!("{node}: {error}")),
                None => wrong = Some(format!("{node}: no answer within {TOLD_WITHIN:?}")),
            }
        }
        if let [(first, state), rest @ ..] = states.as_slice()
            && let Some((node, other)) = rest.iter().find(|(_, other)| other != state)
        {
            let words = |state: &ReplicaState| {
                let revision = state.revision.map_or_else(String::new, |revision| format!(" at {revision}"));
                format!("`{}`{revision}", shortened(&state.value, 60))
            };
            wrong = wrong.or(Some(format!("{first} holds {}, {node} holds {}", words(state), words(other))));
        }
        if wrong.is_none() || trial.now() >= give_up {
            break wrong;
        }
        trial.pause(LOOK_AGAIN_AFTER)?;
    };
    match wrong {
        None => trial.findings.works("compare", "all nodes hold the same"),
        Some(why) => {
            let remedy = "look at `compare`: its `value` must be the same on all nodes once nothing is written";
            trial.findings.broken("compare", why, remedy);
        }
    }
    Ok(())
}

/// Kills the leader, waits for another, starts the first again, and waits until it takes part.
fn failover(trial: &mut Trial, leader: NodeId, term: Term) -> Result<(), Abort> {
    let survivors: Vec<NodeId> = trial.nodes().filter(|&node| node != leader).collect();
    if survivors.len() < 2 {
        trial.findings.untried("failover", "not tried: it takes three nodes");
        return Ok(());
    }
    let observer = trial.definition().observers[0].clone();
    if let Some(error) = trial.fault(leader, FaultChange::Kill(KillSignal::KILL))? {
        trial.findings.broken(
            "failover",
            format!("kill {leader}: {error}"),
            "look at `processes`: do they stay in the foreground?",
        );
        return Ok(());
    }
    let killed = trial.now();
    let among = |views: &Views| views::not_one_leader(&observer, views);
    let (views, complaint) = trial.ask_until(0, &survivors, trial.within, among)?;
    let next = led_by(&views);
    match (complaint, next) {
        (None, Some((next, _))) => {
            let took = trial.now().since(killed);
            trial.findings.works("failover", format!("{leader} was killed, {next} leads {took:.1?} later"));
        }
        (complaint, _) => {
            let seen = views::misunderstood(&observer, &views).or(complaint);
            let seen = seen.map_or_else(String::new, |complaint| format!(": {}", complaint.why));
            let why = format!("{leader} was killed, and no other led within {:?}{seen}", trial.within);
            let remedy = format!(
                "does `observers.{}.role` follow an election? is `tune` too slow for `--within`?",
                observer.name
            );
            trial.findings.broken("failover", why, remedy);
        }
    }
    comes_back(trial, leader, &observer)?;
    let first = next.map_or(leader, |(next, _)| next);
    operations::write_again(trial, first, "after")?;
    if let (Some(expression), Some(_)) = (&observer.term, next) {
        terms_rise(trial, &observer, term, expression.text())?;
    }
    Ok(())
}

fn comes_back(trial: &mut Trial, node: NodeId, observer: &Observer) -> Result<(), Abort> {
    const REMEDY: &str =
        "what does it find of its former life? look at `clean-on-restart`, and at what `processes` do with `data`";
    let begun = trial.now();
    if let Some(error) = trial.fault(node, FaultChange::Restart)? {
        trial.findings.broken("restart", format!("start {node} again: {error}"), REMEDY);
        return Ok(());
    }
    if !trial.answers_again(node)? {
        show::print(&trial.last_words(node));
        let exits: Vec<String> = trial.take_exits().into_iter().map(|(node, how)| format!("{node}: {how}")).collect();
        let why =
            if exits.is_empty() { format!("{node} gave no view within {:?}", trial.within) } else { exits.join("; ") };
        trial.findings.broken("restart", why, REMEDY);
        return Ok(());
    }
    let took = trial.now().since(begun);
    let nodes: Vec<NodeId> = trial.nodes().collect();
    let (_, complaint) = trial.ask_until(0, &nodes, trial.within, |views| views::complaint(observer, views))?;
    match complaint {
        None => trial
            .findings
            .works("restart", format!("{node} answers {took:.1?} after it was started again, and takes part")),
        Some(Complaint { why, .. }) => trial.findings.broken("restart", format!("{node} is back, but {why}"), REMEDY),
    }
    Ok(())
}

/// Some systems show the term of their last entry, so a write comes before this look.
fn terms_rise(trial: &mut Trial, observer: &Observer, before: Term, expression: &str) -> Result<(), Abort> {
    let nodes: Vec<NodeId> = trial.nodes().collect();
    let risen = |views: &Views| match led_by(views) {
        Some((_, now)) if now > before => None,
        seen => Some(seen.map_or_else(|| "nobody".to_owned(), |(leader, now)| format!("{leader} in term {}", now.0))),
    };
    let (views, stuck) = trial.ask_until(0, &nodes, trial.settle, risen)?;
    match (stuck, led_by(&views)) {
        (None, Some((_, now))) => trial.findings.works("term", format!("rose from {} to {}", before.0, now.0)),
        (stuck, _) => {
            let seen = stuck.unwrap_or_default();
            let why = format!("it was {} before the failover, and now leads {seen}", before.0);
            let remedy = format!(
                "`observers.{}.term` (`{expression}`) must rise with every election; leave it out if nothing does",
                observer.name
            );
            trial.findings.broken("term", why, remedy);
        }
    }
    Ok(())
}
