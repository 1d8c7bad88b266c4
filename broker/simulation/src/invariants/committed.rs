//! Committed (G2, G3): how far a group has come never goes back: what is told is not less than what was
//! acknowledged before, and something that a member has said. Who is of a generation before is refused.

use model::Offset;

use crate::history::{History, OffsetSet, OffsetTold, Outcome};

pub(super) fn check(history: &History) -> Result<(), String> {
    let accepted = |set: &&OffsetSet| matches!(set.outcome, Outcome::Acknowledged { .. });
    if let Some(set) = history.offsets_set.iter().filter(accepted).find(|set| set.is_stale) {
        return Err(format!(
            "group {}, {}: {} has committed {} as what it was in a generation before",
            set.group, set.partition, set.member, set.offset
        ));
    }
    for told in &history.offsets_told {
        check_told(history, told)?;
    }
    Ok(())
}

fn check_told(history: &History, told: &OffsetTold) -> Result<(), String> {
    let of_partition = |set: &&OffsetSet| {
        set.group == told.group && set.partition == told.partition && !set.is_stale
    };
    let sets = || history.offsets_set.iter().filter(of_partition);
    let before = sets().filter(|set| {
        let is_over = set.span.ended_at < told.span.started_at;
        is_over && matches!(set.outcome, Outcome::Acknowledged { .. })
    });
    let least = before.map(|set| set.offset).max();
    // One whose answer was lost may come late.
    let was_said = |offset: Offset| {
        sets().any(|set| {
            let may_be = !matches!(set.outcome, Outcome::Refused(_));
            set.offset == offset && set.span.started_at <= told.span.ended_at && may_be
        })
    };
    let is_late = |offset: Offset| {
        sets().any(|set| {
            let is_unknown = matches!(set.outcome, Outcome::Unknown);
            set.offset == offset && set.span.started_at <= told.span.ended_at && is_unknown
        })
    };
    let complaint = |what: &str| {
        let shown = told.offset.map_or("nothing".to_owned(), |offset| offset.to_string());
        Err(format!("group {}, {}: {shown} is told, {what}", told.group, told.partition))
    };
    match (told.offset, least) {
        (None, None) => Ok(()),
        (None, Some(least)) => complaint(&format!("and {least} was committed")),
        (Some(offset), _) if !was_said(offset) => complaint("which nobody has committed"),
        (Some(offset), Some(least)) if offset < least && !is_late(offset) => {
            complaint(&format!("and {least} was committed"))
        }
        (Some(_), _) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Story, check};
    use expect_test::expect;

    #[test]
    fn what_is_committed_is_told_and_does_not_go_back() {
        let begun = Story::new().told_offset(None).set("a", 5);
        check(super::check, &begun.clone().told_offset(Some(5)), expect!["ok"]);
        check(super::check, &begun.clone().told_offset(None), expect!["broken"]);
        check(super::check, &begun.clone().told_offset(Some(6)), expect!["broken"]);
        let further = begun.set("a", 9);
        check(super::check, &further.clone().told_offset(Some(9)), expect!["ok"]);
        check(super::check, &further.told_offset(Some(5)), expect!["broken"]);
    }

    #[test]
    fn what_was_said_and_never_answered_may_be_told() {
        let lost = Story::new().set("a", 9).lost_set("a", 7);
        check(super::check, &lost.clone().told_offset(Some(7)), expect!["ok"]);
        check(super::check, &lost.clone().told_offset(Some(9)), expect!["ok"]);
        check(super::check, &lost.told_offset(Some(8)), expect!["broken"]);
    }

    #[test]
    fn who_is_of_a_generation_before_is_refused() {
        check(super::check, &Story::new().stale_set("a", 9), expect!["broken"]);
    }
}
