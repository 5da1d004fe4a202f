//! What a running program sees of jumps, rates, strobes and resets.

use std::thread;
use std::time::{Duration, Instant};

use chaos_clock::{Clock, Rate, Reset, Scope};

use crate::probe::{Probe, Shown, since};

const SECOND: i64 = 1_000_000_000;
const HOUR: i64 = 3600 * SECOND;
const YEAR: i64 = 366 * 24 * HOUR;

type Named = (&'static str, fn(&Shown) -> i64);
const WALL_CLOCKS: [Named; 3] =
    [("REALTIME", |shown| shown.wall), ("REALTIME_COARSE", |shown| shown.coarse), ("TAI", |shown| shown.tai)];
const MONOTONIC_CLOCKS: [Named; 2] = [("MONOTONIC", |shown| shown.monotonic), ("BOOTTIME", |shown| shown.boottime)];

#[test]
fn a_new_clock_is_right() {
    let clock = Clock::new(Scope::Wall).unwrap();
    let reading = Probe::start(&clock).ask();
    for (name, shown) in WALL_CLOCKS.into_iter().chain(MONOTONIC_CLOCKS) {
        reading.assert_offset(name, shown, (0, 0));
    }
    assert_eq!(clock.given(), 1);
    assert_eq!(clock.take_missed(), []);
}

#[test]
fn a_running_program_and_its_threads_see_jumps_either_way_and_only_of_wall_clocks() {
    let clock = Clock::new(Scope::Wall).unwrap();
    let mut probe = Probe::start(&clock);
    probe.ask();
    let mut offset = 0;
    for by in [HOUR, -2 * HOUR, 30 * YEAR, -95 * YEAR, 1] {
        let change = clock.jump(by).unwrap();
        offset += by;
        assert!(change.begin_ns <= change.end_ns);
        assert_eq!(change.offset_ns, offset);
        assert_eq!(clock.offset_ns(), offset);
        for reading in [probe.ask(), probe.ask_thread()] {
            for (name, shown) in WALL_CLOCKS {
                reading.assert_offset(name, shown, (offset, offset));
            }
            for (name, shown) in MONOTONIC_CLOCKS {
                reading.assert_offset(name, shown, (0, 0));
            }
        }
    }
    let change = clock.reset(Reset::Jump);
    assert_eq!(change.offset_ns, 0);
    probe.ask().assert_offset("REALTIME", |shown| shown.wall, (0, 0));
}

#[test]
fn a_program_sees_time_go_faster_and_slower_and_stand_still() {
    let clock = Clock::new(Scope::Wall).unwrap();
    let mut probe = Probe::start(&clock);
    let mut offset = (0, 0);
    for factor in [1.5, 0.5, 0.0, 20.0] {
        let change = clock.set_rate(Rate::new(factor).unwrap());
        probe.ask().assert_offset(
            "REALTIME as the rate changes",
            |shown| shown.wall,
            (offset.0 - SECOND, offset.1 + SECOND),
        );
        thread::sleep(Duration::from_secs(1));
        let reading = probe.ask();
        let passed = since(change, &reading);
        assert!(passed.0 > 0 && passed.1 >= SECOND);
        #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "seconds in nanoseconds")]
        let drifted = |passed: i64| (passed as f64 * (factor - 1.0)) as i64;
        let expected = [drifted(passed.0), drifted(passed.1)];
        offset = (offset.0 + expected[0].min(expected[1]), offset.1 + expected[0].max(expected[1]));
        reading.assert_offset("REALTIME", |shown| shown.wall, offset);
        reading.assert_offset("MONOTONIC", |shown| shown.monotonic, (0, 0));
        // From here on the truth is known better.
        offset = reading.offset(|shown| shown.wall);
    }
    let kept = clock.reset(Reset::KeepOffset).offset_ns;
    thread::sleep(Duration::from_millis(100));
    probe.ask().assert_offset("REALTIME that keeps its offset", |shown| shown.wall, (kept, kept));
    clock.reset(Reset::Jump);
    probe.ask().assert_offset("REALTIME", |shown| shown.wall, (0, 0));
}

#[test]
fn monotonic_time_drifts_where_asked_for_and_never_jumps() {
    let clock = Clock::new(Scope::WallAndMonotonicRate).unwrap();
    let mut probe = Probe::start(&clock);
    clock.jump(HOUR).unwrap();
    let before = probe.ask();
    for (name, shown) in MONOTONIC_CLOCKS {
        before.assert_offset(name, shown, (0, 0));
    }
    let change = clock.set_rate(Rate::new(3.0).unwrap());
    thread::sleep(Duration::from_millis(300));
    let reading = probe.ask();
    let (least, most) = since(change, &reading);
    for (name, shown) in MONOTONIC_CLOCKS {
        reading.assert_offset(name, shown, (2 * least, 2 * most));
    }
    let kept = clock.reset(Reset::Jump);
    let after = probe.ask();
    assert!(after.shown.monotonic > reading.shown.monotonic, "a reset is no jump back for a monotonic clock");
    assert!(after.offset(|shown| shown.monotonic).0 >= 2 * least);
    assert_eq!(kept.offset_ns, 0);
}

#[test]
fn a_strobe_is_seen_away_and_back_and_ends_back() {
    let clock = Clock::new(Scope::Wall).unwrap();
    let mut probe = Probe::start(&clock);
    let strobe = clock.strobe(HOUR, Duration::from_millis(5)).unwrap();
    let (mut away, mut back) = (0, 0);
    let give_up = Instant::now() + Duration::from_secs(30);
    while away < 5 || back < 5 {
        assert!(Instant::now() < give_up, "seen away {away} and back {back} times");
        let reading = probe.ask();
        let (low, high) = reading.offset(|shown| shown.wall);
        // A question that took long says nothing.
        if high - low < HOUR / 10 {
            if low > HOUR / 2 { away += 1 } else { back += 1 }
        }
    }
    let strobed = strobe.stop();
    assert!(strobed.jumps >= 2 && strobed.jumps.is_multiple_of(2), "{}", strobed.jumps);
    assert_eq!(strobed.last.offset_ns, 0);
    probe.ask().assert_offset("REALTIME after the strobe", |shown| shown.wall, (0, 0));
    drop(clock.strobe(HOUR, Duration::from_secs(3600)).unwrap());
    probe.ask().assert_offset("REALTIME after a dropped strobe", |shown| shown.wall, (0, 0));
}

#[test]
fn each_clock_moves_alone() {
    let (one, other) = (Clock::new(Scope::Wall).unwrap(), Clock::new(Scope::Wall).unwrap());
    let (mut first, mut second) = (Probe::start(&one), Probe::start(&other));
    one.jump(HOUR).unwrap();
    first.ask().assert_offset("the one", |shown| shown.wall, (HOUR, HOUR));
    second.ask().assert_offset("the other", |shown| shown.wall, (0, 0));
    drop((one, first));
    other.jump(-HOUR).unwrap();
    second.ask().assert_offset("the other", |shown| shown.wall, (-HOUR, -HOUR));
}

#[test]
fn a_program_keeps_its_clock_when_the_handle_is_gone() {
    let clock = Clock::new(Scope::Wall).unwrap();
    let mut probe = Probe::start(&clock);
    clock.jump(HOUR).unwrap();
    drop(clock);
    probe.ask().assert_offset("REALTIME", |shown| shown.wall, (HOUR, HOUR));
}
