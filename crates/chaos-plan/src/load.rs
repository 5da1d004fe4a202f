//! From a file's name to a workload, or to every mistake in all files that took part.

use std::path::Path;

use chaos_history::FaultKind;

use crate::conditions;
use crate::error::{Mistake, Mistakes, PlanErrors, nearest};
use crate::expect::Metric;
use crate::model::{FaultPlan, Filter, Network, Workload};
use crate::order;
use crate::overrides;
use crate::proxied;
use crate::read::{FaultSource, Field, GivenDefinition, ReadPlan, Reader, WorkloadFields, named_definition};
use crate::scalar;
use crate::source::{self, FindError, Kind, ReadText, Source, Sources};
use crate::yaml::{self, Node, NodeKind};
use crate::{builtin, builtin::BuiltIn};

/// A workload that can be run.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// The workload.
    pub workload: Workload,
    /// The texts it was read from: the workload's, the overrides, the system definition's, the fault plan's.
    pub sources: Vec<Source>,
}

/// Loads a workload from a file, or the built-in one of that name, and changes it by `overrides` (`nodes=3`).
///
/// # Errors
/// If a file is missing or anything in it is wrong; then all that is wrong.
pub fn load(workload: &Path, overrides: &[String]) -> Result<Loaded, PlanErrors> {
    let read = |name: &str| source::read_file(Path::new(name));
    let name = workload.to_string_lossy();
    // A built-in workload runs its built-in fault plan, whatever files lie about; a plan that the user names is the user's.
    let nothing = |_: &str| Err(std::io::ErrorKind::NotFound.into());
    let is_own_world = source::is_bare(&name) && builtin::workload(&name).is_some();
    let names_file =
        overrides.iter().any(|text| text.trim_start().starts_with("faults") || text.trim_start().starts_with("system"));
    let read: ReadText<'_> = if is_own_world && !names_file { &nothing } else { &read };
    match source::find(Kind::Workload, &name, None, read) {
        Ok(source) => load_source(source, overrides, read),
        Err(error) => {
            let mut mistakes = Mistakes::default();
            mistakes.note(not_found(Mistake::anywhere, "workload", &name, error, builtin::workloads()));
            Err(PlanErrors::new(mistakes, Sources::default()))
        }
    }
}

/// Loads a workload from a text. `read` is asked for the fault plan that it may refer to: as named, then beside the
/// workload, then in the directory above; after that the built-in ones are looked through.
///
/// # Errors
/// If anything is wrong; then all that is wrong.
pub fn load_source(workload: Source, overrides: &[String], read: ReadText<'_>) -> Result<Loaded, PlanErrors> {
    let mut sources = Sources::default();
    let stem = stem(&workload.name);
    let referrer = workload.name.clone();
    let index = sources.add(workload);
    let mut reader = Reader::new(sources);
    let workload = read_workload(&mut reader, index, &stem, &referrer, overrides, read);
    match workload {
        Some(workload) if reader.mistakes.is_empty() => Ok(Loaded { workload, sources: reader.sources.into_vec() }),
        Some(_) | None => Err(PlanErrors::new(reader.mistakes, reader.sources)),
    }
}

/// The file's name without directory and ending.
fn stem(name: &str) -> String {
    Path::new(name).file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
}

fn parse(reader: &mut Reader, index: usize) -> Option<Node> {
    let text = reader.sources.get(index).text.clone();
    yaml::parse(index, &text, &mut reader.mistakes)
}

fn read_workload(
    reader: &mut Reader,
    index: usize,
    stem: &str,
    referrer: &str,
    overrides: &[String],
    read: ReadText<'_>,
) -> Option<Workload> {
    let mut root = parse(reader, index)?;
    for text in overrides {
        overrides::apply(&mut root, text, &mut reader.sources, &mut reader.mistakes);
    }
    if let Some(field) = named_definition(&root) {
        reader.definition = read_definition(reader, field, referrer, read);
    }
    let fields = reader.workload(&root, stem)?;
    let plan = match fields.faults {
        FaultSource::Nothing => Some(FaultPlan { name: "none".to_owned(), about: String::new(), steps: Vec::new() }),
        FaultSource::Inline(field) => reader.fault_plan(field, "inline").map(|plan| judged(reader, &fields, plan)),
        FaultSource::Named(field) => {
            read_faults(reader, field, referrer, read).map(|plan| judged(reader, &fields, plan))
        }
        FaultSource::Unreadable => None,
    };
    Some(fields.with_faults(plan?))
}

fn read_definition(
    reader: &mut Reader,
    field: Field<'_>,
    referrer: &str,
    read: ReadText<'_>,
) -> Option<GivenDefinition> {
    let NodeKind::Scalar(name) = &field.node.kind else { return None };
    if source::is_bare(name) && builtin::system(name).is_none() {
        let known: Vec<&str> =
            ["raft"].into_iter().chain(builtin::systems().iter().map(|built_in| built_in.name)).collect();
        reader.unknown(field.node.place, "system", name, &known);
        return None;
    }
    match source::find(Kind::System, name, Some(referrer), read) {
        Ok(source) => {
            let text = source.text.clone();
            let index = reader.sources.add(source);
            Some(GivenDefinition { root: parse(reader, index)?, text })
        }
        Err(error) => {
            let at = |message: String| Mistake::at(field.node.place, message);
            reader.note(not_found(at, "system definition", name, error, builtin::systems()));
            None
        }
    }
}

fn read_faults(reader: &mut Reader, field: Field<'_>, referrer: &str, read: ReadText<'_>) -> Option<ReadPlan> {
    let NodeKind::Scalar(name) = &field.node.kind else { return None };
    match source::find(Kind::Faults, name, Some(referrer), read) {
        Ok(source) => {
            let stem = stem(&source.name);
            let index = reader.sources.add(source);
            let root = parse(reader, index)?;
            reader.fault_plan(Field::unnamed("a fault plan", &root), &stem)
        }
        Err(error) => {
            let at = |message: String| Mistake::at(field.node.place, message);
            reader.note(not_found(at, "fault plan", name, error, builtin::faults()));
            None
        }
    }
}

fn not_found(
    mistake: impl FnOnce(String) -> Mistake,
    what: &str,
    name: &str,
    error: FindError,
    built_in: &'static [BuiltIn],
) -> Mistake {
    match error {
        FindError::Unreadable { name, why } => mistake(format!("can't read {what} `{name}`: {why}")),
        FindError::NowhereIn(places) => {
            let mistake = mistake(format!("no {what} `{name}`"));
            let is_file = name.contains('/') || name.ends_with(".yaml");
            let named = nearest(&stem(name), built_in.iter().map(|built_in| built_in.name));
            let near = built_in.iter().find(|built_in| Some(built_in.name) == named);
            let words = near.map(|near| if is_file { near.file } else { near.name });
            let mistake = match words {
                Some(near) => mistake.meant(near),
                None => mistake,
            };
            let places: Vec<String> = places.iter().map(|place| format!("`{place}`")).collect();
            let names: Vec<&str> = built_in.iter().map(|built_in| built_in.name).collect();
            mistake.help(format!("looked for {}", places.join(", "))).help(format!("built in: {}", names.join(", ")))
        }
    }
}

/// Judges the plan as a whole, and the workload with it.
fn judged(reader: &mut Reader, fields: &WorkloadFields<'_>, plan: ReadPlan) -> FaultPlan {
    if plan.complete {
        order::check(&plan, &mut reader.mistakes);
        match fields.network {
            Network::Namespaces { filter: Filter::Nftables } => {}
            Network::Namespaces { filter: Filter::Iptables } => order::check_filter(&plan, &mut reader.mistakes),
            Network::Proxy => proxied::check_plan(&plan, &mut reader.mistakes),
        }
        conditions::check(&plan, &fields.system, &fields.clients, &mut reader.mistakes);
        limit_is_long_enough(reader, fields, &plan.plan);
        let kinds = order::kinds(&plan.plan.steps);
        for (expectation, field) in &fields.expect {
            if let Metric::Failover { kind: Some(kind), .. } = expectation.metric
                && !kinds.contains(&kind)
            {
                let there: Vec<&str> = kinds.iter().copied().map(FaultKind::name).collect();
                let mistake = Mistake::at(field.key, format!("`{}` can't be measured", field.name))
                    .label(format!("the fault plan has no {}", kind.name()))
                    .help(format!("it has: {}", there.join(", ")));
                reader.note(mistake);
            }
        }
    }
    plan.plan
}

fn limit_is_long_enough(reader: &mut Reader, fields: &WorkloadFields<'_>, plan: &FaultPlan) {
    let needed = order::shortest(&plan.steps);
    if needed < fields.limit {
        return;
    }
    let mistake = |place| {
        Mistake::at(place, format!("the fault plan takes {} at least", scalar::write_duration(needed)))
            .help("raise `limit`, or let the plan do less")
    };
    let limit = scalar::write_duration(fields.limit);
    match (fields.limit_field, &fields.faults) {
        (Some(field), _) => reader.note(mistake(field.node.place).label("but the run ends before that")),
        (None, FaultSource::Named(field) | FaultSource::Inline(field)) => {
            reader
                .note(mistake(field.key).label(format!("but the run is ended after {limit}, the default of `limit`")));
        }
        (None, FaultSource::Nothing | FaultSource::Unreadable) => {}
    }
}
