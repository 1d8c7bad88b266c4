//! Offsets, what administrators see, and what holds whatever happens.

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;

use super::super::testing::*;
use super::*;
use crate::group::{ClassicMetadata, Joined, NotAppended};

fn partition(topic: &str) -> (String, PartitionIndex) {
    (topic.to_owned(), PartitionIndex(0))
}

#[test]
fn a_group_has_the_partition_that_kafka_gives_it() {
    // Of "".hashCode(), "abc".hashCode() and so on; the last one's is the lowest number.
    for (group, partition) in [("", 0), ("abc", 4), ("my-group", 36), ("polygenelubricants", 0)] {
        assert_eq!(partition_of(group, 50), PartitionIndex(partition), "{group}");
    }
}

#[test]
fn offsets_are_committed_by_members_and_by_nobody_only_where_there_are_no_members() {
    let mut world = World::new();
    assert_eq!(world.commit("", -1, 3), Ok(()));
    assert_eq!((world.committed(), world.state()), (Some(3), "Empty"));
    let (ids, generation) = world.stable(1);
    let nobody = GroupError::UnknownMember { member: String::new() };
    assert_eq!(world.commit("", -1, 4), Err(nobody));
    assert_eq!(world.commit(&ids[0], generation, 5), Ok(()));
    let other = GroupError::UnknownMember { member: "x".to_owned() };
    assert_eq!(world.commit("x", generation, 6), Err(other));
    world.restart();
    assert_eq!(world.committed(), Some(5));
    let commit = Commit {
        member: MemberOf { group: "none".to_owned(), ..member_of("x", None, 3) },
        ..commit_of("", 0, &[])
    };
    let outcome = world.turn(|groups, turn| groups.commit(turn, commit));
    assert_eq!(outcome, Err(GroupError::GroupNotFound { group: "none".to_owned() }));
}

#[test]
fn a_note_that_is_too_long_is_refused_for_its_partition_alone() {
    let mut world = World::new();
    let mut commit = commit_of("", -1, &[("t", 0, 1), ("t", 1, 2), ("u", 0, 3)]);
    commit.offsets[1].metadata = "x".repeat(11);
    let outcomes = world.turn(|groups, turn| groups.commit(turn, commit)).unwrap();
    let too_large = GroupError::MetadataTooLarge { size_bytes: 11, limit_bytes: 10 };
    assert_eq!(outcomes, [Ok(()), Err(too_large), Ok(())]);
    let offsets = world.groups.offsets("g").unwrap();
    assert_eq!(offsets["t"].len(), 1);
    assert_eq!(offsets["u"][&PartitionIndex(0)].metadata, "note");
    assert_eq!(world.groups.offsets("h"), None);
}

#[test]
fn offsets_of_topics_that_nobody_reads_can_be_deleted() {
    let mut world = World::new();
    let commit = commit_of("", -1, &[("t", 0, 1), ("u", 0, 3)]);
    world.turn(|groups, turn| groups.commit(turn, commit)).unwrap().into_iter().for_each(|it| {
        it.unwrap();
    });
    let (ids, _) = world.stable(1);
    let wanted = [partition("t"), partition("u"), partition("v")];
    let outcomes = world.turn(|groups, turn| groups.delete_offsets(turn, "g", &wanted)).unwrap();
    assert_eq!(outcomes, [Err(GroupError::Subscribed), Ok(()), Ok(())]);
    let left: Vec<&String> = world.groups.offsets("g").unwrap().keys().collect();
    assert_eq!(left, ["t"]);
    world.leave(&ids[0]);
    let outcomes = world.turn(|groups, turn| groups.delete_offsets(turn, "g", &wanted)).unwrap();
    assert_eq!(outcomes, [Ok(()), Ok(()), Ok(())]);
    world.restart();
    assert!(world.groups.offsets("g").unwrap().is_empty());
    let none = world.turn(|groups, turn| groups.delete_offsets(turn, "h", &wanted));
    assert_eq!(none, Err(GroupError::GroupNotFound { group: "h".to_owned() }));
}

#[test]
fn a_group_is_deleted_with_its_offsets_when_it_has_no_members() {
    let mut world = World::new();
    let (ids, generation) = world.stable(1);
    world.commit(&ids[0], generation, 5).unwrap();
    assert_eq!(world.turn(|groups, turn| groups.delete(turn, "g")), Err(GroupError::NotEmpty));
    world.leave(&ids[0]);
    world.log.refuses = Some(NotAppended::NotNow);
    assert_eq!(world.turn(|groups, turn| groups.delete(turn, "g")), Err(GroupError::NotAvailable));
    assert_eq!(world.committed(), Some(5));
    world.log.refuses = None;
    assert_eq!(world.turn(|groups, turn| groups.delete(turn, "g")), Ok(()));
    let not_found = GroupError::GroupNotFound { group: "g".to_owned() };
    assert_eq!(world.groups.describe("g"), Err(not_found.clone()));
    world.restart();
    assert!(world.groups.is_empty());
    assert_eq!(world.turn(|groups, turn| groups.delete(turn, "g")), Err(not_found));
}

#[test]
fn offsets_are_kept_while_there_are_members_and_for_a_while_after() {
    let mut world = World::new();
    let (ids, generation) = world.stable(1);
    world.commit(&ids[0], generation, 5).unwrap();
    let commit = commit_of(&ids[0], generation, &[("left", 0, 3)]);
    world.turn(|groups, turn| groups.commit(turn, commit)).unwrap();
    let live = |world: &mut World, ms: u64| {
        for _ in 0..ms / 5_000 {
            world.pass_ms(5_000);
            let _ = world.heartbeat(&ids[0], generation);
        }
        world.turn(|groups, turn| groups.expire_offsets(turn)).unwrap();
    };
    live(&mut world, 95_000);
    assert_eq!(world.groups.offsets("g").unwrap().len(), 2);
    // A topic that nobody reads any more.
    live(&mut world, 10_000);
    assert_eq!(world.groups.offsets("g").unwrap().keys().collect::<Vec<_>>(), ["t"]);
    world.leave(&ids[0]);
    world.restart();
    live(&mut world, 95_000);
    assert_eq!((world.committed(), world.state()), (Some(5), "Empty"));
    live(&mut world, 5_000);
    assert_eq!((world.committed(), world.state()), (None, "none"));
    world.restart();
    assert!(world.groups.is_empty());
}

#[test]
fn offsets_without_a_group_go_when_they_are_old_or_when_it_was_said() {
    let mut world = World::new();
    world.commit("", -1, 3).unwrap();
    let mut commit = commit_of("", -1, &[("short", 0, 1)]);
    commit.retention_ms = Some(5_000);
    world.turn(|groups, turn| groups.commit(turn, commit)).unwrap();
    world.pass_ms(5_000);
    world.turn(|groups, turn| groups.expire_offsets(turn)).unwrap();
    assert_eq!(world.groups.offsets("g").unwrap().keys().collect::<Vec<_>>(), ["t"]);
    world.pass_ms(95_000);
    world.turn(|groups, turn| groups.expire_offsets(turn)).unwrap();
    assert!(world.groups.is_empty());
}

#[test]
fn what_is_known_of_a_topic_goes_with_it() {
    let mut world = World::new();
    let commit = commit_of("", -1, &[("t", 0, 1), ("u", 0, 3)]);
    world.turn(|groups, turn| groups.commit(turn, commit)).unwrap();
    world.topics.0.insert("u".to_owned(), 1);
    world.turn(|groups, turn| groups.forget_topics(turn)).unwrap();
    world.restart();
    assert_eq!(world.groups.offsets("g").unwrap().keys().collect::<Vec<_>>(), ["u"]);
}

/// Something that happens to a group.
#[derive(Clone, Debug)]
enum Step {
    Join { consumer: usize },
    Sync { consumer: usize },
    Heartbeat { consumer: usize },
    Leave { consumer: usize },
    Commit { consumer: usize, by: i64 },
    Forget { consumer: usize },
    Pass { ms: u64 },
    Restart,
    Refuse(bool),
}

fn step() -> impl Strategy<Value = Step> {
    let consumer = 0..4_usize;
    prop_oneof![
        6 => consumer.clone().prop_map(|consumer| Step::Join { consumer }),
        6 => consumer.clone().prop_map(|consumer| Step::Sync { consumer }),
        3 => consumer.clone().prop_map(|consumer| Step::Heartbeat { consumer }),
        1 => consumer.clone().prop_map(|consumer| Step::Leave { consumer }),
        4 => (consumer.clone(), 0..5_i64).prop_map(|(consumer, by)| Step::Commit { consumer, by }),
        1 => consumer.prop_map(|consumer| Step::Forget { consumer }),
        6 => (0..12_000_u64).prop_map(|ms| Step::Pass { ms }),
        1 => Just(Step::Restart),
        1 => any::<bool>().prop_map(Step::Refuse),
    ]
}

/// A consumer as it sees itself; two of the four are static members.
#[derive(Clone, Debug, Default)]
struct Consumer {
    id: String,
    generation: i32,
    is_leader: bool,
    members: Vec<String>,
    joining: Option<Ticket>,
    syncing: Option<Ticket>,
}

struct Model {
    world: World,
    consumers: Vec<Consumer>,
    /// Of each generation: the leader, as all its members must be told.
    leaders: BTreeMap<i32, String>,
    /// The assignment that a member of a generation was given first.
    assignments: BTreeMap<(i32, String), Vec<u8>>,
    generation_max: i32,
    committed: Option<i64>,
}

impl Model {
    fn join_of(&self, consumer: usize) -> Join {
        let id = self.consumers[consumer].id.as_str();
        let join = match consumer {
            0 | 1 => join_of(id),
            _ => static_join(&format!("i{consumer}"), id),
        };
        Join { may_be_given_id: consumer == 0, ..join }
    }

    fn member(&self, consumer: usize) -> MemberOf {
        let Consumer { id, generation, .. } = &self.consumers[consumer];
        let instance = (2 <= consumer).then(|| format!("i{consumer}"));
        member_of(id, instance.as_deref(), *generation)
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Join { consumer } => {
                if self.consumers[consumer].joining.is_none() {
                    let ticket = self.world.join(self.join_of(consumer));
                    self.consumers[consumer].joining = Some(ticket);
                }
            }
            Step::Sync { consumer } => {
                let it = &self.consumers[consumer];
                if it.syncing.is_none() && it.joining.is_none() {
                    let give =
                        |id: &String| (id.clone(), Bytes::from(format!("{consumer} to {id}")));
                    let all = it.members.iter().filter(|_| it.is_leader).map(give);
                    let assignments = all.collect();
                    let member = self.member(consumer);
                    let sync = Sync { member, assignments, ..sync_of("", 0, &[]) };
                    self.consumers[consumer].syncing = Some(self.world.sync(sync));
                }
            }
            Step::Heartbeat { consumer } => {
                let heard = self.world.groups.heartbeat(self.world.now, &self.member(consumer));
                self.note_error(consumer, heard.err());
            }
            Step::Leave { consumer } => {
                let leaving =
                    Leaving { member: self.consumers[consumer].id.clone(), instance: None };
                let _ = self.world.turn(|groups, turn| groups.leave(turn, "g", &[leaving]));
            }
            Step::Commit { consumer, by } => {
                let offset = self.committed.unwrap_or(0) + by;
                let commit = Commit {
                    member: self.member(consumer),
                    ..commit_of("", 0, &[("t", 0, offset)])
                };
                let is_current = self.consumers[consumer].generation == self.generation_max;
                let outcome = self.world.turn(|groups, turn| groups.commit(turn, commit));
                if outcome.is_ok() {
                    let is_nobody = self.consumers[consumer].generation < 0;
                    assert!(is_current || is_nobody, "an old generation has committed");
                    self.committed = Some(offset);
                }
            }
            // A process that is started again.
            Step::Forget { consumer } => {
                self.consumers[consumer] = Consumer { generation: -1, ..Consumer::default() };
            }
            Step::Pass { ms } => self.world.pass_ms(ms),
            Step::Restart => {
                self.world.log.refuses = None;
                self.world.restart();
                for consumer in &mut self.consumers {
                    (consumer.joining, consumer.syncing) = (None, None);
                }
            }
            Step::Refuse(refuses) => {
                self.world.log.refuses = refuses.then_some(NotAppended::NotNow);
            }
        }
        self.take_replies();
        assert_eq!(self.world.committed(), self.committed, "the last commit that went well");
        self.check_log();
    }

    fn take_replies(&mut self) {
        for consumer in 0..self.consumers.len() {
            if let Some(ticket) = self.consumers[consumer].joining
                && let Some(Reply::Join(reply)) = self.world.take_reply(ticket)
            {
                self.consumers[consumer].joining = None;
                self.note_joined(consumer, reply);
            }
            if let Some(ticket) = self.consumers[consumer].syncing
                && let Some(Reply::Sync(reply)) = self.world.take_reply(ticket)
            {
                self.consumers[consumer].syncing = None;
                match reply {
                    Ok(synced) => self.note_assignment(consumer, synced.assignment.to_vec()),
                    Err(error) => self.note_error(consumer, Some(error)),
                }
            }
        }
        // Of processes that have forgotten what they had asked.
        self.world.replies.clear();
    }

    fn note_joined(&mut self, consumer: usize, reply: Result<Joined, JoinRefused>) {
        let joined = match reply {
            Ok(joined) => joined,
            Err(JoinRefused { error: GroupError::MemberIdRequired, member }) => {
                self.consumers[consumer].id = member;
                return;
            }
            Err(refused) => return self.note_error(consumer, Some(refused.error)),
        };
        let generation = joined.generation;
        assert!(self.generation_max <= generation, "generation {generation} is an old one");
        self.generation_max = generation;
        let is_leader = joined.leader == joined.member;
        if is_leader && !joined.skip_assignment {
            let known = self.leaders.entry(generation).or_insert_with(|| joined.leader.clone());
            assert_eq!(*known, joined.leader, "generation {generation} has one leader");
        }
        let it = &mut self.consumers[consumer];
        it.members = joined.members.into_iter().map(|member| member.id).collect();
        (it.id, it.generation, it.is_leader) = (joined.member, generation, is_leader);
    }

    fn note_assignment(&mut self, consumer: usize, assignment: Vec<u8>) {
        let Consumer { id, generation, .. } = &self.consumers[consumer];
        let key = (*generation, id.clone());
        let known = self.assignments.entry(key).or_insert_with(|| assignment.clone());
        assert_eq!(*known, assignment, "one assignment in generation {generation}");
    }

    fn note_error(&mut self, consumer: usize, error: Option<GroupError>) {
        let forgets = match error {
            Some(GroupError::UnknownMember { .. } | GroupError::FencedInstance { .. }) => true,
            Some(_) | None => false,
        };
        if forgets {
            self.consumers[consumer] = Consumer { generation: -1, ..Consumer::default() };
        }
    }

    /// The log alone says the same as the groups that have written it.
    fn check_log(&self) {
        let mut replayed = Groups::new(SETTINGS);
        for record in &self.world.log.records {
            replayed.replay(record);
        }
        let offsets = |groups: &Groups| groups.offsets("g").cloned().unwrap_or_default();
        assert_eq!(offsets(&replayed), offsets(&self.world.groups));
        let generations = self.world.log.records.iter().filter_map(|record| match record {
            GroupRecord::Classic { value: Some(ClassicMetadata { generation, .. }), .. } => {
                Some(*generation)
            }
            _ => None,
        });
        assert!(generations.is_sorted(), "generations only rise");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]
    #[test]
    fn whatever_happens_generations_rise_and_commits_stay(steps in prop::collection::vec(step(), 1..200)) {
        let consumer = Consumer { generation: -1, ..Consumer::default() };
        let mut model = Model {
            world: World::new(),
            consumers: vec![consumer; 4],
            leaders: BTreeMap::new(),
            assignments: BTreeMap::new(),
            generation_max: 0,
            committed: None,
        };
        for step in steps {
            model.take(step);
        }
        // Everybody who waits is answered in the end.
        model.world.log.refuses = None;
        model.world.pass_ms(700_000);
        model.take_replies();
        for consumer in &model.consumers {
            prop_assert!(consumer.joining.is_none() && consumer.syncing.is_none());
        }
    }
}
