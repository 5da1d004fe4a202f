//! Stories about registers: a value that nobody wrote, seen too early, seen too late, taken away twice.

use super::deed::{Deed, content};
use super::{Cast, Scene};

pub(super) fn story(scene: &Scene, cast: &[Cast], culprit: Option<usize>) -> Option<String> {
    let register =
        |cast: &Cast| cast.described.deed.saw().is_some() || matches!(cast.described.deed, Deed::Write { .. });
    if !cast.iter().all(|cast| register(cast) || matches!(cast.described.deed, Deed::Refused { .. })) {
        return None;
    }
    alone(scene, cast)
        .or_else(|| rivals(scene, cast))
        .or_else(|| too_early(scene, cast))
        .or_else(|| stale(scene, cast, &cast[culprit?]))
        .or_else(|| refused(scene, &cast[culprit?]))
}

/// An answer that is impossible by itself.
fn alone(scene: &Scene, cast: &[Cast]) -> Option<String> {
    let [only] = cast else { return None };
    let (who, object) = (only.who(), &scene.object);
    let fate = scene.fate.as_deref().unwrap_or("a value that nobody had written by then");
    let deed = &only.described.deed;
    if let Deed::Refused { expect, new, .. } = deed {
        let expect = content(expect.as_ref());
        return Some(format!(
            "{who} refused to replace {expect} by {new} at {object}, which held {expect} all the time"
        ));
    }
    let value = deed.saw()??;
    match deed.brought() {
        Some(new) => Some(format!("{who} replaced {value} by {new} at {object}, {fate}")),
        None => Some(format!("{who} read {value} for {object}, {fate}")),
    }
}

/// Two swaps of one value that was written once.
fn rivals(scene: &Scene, cast: &[Cast]) -> Option<String> {
    let swap = |cast: &&Cast| matches!(cast.described.deed, Deed::Cas { .. });
    let swaps: Vec<&Cast> = cast.iter().filter(swap).collect();
    let [one, other] = swaps.as_slice() else { return None };
    let value = one.described.deed.saw()?;
    let writers = cast.iter().filter(|cast| cast.described.deed.brought() == value).count();
    if cast.len() > 3 || other.described.deed.saw() != Some(value) || writers > 1 {
        return None;
    }
    let whose = if one.who() == other.who() {
        format!("{} twice", one.who())
    } else {
        format!("{} and {} both", one.who(), other.who())
    };
    Some(format!("{whose} swapped {} away from {}, which held it only once", content(value), scene.object))
}

/// A value seen before its write was sent.
fn too_early(scene: &Scene, cast: &[Cast]) -> Option<String> {
    let [one, other] = cast else { return None };
    [(one, other), (other, one)].into_iter().find_map(|(reader, writer)| {
        let value = reader.described.deed.saw().flatten()?;
        let early = writer.described.deed.brought() == Some(value) && reader.precedes(writer);
        let (reader, object, writer) = (reader.who(), &scene.object, writer.who());
        early.then(|| format!("{reader} gave {value} for {object} before its write was even sent to {writer}"))
    })
}

/// An old value seen after a newer one was acknowledged or seen.
fn stale(scene: &Scene, cast: &[Cast], reader: &Cast) -> Option<String> {
    let old = reader.described.deed.saw()?;
    let held = |cast: &Cast| {
        let deed = &cast.described.deed;
        deed.brought().or(deed.saw().flatten()).cloned()
    };
    let newer = cast
        .iter()
        .filter(|cast| cast.precedes(reader) && held(cast).as_ref() != old)
        .filter(|cast| held(cast).is_some())
        .max_by_key(|cast| cast.answered)?;
    let (who, object) = (reader.who(), &scene.object);
    let saw = match (&reader.described.deed, old) {
        (Deed::Read { .. }, old) => format!("{who} read {} for {object}", content(old)),
        (_, old) => format!("{who} saw {} at {object}", content(old)),
    };
    let how = if newer.described.deed.brought().is_some() { "acknowledged" } else { "read" };
    let by = if newer.who() == who { "itself".to_owned() } else { newer.who().to_owned() };
    let value = content(held(newer).as_ref());
    let rest = if cast.len() > 2 { "; nothing that was concurrent can explain it" } else { "" };
    let rest = if cast.len() == 2 { "; nothing that was concurrent had written it" } else { rest };
    Some(format!("{saw} after {value} had been {how} by {by}{rest}"))
}

/// A swap refused although the register held what it expected.
fn refused(scene: &Scene, culprit: &Cast) -> Option<String> {
    let Deed::Refused { expect, new, .. } = &culprit.described.deed else { return None };
    let (who, object, expect) = (culprit.who(), &scene.object, content(expect.as_ref()));
    Some(format!("{who} refused to replace {expect} by {new} at {object}, which held {expect} all the while"))
}
