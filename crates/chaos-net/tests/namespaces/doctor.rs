//! The doctor's findings against what this very host has just done.

use chaos_net::doctor::{self, Need, Primitive, Status};

use crate::Case;

pub(crate) const CASES: &[Case] = &[("doctor_finds_what_this_run_uses", doctor_finds_what_this_run_uses)];

/// For the host side: prints the findings, asserts their shape.
pub(crate) fn doctor_reports_every_primitive() {
    let primitives = doctor::probe().unwrap();
    for primitive in &primitives {
        println!("{primitive:?}");
        if let Status::Missing { reason, remedy } = &primitive.status {
            assert!(!reason.is_empty() && !remedy.is_empty(), "{primitive:?}");
        }
    }
    let works = |name: &str| primitives.iter().find(|found| found.name == name).unwrap().status == Status::Works;
    assert_eq!(primitives.len(), 16);
    assert!(works("pidfd") && works("tgkill-stop"), "these need no namespaces");
    assert!(!works("link-conditions") || works("cut"), "conditions stand on the same table");
    assert_eq!(works("cut"), works("veth") && works("nf_tables"), "a cut needs both and nothing more");
    let children = std::fs::read_to_string("/proc/thread-self/children").unwrap_or_default();
    assert_eq!(children, "", "no trial outlives the probe");
}

/// Inside a controller, namespaces can be made again (they nest), so the required primitives must work.
fn doctor_finds_what_this_run_uses() {
    let is_lacking = |found: &Primitive| found.need == Need::Required && found.status != Status::Works;
    let lacking: Vec<Primitive> = doctor::probe().unwrap().into_iter().filter(is_lacking).collect();
    assert!(lacking.is_empty(), "{lacking:#?}");
}
