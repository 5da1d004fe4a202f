//! The search for failing plans: drawn, run, shrunk, amplified, and handed back as ordinary workloads.
//!
//! ```text
//!  Space ──draw──► Workload ──Trials::run──► Outcome ──violated?──► shrink ──► amplify ──► Bug ──► bugs/….yaml
//!    ▲                ▲                         │ new states
//!    │                └──────── corpus ◄────────┘
//!  the user's workload, or the reference node's
//! ```
//!
//! *What it knows.* Workloads and outcomes; no processes, no simulator, no clock. A world is whatever implements [`Trials`]:
//! the same search
//! runs on a simulator, thousands of plans a minute, and on real processes of any system, a few a minute.
//!
//! *What it promises.* The same search seed finds the same, on any number of processors, in a world that repeats itself. Every
//! plan that it
//! runs is a workload that a file could hold, so nothing that it finds is lost in writing it down. What it hands back has
//! failed, in the very
//! form in which it is handed back, and says how often under other seeds.
//!
//! *What it refuses.* To judge (that is `chaos-check`'s, through [`judge()`]), to time, to touch files.
//!
//! A search of your own:
//!
//! ```
//! use std::num::NonZeroUsize;
//! use chaos_explore::{Outcome, SearchOptions, Trials, generate::Space, search};
//! use chaos_history::{FaultKind, Seed};
//! use chaos_plan::Workload;
//!
//! struct Nothing;
//! impl Trials for Nothing {
//!     fn run(&self, _workload: &Workload, _seed: Seed) -> Outcome {
//!         Outcome::default() // run the cluster, and judge its history: chaos_explore::judge
//!     }
//! }
//!
//! let space = Space::of_reference(None, [FaultKind::Kill, FaultKind::Partition].into());
//! let options = SearchOptions { trials_max: Some(100), ..SearchOptions::simulated(Seed(7), NonZeroUsize::MIN) };
//! let found = search(&Nothing, &space, &options, &|| false, &mut |_, _| {});
//! assert_eq!((found.trials, found.bugs.len()), (100, 0));
//! ```

mod amplify;
pub mod bug;
mod demands;
pub mod draw;
pub mod generate;
mod judge;
mod mutate;
pub mod pool;
mod report;
mod search;
mod shrink;
mod signature;
mod statistics;
pub mod tree;
mod trials;
mod yaml;

pub use amplify::{Amplified, AmplifyOptions, amplify};
pub use bug::{Bug, Tried, share_of};
pub use demands::{demands, properties};
pub use judge::{MARKS, judge};
pub use report::{BugFound, Explored, Seconds, file_of};
pub use search::{Found, SearchOptions, Stage, Yield, search};
pub use shrink::{Failing, ShrinkOptions, Shrunk, ddmin, shrink};
pub use signature::signature;
pub use statistics::Share;
pub use trials::{Coverage, FaultSeen, Outcome, Trials, Violation};
pub use yaml::{placeless, readable_yaml};
