//! Stories about sets, logs and queues: lost, seen though it was not there, out of order, taken twice.

use super::deed::Deed;
use super::{Cast, Scene};

pub(super) fn story(scene: &Scene, cast: &[Cast], culprit: Option<usize>) -> Option<String> {
    let culprit = &cast[culprit?];
    let deed = &culprit.described.deed;
    if let Some(seen) = deed.listed() {
        return lost(scene, cast, culprit, seen)
            .or_else(|| invented(scene, cast, culprit, seen))
            .or_else(|| disordered(scene, cast, culprit, seen));
    }
    match deed.dequeued()? {
        Some(element) => dequeued(scene, cast, culprit, element),
        None => {
            let (writer, element) = acknowledged_before(cast, culprit).next()?;
            let (who, object, writer) = (culprit.who(), &scene.object, writer.who());
            Some(format!("{who} found {object} empty although {element} had been enqueued by {writer}"))
        }
    }
}

/// What had been brought in for certain before an operation began.
fn acknowledged_before<'a>(cast: &'a [Cast], reader: &'a Cast) -> impl Iterator<Item = (&'a Cast, &'a String)> {
    let brought = move |cast: &'a Cast| Some((cast, cast.described.deed.brought()?));
    cast.iter().filter(|cast| cast.precedes(reader)).filter_map(brought)
}

/// An element that was there for certain, missing.
fn lost(scene: &Scene, cast: &[Cast], reader: &Cast, seen: &[String]) -> Option<String> {
    let (who, object) = (reader.who(), &scene.object);
    let removed = |element: &String| cast.iter().any(|cast| cast.described.deed.removed() == Some(element));
    if let Some((writer, element)) =
        acknowledged_before(cast, reader).find(|(_, element)| !seen.contains(element) && !removed(element))
    {
        let writer = writer.who();
        return Some(format!("{who} did not find {element} in {object} after it had been acknowledged by {writer}"));
    }
    let earlier = cast.iter().filter(|earlier| earlier.precedes(reader)).find_map(|earlier| {
        let before = earlier.described.deed.listed()?;
        Some((earlier, before.iter().find(|element| !seen.contains(element) && !removed(element))?))
    });
    let (other, element) = earlier?;
    Some(format!("{who} did not find {element} in {object} any more after {} had found it", other.who()))
}

/// An element that can't have been there.
fn invented(scene: &Scene, cast: &[Cast], reader: &Cast, seen: &[String]) -> Option<String> {
    let (who, object) = (reader.who(), &scene.object);
    if let [only] = cast
        && let [.., element] = seen
    {
        let fate = scene.fate.as_deref().unwrap_or("which nobody had put there by then");
        return Some(format!("{} found {element} in {object}, {fate}", only.who()));
    }
    let removed = cast
        .iter()
        .filter(|cast| cast.precedes(reader))
        .find_map(|cast| Some((cast, cast.described.deed.removed().filter(|element| seen.contains(element))?)));
    if let Some((remover, element)) = removed {
        return Some(format!("{who} still found {element} in {object} after {} had removed it", remover.who()));
    }
    let late = cast.iter().filter(|cast| reader.precedes(cast)).find_map(|cast| {
        let element = cast.described.deed.brought().filter(|element| seen.contains(element))?;
        Some((cast, element))
    });
    let (writer, element) = late?;
    Some(format!("{who} found {element} in {object} before it was even sent to {}", writer.who()))
}

/// Elements in another order than they came, or than somebody else saw.
fn disordered(scene: &Scene, cast: &[Cast], reader: &Cast, seen: &[String]) -> Option<String> {
    let (who, object) = (reader.who(), &scene.object);
    let place = |element: &String| seen.iter().position(|other| other == element);
    let brought: Vec<(&Cast, &String)> =
        cast.iter().filter_map(|cast| Some((cast, cast.described.deed.brought()?))).collect();
    for (one, first) in &brought {
        for (other, second) in &brought {
            if one.precedes(other) && place(first).zip(place(second)).is_some_and(|(first, second)| second < first) {
                return Some(format!(
                    "{who} found {second} before {first} in {object} although {first} had been acknowledged before {second} was sent"
                ));
            }
        }
    }
    cast.iter().filter(|other| other.index != reader.index).find_map(|other| {
        let Deed::Sequence { seen: theirs } = &other.described.deed else { return None };
        let mut common = theirs.iter().filter_map(|element| Some((place(element)?, element)));
        let (mut last, mut before) = common.next()?;
        for (at, element) in common {
            if at < last {
                let other = other.who();
                return Some(format!(
                    "{who} found {element} before {before} in {object}, and {other} {before} before {element}"
                ));
            }
            (last, before) = (at, element);
        }
        None
    })
}

/// An element that can't have been next.
fn dequeued(scene: &Scene, cast: &[Cast], culprit: &Cast, element: &String) -> Option<String> {
    let (who, object) = (culprit.who(), &scene.object);
    let takes = |cast: &&Cast| {
        cast.index != culprit.index
            && matches!(&cast.described.deed, Deed::Dequeue { element: Some(other) } if other == element)
    };
    if let Some(other) = cast.iter().find(takes) {
        return Some(format!("{} and {who} both dequeued {element} from {object}", other.who()));
    }
    let Some(source) = cast.iter().find(|cast| cast.described.deed.brought() == Some(element)) else {
        let fate = scene.fate.as_deref().unwrap_or("which nobody had enqueued by then");
        return Some(format!("{who} dequeued {element} from {object}, {fate}"));
    };
    if culprit.precedes(source) {
        return Some(format!("{who} dequeued {element} from {object} before it was even sent to {}", source.who()));
    }
    let earlier = cast
        .iter()
        .filter(|earlier| earlier.precedes(source))
        .find_map(|earlier| Some((earlier, earlier.described.deed.brought()?)))?;
    let (waiting, first) = (earlier.0.who(), earlier.1);
    Some(format!(
        "{who} dequeued {element} from {object} although {waiting}'s {first} had been enqueued before and was still there"
    ))
}
