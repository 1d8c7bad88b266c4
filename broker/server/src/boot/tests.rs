use model::{PartitionIndex, TopicId};

use super::*;

fn partition(number: i32) -> TopicPartition {
    TopicPartition { topic: TopicId::from_random(5), partition: PartitionIndex(number) }
}

/// With the metadata in journal 0, unless it is said to be elsewhere.
fn found(journals: &[(u32, &[(TopicPartition, u32)])]) -> FoundLogs {
    let mut found = FoundLogs {
        journals: journals.iter().map(|(number, logs)| (*number, logs.to_vec())).collect(),
        ..FoundLogs::default()
    };
    let metadata = TopicPartition::CLUSTER_METADATA;
    let has_metadata = |logs: &Vec<(TopicPartition, u32)>| logs.iter().any(|log| log.0 == metadata);
    if !found.journals.values().any(has_metadata) {
        found.journals.entry(0).or_default().push((metadata, 1));
    }
    found
}

fn counts(plan: &BootPlan, cores_count: u16) -> Vec<usize> {
    let owners = plan.owners();
    (0..cores_count).map(|core| owners.values().filter(|owner| owner.0 == core).count()).collect()
}

#[test]
fn nothing_moves_while_the_cores_stay() {
    let found = found(&[
        (0, &[(TopicPartition::CLUSTER_METADATA, 4), (partition(0), 1)]),
        (1, &[(partition(1), 1), (partition(2), 1), (partition(3), 1), (partition(4), 1)]),
    ]);
    for before in [None, Some(2)] {
        let plan = plan(&found, 2, before).unwrap();
        assert_eq!((plan.moves.len(), plan.retired.len()), (0, 0));
        assert_eq!(counts(&plan, 2), [2, 4]);
    }
}

#[test]
fn logs_of_cores_that_are_gone_move_and_their_journals_are_retired() {
    let found = found(&[
        (0, &[(partition(0), 1)]),
        (1, &[(TopicPartition::CLUSTER_METADATA, 4), (partition(1), 1), (partition(2), 1)]),
    ]);
    let plan = plan(&found, 1, Some(2)).unwrap();
    assert_eq!(plan.retired, [1]);
    assert_eq!(plan.moves.len(), 3);
    assert!(plan.moves.iter().all(|of| of.journal == 1 && of.to == CoreId(0)));
}

#[test]
fn new_cores_get_their_share_and_the_metadata_stays_on_core_0() {
    let logs: Vec<_> = (0..10).map(|number| (partition(number), 1)).collect();
    let mut first = vec![(TopicPartition::CLUSTER_METADATA, 1)];
    first.extend(logs);
    let found = found(&[(0, &first), (1, &[]), (2, &[])]);
    let plan = plan(&found, 3, Some(1)).unwrap();
    assert_eq!(counts(&plan, 3).iter().sum::<usize>(), 11);
    assert!(counts(&plan, 3).iter().all(|count| (3..=4).contains(count)), "{plan:?}");
    assert_eq!(plan.owners()[&TopicPartition::CLUSTER_METADATA], CoreId(0));
    assert_eq!(plan.moves.len(), 7);
}

/// A crash between the new base and the `left` of the old journal: both have the log (rule C3).
#[test]
fn the_higher_base_number_has_the_log() {
    let found = found(&[(0, &[(partition(0), 7)]), (1, &[(partition(0), 9)])]);
    let plan = plan(&found, 2, Some(2)).unwrap();
    assert_eq!(plan.homes[&partition(0)], 1);
    assert_eq!(plan.moves, []);
}

#[test]
fn nothing_moves_away_from_damage() {
    let mut found = found(&[(0, &[(partition(0), 1)]), (1, &[(partition(1), 1)])]);
    let what = "the commit after block 7 is not readable".to_owned();
    found.corruptions.push(Corruption { journal: 1, path: "j/1/durable-0".into(), what });
    let kept = plan(&found, 2, Some(2)).unwrap();
    assert_eq!((kept.moves.len(), kept.is_complete()), (0, false));
    assert_eq!(
        plan(&found, 1, Some(2)).unwrap_err(),
        "journal 1 is damaged (j/1/durable-0: the commit after block 7 is not readable), so no log \
         can move from core to core; start with as many cores as before: --cores 2"
    );
}

#[test]
fn logs_without_the_metadata_are_not_taken_for_those_of_deleted_topics() {
    let mut found = found(&[(0, &[]), (1, &[(partition(0), 1), (partition(1), 1)])]);
    found.journals.insert(0, vec![]);
    let refused = plan(&found, 2, Some(2)).unwrap_err();
    assert!(refused.starts_with("there are logs of 2 partitions, and none of"), "{refused}");
}
