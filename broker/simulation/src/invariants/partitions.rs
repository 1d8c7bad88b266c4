//! Partitions (M12, M13, M15): a topic that was given more partitions has them from then on, all of
//! them or none; a count that is not more is refused and changes nothing.

use std::collections::BTreeSet;

use wire::ErrorCode;

use crate::history::{Growth, GrowthFact, History};

pub(super) fn check(history: &History) -> Result<(), String> {
    for growth in &history.growths {
        check_one(growth).map_err(|text| format!("{}: {text}", growth.name))?;
    }
    Ok(())
}

fn check_one(growth: &Growth) -> Result<(), String> {
    // Counts that it may have. The first is the one that is sure.
    let mut possible = BTreeSet::from([growth.made_count]);
    for fact in &growth.facts {
        let sure = *possible.first().expect("it has a count");
        match *fact {
            // Whether it comes, and when, nobody knows.
            GrowthFact::Asked { count, answer: None } => {
                possible.extend((sure < count).then_some(count));
            }
            GrowthFact::Asked { count, answer: Some(Ok(())) } if sure < count => {
                possible.insert(count);
                possible = possible.split_off(&count);
            }
            GrowthFact::Asked { count, answer: Some(Ok(())) } => {
                return Err(format!("it had {sure} partitions and was given {count}"));
            }
            GrowthFact::Asked { count, answer: Some(Err(ErrorCode::InvalidPartitions)) } => {
                possible = possible.split_off(&count);
                if possible.is_empty() {
                    return Err(format!(
                        "it had fewer than {count} partitions, which were refused"
                    ));
                }
            }
            GrowthFact::Asked { count, answer: Some(Err(code)) } => {
                return Err(format!("{count} partitions were refused with {code}"));
            }
            GrowthFact::Described { count } if possible.contains(&count) => {
                possible = possible.split_off(&count);
            }
            GrowthFact::Described { count } => {
                return Err(format!("it has {count} partitions, and not one of {possible:?}"));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Story, check};
    use crate::history::GrowthFact::{self, Asked, Described};
    use expect_test::{Expect, expect};
    use wire::ErrorCode;

    fn given(count: i32) -> GrowthFact {
        Asked { count, answer: Some(Ok(())) }
    }

    fn refused(count: i32) -> GrowthFact {
        Asked { count, answer: Some(Err(ErrorCode::InvalidPartitions)) }
    }

    fn lost(count: i32) -> GrowthFact {
        Asked { count, answer: None }
    }

    /// Of a topic that was made with two partitions.
    #[track_caller]
    fn check_facts(facts: &[GrowthFact], expected: Expect) {
        check(super::check, &Story::new().growth(2, facts), expected);
    }

    #[test]
    fn what_was_given_is_there_and_stays() {
        check_facts(&[Described { count: 2 }], expect!["ok"]);
        check_facts(&[Described { count: 3 }], expect!["broken"]);
        check_facts(&[given(4), Described { count: 4 }], expect!["ok"]);
        check_facts(&[given(4), Described { count: 2 }], expect!["broken"]);
        // All of them or none.
        check_facts(&[given(4), Described { count: 3 }], expect!["broken"]);
    }

    #[test]
    fn only_more_is_given() {
        check_facts(&[given(3)], expect!["ok"]);
        check_facts(&[given(2)], expect!["broken"]);
        check_facts(&[refused(2), refused(1), refused(-1)], expect!["ok"]);
        check_facts(&[refused(3)], expect!["broken"]);
        let code = ErrorCode::UnknownTopicOrPartition;
        check_facts(&[Asked { count: 3, answer: Some(Err(code)) }], expect!["broken"]);
    }

    #[test]
    fn what_was_asked_for_may_come_later() {
        check_facts(&[lost(4), Described { count: 2 }, Described { count: 4 }], expect!["ok"]);
        check_facts(&[lost(4), Described { count: 4 }, Described { count: 2 }], expect!["broken"]);
        check_facts(&[lost(4), Described { count: 3 }], expect!["broken"]);
        check_facts(&[lost(4), refused(4), Described { count: 4 }], expect!["ok"]);
        check_facts(&[lost(4), refused(4), Described { count: 2 }], expect!["broken"]);
        check_facts(&[lost(4), refused(5)], expect!["broken"]);
        check_facts(&[lost(2), Described { count: 2 }], expect!["ok"]);
    }
}
