//! `chaos walk`: the reference node without any sense of time, through any order of things, and the shortest way to what it breaks.
//!
//! The third way to look for mistakes, beside real processes and the simulator: some need an order of events that timed runs practically
//! never meet (Raft's figure 8 is one). Of the nodes' promises only those count that hold without regard to time.
//!
//! For programs (`--format json`), version 1, one object on standard output; `found` is null where nothing was:
//!
//! ```json
//! {"schema":"chaos.walk/1","specimen":"prior-term-commit","walks":112,"steps":6000,"seed":0,
//!  "found":{"walk":111,"nodes":5,"setting":["entries one by one","…"],"property":"state-machine-safety","why":"n2 applies …",
//!  "moves_drawn":2417,"moves":[{"what":"n1 waits no longer","effects":["n1 campaigns for term 1"]}]}}
//! ```

use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};
use std::process::ExitCode;

use anyhow::anyhow;
use chaos_explore::{ddmin, pool};
use chaos_history::Seed;
use chaos_plan::RaftOptions;
use chaos_sim::{Letter, Move, RaftProgram, Told, WalkOptions, Walked, narrate, retrace, walk};
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::list::Format;
use crate::{museum, show};

/// Arguments of `chaos walk`.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct WalkArguments {
    /// Break the node on purpose (see `chaos museum`), and see whether a walk finds it.
    #[arg(long, value_name = "NAME")]
    specimen: Option<String>,
    /// How many walks, each under a seed of its own; the first that breaks a promise is the last.
    #[arg(long, value_name = "N", default_value = "2000")]
    walks: NonZeroU64,
    /// How many steps each.
    #[arg(long, value_name = "N", default_value = "6000")]
    steps: NonZeroU32,
    /// The seed of the first walk; the others follow it.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// How many nodes. Left out: three, four and five by turns.
    #[arg(long, value_name = "N", value_parser = nodes)]
    nodes: Option<usize>,
    /// How many processors to use. Left out: all.
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
    /// How to tell it: text for people, json for programs.
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    format: Format,
}

const HELP: &str = "\
Examples:
  chaos walk                                  2000 walks of the sound node: nothing
  chaos walk --specimen prior-term-commit     Raft's figure 8, in its shortest form

Each step of a walk draws what happens next among all that could: any message under way arrives, arrives twice or is lost, any
node's deadline passes, a node is asked to append, to read or to change the members, or crashes between two outputs. By turns there are
three, four or five nodes, entries travel one by one or many at a time, elections are held back (pre-vote, stickiness) or not, there are
snapshots or none, and members change or stay. What must hold whatever the order: one vote and one leader a term, terms that don't
fall, log matching, leader completeness, state machine safety, linearizable reads.

Exit codes:
  0  nothing found    1  a promise was broken    254  the arguments are wrong    255  our own failure";

/// So many walks are begun before anybody asks what has come of them.
const ROUND: u64 = 64;
/// How many walks shortening may take.
const SHORTENING_MAX: u32 = 20_000;
/// How often members change, where they do, in the units of [`WalkOptions`].
const CHANGES: u32 = 10;
/// More nodes than this only take longer.
const NODES_MAX: usize = 9;

fn nodes(text: &str) -> Result<usize, String> {
    let count = text.parse().map_err(|_| format!("`{text}` is not a number"))?;
    if (1..=NODES_MAX).contains(&count) { Ok(count) } else { Err(format!("it must be from 1 to {NODES_MAX}")) }
}

/// What is looked for, and where.
pub(crate) struct Search<'a> {
    /// Who is broken.
    pub(crate) specimen: Option<&'a str>,
    /// How many walks at most.
    pub(crate) walks: NonZeroU64,
    /// How many steps each.
    pub(crate) steps: NonZeroU32,
    /// The seed of the first.
    pub(crate) seed: u64,
    /// How many nodes; `None`: by turns.
    pub(crate) nodes: Option<usize>,
    /// How many processors; `None`: all.
    pub(crate) threads: Option<NonZeroUsize>,
}

/// What a walk is of.
struct Setting {
    program: RaftProgram,
    options: WalkOptions,
    /// In words, in the order of [`VARIED`].
    words: Vec<&'static str>,
}

/// What is one way in one walk and the other way in another; walks go through all combinations by turns.
const VARIED: [[&str; 2]; 4] = [
    ["entries one by one", "entries in batches"],
    ["eager elections", "pre-vote and stickiness"],
    ["no snapshots", "snapshots of few entries"],
    ["the same members", "changing members"],
];

impl Setting {
    /// All settings, which walks take by turns.
    fn all(search: &Search<'_>) -> Result<Vec<Self>, Failure> {
        let sizes = search.nodes.map_or_else(|| vec![3, 4, 5], |nodes| vec![nodes]);
        let ways = (0..1_u32 << VARIED.len()).flat_map(|ways| sizes.iter().map(move |nodes| (*nodes, ways)));
        ways.map(|(nodes, ways)| Self::new(search, nodes, ways)).collect()
    }

    /// Bit n of `ways` says which way the n-th of [`VARIED`] is.
    fn new(search: &Search<'_>, nodes: usize, ways: u32) -> Result<Self, Failure> {
        let [batched, held_back, snapshots, changes] = std::array::from_fn(|nth| ways & 1 << nth != 0);
        let mut own = vec![format!("--batch-entries={}", if batched { 256 } else { 1 })];
        if snapshots {
            own.extend(["--snapshot-threshold=4", "--trailing-entries=1"].map(str::to_owned));
        }
        let raft = RaftOptions {
            specimen: search.specimen.map(str::to_owned),
            pre_vote: held_back,
            stickiness: held_back,
            // A lease needs stickiness, and rests on time in any case.
            lease_reads: false,
            arguments: own,
            ..RaftOptions::default()
        };
        let program = RaftProgram::new(&raft, nodes).map_err(Failure::refused)?;
        let change = if changes { CHANGES } else { 0 };
        let options = WalkOptions { nodes, steps: search.steps.get(), change, ..WalkOptions::default() };
        let words = VARIED.iter().zip([batched, held_back, snapshots, changes]);
        Ok(Self { program, options, words: words.map(|(words, way)| words[usize::from(way)]).collect() })
    }
}

/// A violation, at the end of a way that is as short as could be made.
pub(crate) struct Found {
    /// The walk's seed.
    seed: Seed,
    nodes: usize,
    words: Vec<&'static str>,
    /// What is violated, by its name.
    pub(crate) property: &'static str,
    /// By whom and how.
    pub(crate) why: String,
    /// How many moves were drawn.
    drawn: usize,
    /// Those that are left.
    pub(crate) story: Vec<Told>,
}

/// Walks.
pub(crate) fn wander(arguments: &WalkArguments) -> Result<ExitCode, Failure> {
    let WalkArguments { walks, steps, seed, nodes, threads, .. } = *arguments;
    let search = Search { specimen: arguments.specimen.as_deref(), walks, steps, seed, nodes, threads };
    let (found, walks) = search.carry_out()?;
    show::print(&match arguments.format {
        Format::Text => text(&search, found.as_ref(), walks),
        Format::Json => format!("{}\n", object(&search, found.as_ref(), walks)),
    });
    Ok(ExitCode::from(u8::from(found.is_some())))
}

impl Search<'_> {
    /// The first walk that breaks a promise, and how many walks there were.
    pub(crate) fn carry_out(&self) -> Result<(Option<Found>, u64), Failure> {
        if let Some(name) = self.specimen {
            museum::named(name)?;
        }
        let settings = Setting::all(self)?;
        let threads = self.threads.or(std::thread::available_parallelism().ok()).unwrap_or(NonZeroUsize::MIN);
        let last = self.seed.checked_add(self.walks.get());
        let last =
            last.ok_or_else(|| Failure::Refused(anyhow!("--seed: with so many walks, seeds would not fit 64 bits")))?;
        let mut first = self.seed;
        while first < last {
            let seeds: Vec<u64> = (first..last.min(first.saturating_add(ROUND))).collect();
            let violating = pool::map(threads, &seeds, &|| false, &|seed| {
                let setting = setting_of(&settings, *seed);
                let walked = walk(&setting.program, Seed(*seed), &setting.options);
                walked.violation.is_some().then_some((*seed, walked))
            });
            if let Some((seed, walked)) = violating.into_iter().flatten().next() {
                return Ok((shortened(Seed(seed), setting_of(&settings, seed), &walked), seed - self.seed + 1));
            }
            first = first.saturating_add(ROUND);
        }
        Ok((None, self.walks.get()))
    }
}

fn setting_of(settings: &[Setting], seed: u64) -> &Setting {
    &settings[usize::try_from(seed % settings.len() as u64).unwrap_or(0)]
}

/// Leaves out of the way to a violation what it doesn't need.
fn shortened(seed: Seed, setting: &Setting, walked: &Walked) -> Option<Found> {
    let Setting { program, options, words } = setting;
    let property = walked.violation.as_ref().map(|violation| violation.property);
    let mut left = SHORTENING_MAX;
    let moves = shortest(walked.moves.clone(), &mut |part| {
        left = left.saturating_sub(1);
        left > 0 && retrace(program, seed, options, part).violation.map(|violation| violation.property) == property
    });
    let violation = retrace(program, seed, options, &moves).violation?;
    Some(Found {
        seed,
        nodes: options.nodes,
        words: words.clone(),
        property: violation.property.name(),
        why: violation.why,
        drawn: walked.moves.len(),
        story: narrate(program, seed, options, &moves),
    })
}

/// Takes moves away, and makes those plainer that are left, for as long as either does anything.
fn shortest(mut moves: Vec<Move>, fails: &mut dyn FnMut(&[Move]) -> bool) -> Vec<Move> {
    loop {
        moves = ddmin(&moves, fails);
        let before = moves.clone();
        for index in 0..moves.len() {
            for plainer in plainer(moves[index]) {
                let was = std::mem::replace(&mut moves[index], plainer);
                if fails(&moves) {
                    break;
                }
                moves[index] = was;
            }
        }
        if moves == before {
            return moves;
        }
    }
}

/// What is easier to follow: a message that no newer ones are on their way after, and that arrives once.
fn plainer(this: Move) -> Vec<Move> {
    let newer = |letter: Letter| (0..letter.newer).map(move |newer| Letter { newer, ..letter });
    match this {
        Move::Deliver { letter, later } => newer(letter).map(|letter| Move::Deliver { letter, later }).collect(),
        Move::Repeat { letter, later } => {
            let once = newer(letter).chain([letter]).map(|letter| Move::Deliver { letter, later });
            once.chain(newer(letter).map(|letter| Move::Repeat { letter, later })).collect()
        }
        Move::Lose { letter } => newer(letter).map(|letter| Move::Lose { letter }).collect(),
        Move::TimeOut { .. } | Move::Propose { .. } | Move::Read { .. } | Move::Change { .. } | Move::Crash { .. } => {
            Vec::new()
        }
    }
}

fn text(search: &Search<'_>, found: Option<&Found>, walks: u64) -> String {
    let who = search.specimen.unwrap_or("the sound node");
    let Some(Found { seed, nodes, words, property, why, drawn, story }) = found else {
        return format!("NOTHING FOUND  {walks} walks of {who}, {} steps each\n", search.steps);
    };
    let mut text = format!("FOUND  {property} is violated by {who}, in walk {walks} (seed {seed})\n  {why}\n");
    text.push_str(&format!("  {nodes} nodes, {}; {} of {drawn} moves are left\n\n", words.join(", "), story.len()));
    for (number, Told { what, effects }) in story.iter().enumerate() {
        text.push_str(&format!("{:4}  {what}\n", number + 1));
        for effect in effects {
            text.push_str(&format!("        {effect}\n"));
        }
    }
    text
}

fn object(search: &Search<'_>, found: Option<&Found>, walks: u64) -> Value {
    let found = found.map(|Found { seed, nodes, words, property, why, drawn, story }| {
        let moves: Vec<Value> =
            story.iter().map(|told| json!({ "what": told.what, "effects": told.effects })).collect();
        json!({
            "walk": seed.0,
            "nodes": nodes,
            "setting": words,
            "property": property,
            "why": why,
            "moves_drawn": drawn,
            "moves": moves,
        })
    });
    json!({
        "schema": "chaos.walk/1",
        "specimen": search.specimen,
        "walks": walks,
        "steps": search.steps,
        "seed": search.seed,
        "found": found,
    })
}
