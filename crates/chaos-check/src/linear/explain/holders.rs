//! Stories about locks and leases: two holders at once, a token that went back, a release by someone who held nothing.

use super::deed::Deed;
use super::{Cast, Scene};

pub(super) fn story(scene: &Scene, cast: &[Cast], culprit: Option<usize>) -> Option<String> {
    let lock = |cast: &Cast| matches!(cast.described.deed, Deed::Acquire { .. } | Deed::Release { .. });
    if !cast.iter().all(lock) {
        return None;
    }
    let culprit = &cast[culprit?];
    tokens(scene, cast, culprit).or_else(|| two_holders(scene, cast, culprit)).or_else(|| unheld(scene, cast, culprit))
}

fn token(cast: &Cast) -> Option<&String> {
    cast.described.deed.token()
}

/// A fencing token that was not above one granted before.
fn tokens(scene: &Scene, cast: &[Cast], culprit: &Cast) -> Option<String> {
    let mine = token(culprit)?;
    let value = |token: &String| token.parse::<u128>().ok();
    let (who, object) = (culprit.who(), &scene.object);
    let others = || cast.iter().filter(|other| other.index != culprit.index);
    if let Some(other) = others().find(|other| token(other) == Some(mine)) {
        let whose = if other.who() == who { format!("{who} twice") } else { format!("{} and {who} both", other.who()) };
        return Some(format!("{whose} were granted {object} with token {mine}"));
    }
    let higher = |other: &&Cast| {
        other.precedes(culprit)
            && token(other).and_then(value).zip(value(mine)).is_some_and(|(other, mine)| other > mine)
    };
    let other = others().filter(higher).max_by_key(|other| other.answered)?;
    let (theirs, granted) = (token(other)?, other.who());
    Some(format!(
        "{who} was granted {object} with token {mine} after {granted} had been granted it with token {theirs}"
    ))
}

/// A grant while another holder had not given it back.
fn two_holders(scene: &Scene, cast: &[Cast], culprit: &Cast) -> Option<String> {
    if !matches!(culprit.described.deed, Deed::Acquire { .. }) {
        return None;
    }
    let grants = |other: &&Cast| matches!(other.described.deed, Deed::Acquire { .. }) && other.index != culprit.index;
    // Held for certain: granted before the culprit was answered, and given back, if ever, by a release asked for only later.
    let released = |holder: &Cast| {
        cast.iter()
            .filter(|release| matches!(release.described.deed, Deed::Release { .. }) && release.who() == holder.who())
            .filter(|release| release.invoked >= holder.invoked)
            .min_by_key(|release| release.invoked)
    };
    let answered = culprit.answered?;
    let holder = cast
        .iter()
        .filter(grants)
        .filter(|holder| holder.answered.is_some_and(|granted| granted <= answered))
        .filter(|holder| released(holder).is_none_or(|release| release.invoked > culprit.invoked))
        .max_by_key(|holder| holder.answered)?;
    let (who, object) = (culprit.who(), &scene.object);
    let since = holder.described.answered.as_deref().unwrap_or("then");
    let held = if holder.who() == who {
        format!("although it held it already, since {since}")
    } else {
        format!("while {} held it, since {since}", holder.who())
    };
    let until = match (&holder.described.deed, released(holder)) {
        (Deed::Acquire { until: Some(until), .. }, _) => format!(" and until {until}"),
        (_, Some(release)) => format!(" and until {} at the earliest", release.described.asked),
        (_, None) => String::new(),
    };
    Some(format!("{who} was granted {object} {held}{until}"))
}

/// A release by someone who held nothing.
fn unheld(scene: &Scene, cast: &[Cast], culprit: &Cast) -> Option<String> {
    if !matches!(culprit.described.deed, Deed::Release { .. }) {
        return None;
    }
    let held =
        cast.iter().any(|cast| matches!(cast.described.deed, Deed::Acquire { .. }) && cast.who() == culprit.who());
    let (who, object) = (culprit.who(), &scene.object);
    let state = if held { "which it did not hold any more" } else { "which it did not hold" };
    Some(format!("{who} released {object}, {state}, and was told that it had"))
}
