//! What members of a group of KIP-848 see.

use std::collections::BTreeMap;

use model::{PartitionIndex, TopicId};
use proptest::prelude::*;

use super::super::testing::*;
use super::super::*;
use crate::group::record::MemberState;

fn state(world: &World) -> &'static str {
    world.groups.describe_consumer("g").unwrap().state.name()
}

#[test]
fn the_first_member_gets_everything_at_once() {
    let mut world = world_of(&[("t", 3), ("u", 1)]);
    let told = say(&mut world, &joining("a", &["t", "u", "not yet there"])).unwrap();
    assert_eq!((told.epoch, told.interval_ms, told.member.as_str()), (1, 5_000, "a"));
    let assignment = told.assignment.unwrap();
    assert_eq!(numbers(&assignment, "t"), [0, 1, 2]);
    assert_eq!(numbers(&assignment, "u"), [0]);
    assert_eq!(state(&world), "Stable");
    let told = say(&mut world, &beat("a", 1)).unwrap();
    assert_eq!((told.epoch, told.assignment), (1, None), "nothing has changed");
    // A topic that comes is noticed by the next heartbeat.
    world.topics.0.insert("not yet there".to_owned(), 2);
    let told = say(&mut world, &beat("a", 1)).unwrap();
    assert_eq!(told.epoch, 2);
    assert_eq!(numbers(&told.assignment.unwrap(), "not yet there"), [0, 1]);
}

#[test]
fn a_partition_is_given_away_only_when_its_member_has_said_that_it_gave_it_up() {
    let mut world = world_of(&[("t", 4)]);
    let mut a = Obedient::join(&mut world, "a", &["t"]);
    let mut b = Obedient::join(&mut world, "b", &["t"]);
    assert!(b.owned.is_empty(), "a still has everything");
    assert_eq!((b.epoch, state(&world)), (2, "Reconciling"));
    let told = say(&mut world, &beat("a", 1)).unwrap();
    let kept = told.assignment.unwrap();
    assert_eq!((told.epoch, kept.len()), (1, 2), "it stays in its epoch until it has given up");
    b.beat(&mut world);
    assert!(b.owned.is_empty());
    // A heartbeat that says nothing of partitions is no promise.
    say(&mut world, &beat("a", 1)).unwrap();
    b.beat(&mut world);
    assert!(b.owned.is_empty());
    a.owned = kept.clone();
    a.beat(&mut world);
    assert_eq!((a.epoch, &a.owned), (2, &kept));
    b.beat(&mut world);
    assert_eq!(b.owned.len(), 2);
    assert!(!b.owned.has_any_of(&a.owned));
    settle(&mut world, &mut [&mut a, &mut b]);
    assert_eq!(state(&world), "Stable");
}

#[test]
fn who_does_not_give_up_in_time_or_is_silent_is_out() {
    let mut world = world_of(&[("t", 4)]);
    Obedient::join(&mut world, "a", &["t"]);
    let mut b = Obedient::join(&mut world, "b", &["t"]);
    say(&mut world, &beat("a", 1)).unwrap();
    for _ in 0..2 {
        world.pass_ms(4_900);
        say(&mut world, &beat("a", 1)).unwrap();
        b.beat(&mut world);
    }
    world.pass_ms(200);
    let unknown = GroupError::UnknownMember { member: "a".to_owned() };
    assert_eq!(say(&mut world, &beat("a", 1)), Err(unknown));
    settle(&mut world, &mut [&mut b]);
    assert_eq!(b.owned.len(), 4);
    world.pass_ms(45_000);
    assert_eq!((state(&world), world.groups.members_count()), ("Empty", 0));
}

#[test]
fn epochs_that_are_not_the_members_are_fenced_but_for_a_lost_answer() {
    let mut world = world_of(&[("t", 2)]);
    let a = Obedient::join(&mut world, "a", &["t"]);
    let fenced = |theirs| Err(GroupError::FencedMemberEpoch { theirs, ours: 1 });
    assert_eq!(say(&mut world, &beat("a", 2)), fenced(2));
    world.topics.0.insert("t".to_owned(), 3);
    // The answer that tells of the third partition is lost.
    assert_eq!(say(&mut world, &beat("a", 1)).unwrap().epoch, 2);
    let again = Beat { owned: Some(a.owned), ..beat("a", 1) };
    assert_eq!(say(&mut world, &again).unwrap().epoch, 2);
    assert!(say(&mut world, &beat("a", 1)).is_err(), "it does not say what it has");
    let unknown = GroupError::UnknownMember { member: "x".to_owned() };
    assert_eq!(say(&mut world, &beat("x", 2)), Err(unknown));
    let nobody = Beat { group: "h".to_owned(), ..beat("a", 2) };
    let missing = GroupError::GroupNotFound { group: "h".to_owned() };
    assert_eq!(say(&mut world, &nobody), Err(missing));
    // One that was fenced gives up everything and joins anew.
    let told = say(&mut world, &joining("a", &["t"])).unwrap();
    assert_eq!(numbers(&told.assignment.unwrap(), "t"), [0, 1, 2]);
}

#[test]
fn members_leave_for_good_or_come_back_as_the_instance_that_they_were() {
    let mut world = world_of(&[("t", 4)]);
    let fixed = |id: &str| Beat { instance: Some("i".to_owned()), ..joining(id, &["t"]) };
    let told = say(&mut world, &fixed("a")).unwrap();
    assert_eq!(told.epoch, 1);
    let mut b = Obedient::join(&mut world, "b", &["t"]);
    let given_up = say(&mut world, &beat("a", 1)).unwrap().assignment.unwrap();
    let said = Beat { owned: Some(given_up.clone()), ..beat("a", 1) };
    say(&mut world, &said).unwrap();
    settle(&mut world, &mut [&mut b]);
    let unreleased = GroupError::UnreleasedInstance { instance: "i".to_owned() };
    assert_eq!(say(&mut world, &fixed("c")), Err(unreleased));
    let away = Beat { instance: Some("i".to_owned()), ..beat("a", -2) };
    assert_eq!(say(&mut world, &away).unwrap().epoch, -2);
    let epoch = world.groups.describe_consumer("g").unwrap().epoch;
    let told = say(&mut world, &fixed("c")).unwrap();
    assert_eq!((told.epoch, told.assignment.unwrap()), (epoch, given_up), "as if nothing had been");
    let fenced = GroupError::FencedInstance { instance: "i".to_owned() };
    let old = Beat { instance: Some("i".to_owned()), ..beat("a", epoch) };
    assert_eq!(say(&mut world, &old), Err(fenced));
    assert!(!b.beat(&mut world));
    let left = say(&mut world, &Beat { instance: None, ..beat("b", -1) }).unwrap();
    assert_eq!(left.epoch, -1);
    let told = say(&mut world, &beat("c", epoch)).unwrap();
    assert_eq!(told.assignment.unwrap().len(), 4);
}

#[test]
fn patterns_read_what_they_match_whole_and_new_topics_too() {
    let mut world = world_of(&[("orders-1", 1), ("orders-12", 1), ("my-orders-1", 1)]);
    let by_pattern =
        |pattern: &str| Beat { topics: None, regex: Some(pattern.to_owned()), ..joining("a", &[]) };
    let told = say(&mut world, &by_pattern("orders-[0-9]")).unwrap();
    let assignment = told.assignment.unwrap();
    assert_eq!((numbers(&assignment, "orders-1"), assignment.len()), (vec![0], 1));
    world.topics.0.insert("orders-2".to_owned(), 2);
    let told = say(&mut world, &beat("a", 1)).unwrap();
    assert_eq!(told.assignment.unwrap().len(), 3);
    let error = say(&mut world, &by_pattern("(")).unwrap_err();
    assert!(matches!(error, GroupError::InvalidRegex(_)), "{error}");
}

#[test]
fn members_choose_the_way_of_assignment_and_what_makes_no_sense_is_refused() {
    let mut world = world_of(&[("t", 4), ("u", 4)]);
    let ranged = |id: &str| Beat { assignor: Some("range".to_owned()), ..joining(id, &["t", "u"]) };
    let told = say(&mut world, &ranged("b")).unwrap();
    let mut b = Obedient { id: "b".to_owned(), epoch: 1, owned: told.assignment.unwrap() };
    say(&mut world, &ranged("a")).unwrap();
    let mut a = Obedient { id: "a".to_owned(), epoch: 2, owned: Partitions::default() };
    settle(&mut world, &mut [&mut a, &mut b]);
    for topic in ["t", "u"] {
        assert_eq!((numbers(&a.owned, topic), numbers(&b.owned, topic)), (vec![0, 1], vec![2, 3]));
    }
    let before = world.log.records.len();
    let unsupported = Beat { assignor: Some("x".to_owned()), ..joining("c", &["t"]) };
    let error = say(&mut world, &unsupported).unwrap_err();
    assert_eq!(error, GroupError::UnsupportedAssignor { name: "x".to_owned() });
    let ok = joining("c", &["t"]);
    for wrong in [
        Beat { group: String::new(), ..ok.clone() },
        Beat { instance: Some(String::new()), ..ok.clone() },
        Beat { rack: Some(String::new()), ..ok.clone() },
        Beat { rebalance_timeout_ms: None, ..ok.clone() },
        Beat { owned: None, ..ok.clone() },
        Beat { owned: Some(a.owned.clone()), ..ok.clone() },
        Beat { topics: None, ..ok },
        beat("", 1),
        beat("c", -2),
        beat("c", -3),
    ] {
        let error = say(&mut world, &wrong).unwrap_err();
        assert!(matches!(error, GroupError::InvalidRequest(_)), "{wrong:?}: {error}");
    }
    assert_eq!(world.log.records.len(), before);
}

#[test]
fn offsets_are_committed_in_the_members_epoch_alone() {
    let mut world = world_of(&[("t", 2)]);
    Obedient::join(&mut world, "a", &["t"]);
    assert_eq!(world.commit("a", 1, 7), Ok(()));
    assert_eq!(world.commit("a", 0, 8), Err(GroupError::StaleMemberEpoch { theirs: 0, ours: 1 }));
    let unknown = |id: &str| Err(GroupError::UnknownMember { member: id.to_owned() });
    assert_eq!(world.commit("b", 1, 8), unknown("b"));
    assert_eq!(world.commit("", -1, 8), unknown(""));
    assert_eq!(world.committed(), Some(7));
    let asked = |world: &World, epoch| world.groups.check_fetch("g", "a", epoch);
    assert_eq!(asked(&world, 1), Ok(()));
    assert_eq!(asked(&world, 2), Err(GroupError::StaleMemberEpoch { theirs: 2, ours: 1 }));
    let deleted = |world: &mut World, topic: &str| {
        let wanted = [(topic.to_owned(), PartitionIndex(0))];
        world.turn(|groups, turn| groups.delete_offsets(turn, "g", &wanted)).unwrap().remove(0)
    };
    assert_eq!(deleted(&mut world, "t"), Err(GroupError::Subscribed));
    assert_eq!(deleted(&mut world, "u"), Ok(()));
    say(&mut world, &beat("a", -1)).unwrap();
    assert_eq!(world.commit("", -1, 8), Ok(()));
}

#[test]
fn a_group_goes_from_one_protocol_to_the_other_when_it_has_no_members() {
    let mut world = world_of(&[("t", 2)]);
    let (ids, generation) = world.stable(1);
    world.commit(&ids[0], generation, 5).unwrap();
    let other = |wanted| GroupError::OtherKind { group: "g".to_owned(), wanted };
    assert_eq!(say(&mut world, &joining("a", &["t"])), Err(other("consumer")));
    world.leave(&ids[0]);
    let told = say(&mut world, &joining("a", &["t"])).unwrap();
    assert!(generation < told.epoch, "numbers go on");
    assert_eq!(world.committed(), Some(5));
    assert_eq!(world.groups.describe("g"), Err(other("classic")));
    assert_eq!(
        world.heartbeat("a", told.epoch),
        Err(GroupError::UnknownMember { member: "a".to_owned() })
    );
    say(&mut world, &beat("a", -1)).unwrap();
    let before = world.groups.describe_consumer("g").unwrap().epoch;
    let ticket = world.join(join_of(""));
    world.pass_ms(3_000);
    assert!(before < world.joined(ticket).generation);
    assert_eq!(world.committed(), Some(5));
    world.restart();
    assert_eq!(world.state(), "PreparingRebalance");
    assert_eq!(world.committed(), Some(5));
}

#[test]
fn groups_are_deleted_and_their_members_taken_out_by_administrators() {
    let mut world = world_of(&[("t", 2)]);
    Obedient::join(&mut world, "a", &["t"]);
    assert_eq!(world.turn(|groups, turn| groups.delete(turn, "g")), Err(GroupError::NotEmpty));
    let listed: Vec<Listing> = world.groups.list().collect();
    assert_eq!((listed[0].state, listed[0].kind), ("Stable", GroupKind::Consumer));
    let unknown = Err(GroupError::UnknownMember { member: "x".to_owned() });
    assert_eq!(world.leave("x"), [unknown]);
    assert_eq!(world.leave("a"), [Ok(())]);
    assert_eq!(world.turn(|groups, turn| groups.delete(turn, "g")), Ok(()));
    world.restart();
    assert!(world.groups.is_empty());
}

#[test]
fn a_log_that_takes_nothing_changes_nothing_for_members() {
    let mut world = world_of(&[("t", 2)]);
    let mut a = Obedient::join(&mut world, "a", &["t"]);
    world.log.refuses = Some(NotAppended::NotNow);
    let refused = Err(GroupError::NotAvailable);
    assert_eq!(say(&mut world, &joining("b", &["t"])), refused);
    assert!(!a.beat(&mut world), "nothing is to be recorded for it");
    assert_eq!(say(&mut world, &beat("a", -1)), refused);
    // Nor can one be put out, which is tried again.
    world.pass_ms(46_000);
    assert_eq!(world.groups.members_count(), 1);
    world.log.refuses = None;
    world.pass_ms(1_000);
    assert_eq!(state(&world), "Empty");
    let fresh = Beat { group: "h".to_owned(), ..joining("b", &["t"]) };
    world.log.refuses = Some(NotAppended::NotNow);
    assert_eq!(say(&mut world, &fresh), refused);
    assert_eq!(world.groups.len(), 1, "what could not begin is not there");
}

/// Something that happens to a group.
#[derive(Clone, Debug)]
enum Step {
    Join {
        member: usize,
        topics: usize,
    },
    /// With what it owns, and perhaps without having heard the answer.
    Beat {
        member: usize,
        is_heard: bool,
    },
    /// Without saying what it owns.
    Short {
        member: usize,
    },
    Leave {
        member: usize,
    },
    Pass {
        ms: u64,
    },
    Grow {
        topic: usize,
    },
    Restart,
    Refuse(bool),
}

fn step() -> impl Strategy<Value = Step> {
    let member = 0..4_usize;
    prop_oneof![
        4 => (member.clone(), 0..4_usize).prop_map(|(member, topics)| Step::Join { member, topics }),
        12 => (member.clone(), prop::bool::weighted(0.8))
            .prop_map(|(member, is_heard)| Step::Beat { member, is_heard }),
        3 => member.clone().prop_map(|member| Step::Short { member }),
        1 => member.prop_map(|member| Step::Leave { member }),
        3 => (0..20_000_u64).prop_map(|ms| Step::Pass { ms }),
        1 => (0..2_usize).prop_map(|topic| Step::Grow { topic }),
        1 => Just(Step::Restart),
        1 => any::<bool>().prop_map(Step::Refuse),
    ]
}

const TOPICS: [&str; 2] = ["t", "u"];

struct Model {
    world: World,
    /// What members know of themselves. Who was fenced has given up everything.
    members: Vec<Option<Obedient>>,
    epochs: BTreeMap<String, i32>,
    epoch_max: i32,
}

impl Model {
    fn take(&mut self, step: Step) {
        match step {
            Step::Join { member, topics } => {
                if self.members[member].is_none() {
                    let topics: &[&str] = match topics {
                        0 => &TOPICS[..1],
                        1 => &TOPICS[1..],
                        _ => &TOPICS,
                    };
                    let id = format!("m{member}");
                    if let Ok(told) = say(&mut self.world, &joining(&id, topics)) {
                        self.hear(member, &id, told);
                    }
                }
            }
            Step::Beat { member, is_heard } => {
                if let Some(known) = self.members[member].clone() {
                    let owned = Some(known.owned.clone());
                    let said = Beat { owned, ..beat(&known.id, known.epoch) };
                    match say(&mut self.world, &said) {
                        Ok(told) if is_heard => self.hear(member, &known.id, told),
                        Ok(_) | Err(GroupError::NotAvailable) => {}
                        Err(_) => self.members[member] = None,
                    }
                }
            }
            Step::Short { member } => {
                if let Some(known) = self.members[member].clone() {
                    match say(&mut self.world, &beat(&known.id, known.epoch)) {
                        Ok(told) => self.hear(member, &known.id, told),
                        Err(GroupError::NotAvailable) => {}
                        Err(_) => self.members[member] = None,
                    }
                }
            }
            Step::Leave { member } => {
                if let Some(known) = self.members[member].take() {
                    let _ = say(&mut self.world, &beat(&known.id, -1));
                }
            }
            Step::Pass { ms } => {
                self.world.pass_ms(ms);
                // A consumer that hears nothing for a session stops by itself.
                let alive: Vec<String> = match self.world.groups.describe_consumer("g") {
                    Ok(group) => group.members.into_iter().map(|member| member.id).collect(),
                    Err(_) => Vec::new(),
                };
                for member in &mut self.members {
                    *member = member.take().filter(|known| alive.contains(&known.id));
                }
            }
            Step::Grow { topic } => {
                let count = self.world.topics.0.get_mut(TOPICS[topic]).unwrap();
                *count = (*count + 1).min(9);
            }
            Step::Restart => {
                self.world.log.refuses = None;
                self.world.restart();
            }
            Step::Refuse(refuses) => {
                self.world.log.refuses = refuses.then_some(NotAppended::NotNow);
            }
        }
        self.check();
    }

    fn hear(&mut self, member: usize, id: &str, told: ConsumerHeartbeat) {
        let before = self.members[member].take().unwrap_or_default();
        let owned = told.assignment.unwrap_or(before.owned);
        let known = self.epochs.insert(id.to_owned(), told.epoch);
        assert!(known.is_none_or(|known| known <= told.epoch), "an epoch falls");
        self.epoch_max = self.epoch_max.max(told.epoch);
        self.members[member] = Some(Obedient { id: id.to_owned(), epoch: told.epoch, owned });
    }

    fn check(&self) {
        // Nobody reads what another one reads.
        let all = self.members.iter().flatten();
        let mut owners: BTreeMap<(TopicId, PartitionIndex), &str> = BTreeMap::new();
        for (member, partition) in all.flat_map(|it| it.owned.iter().map(move |own| (it, own))) {
            let other = owners.insert(partition, &member.id);
            assert_eq!(other, None, "{partition:?} is {}'s as well", member.id);
        }
        // The log alone says the same as the group.
        let mut replayed = Groups::new(SETTINGS);
        for record in &self.world.log.records {
            replayed.replay(record);
        }
        assert_eq!(replayed.describe_consumer("g"), self.world.groups.describe_consumer("g"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]
    #[test]
    fn whatever_happens_no_partition_has_two_readers(steps in prop::collection::vec(step(), 1..150)) {
        let mut model = Model {
            world: world_of(&[("t", 3), ("u", 2)]),
            members: vec![None; 4],
            epochs: BTreeMap::new(),
            epoch_max: 0,
        };
        for step in steps {
            model.take(step);
        }
        // With those who are left, it comes to rest: everything that is read has a reader.
        model.world.log.refuses = None;
        model.take(Step::Join { member: 0, topics: 2 });
        for _ in 0..10 {
            for member in 0..4 {
                model.take(Step::Beat { member, is_heard: true });
                model.take(Step::Join { member, topics: 2 });
            }
        }
        let group = model.world.groups.describe_consumer("g").unwrap();
        let present = group.members.len() == model.members.iter().flatten().count();
        prop_assert!(!present || group.state == ConsumerState::Stable, "{group:?}");
        if present {
            let given: usize = model.members.iter().flatten().map(|member| member.owned.len()).sum();
            let is_read = |topic: &String| {
                group.members.iter().any(|member| member.metadata.topics.contains(topic))
            };
            let read = model.world.topics.0.iter().filter(|(topic, _)| is_read(topic));
            let total: i32 = read.map(|(_, count)| *count).sum();
            prop_assert_eq!(given, usize::try_from(total).unwrap());
        }
    }
}

#[test]
fn records_of_members_read_back_and_no_part_of_one_does() {
    let partitions: Partitions = [("t", 0), ("t", 3), ("u", 1)]
        .into_iter()
        .map(|(topic, number)| (MemoryTopics::id_of(topic), PartitionIndex(number)))
        .collect();
    let metadata = MemberMetadata {
        instance: Some("i".to_owned()),
        rack: None,
        client: ClientInfo { id: "c".to_owned(), host: "/h".to_owned() },
        topics: ["t".to_owned(), "u".to_owned()].into(),
        regex: Some("x.*".to_owned()),
        rebalance_timeout_ms: 300,
        assignor: None,
        classic: None,
    };
    let protocols = [("range", &b"said"[..]), ("sticky", b"")];
    let classic = ClassicMemberMetadata {
        session_timeout_ms: 100,
        supported_protocols: protocols
            .map(|(name, said)| (name.to_owned(), Bytes::copy_from_slice(said)))
            .into(),
    };
    let of_classic = MemberMetadata { classic: Some(classic), ..metadata.clone() };
    let current = CurrentAssignment {
        epoch: 5,
        previous_epoch: 4,
        state: MemberState::UnrevokedPartitions,
        assigned: partitions.clone(),
        revoking: Partitions::default(),
    };
    let member = || "m".to_owned();
    for of in [
        ConsumerRecord::Group(Some((5, -7))),
        ConsumerRecord::Group(None),
        ConsumerRecord::TargetEpoch(Some(4)),
        ConsumerRecord::Member { member: member(), value: Some(metadata) },
        ConsumerRecord::Member { member: member(), value: Some(of_classic) },
        ConsumerRecord::Member { member: member(), value: None },
        ConsumerRecord::Target { member: member(), value: Some(partitions) },
        ConsumerRecord::Current { member: member(), value: Some(current) },
    ] {
        let record = GroupRecord::Consumer { group: "g".to_owned(), of };
        through_bytes(&record);
        let (key, value) = record.encode();
        for end in 0..value.as_ref().map_or(0, Vec::len) {
            let cut = value.as_ref().map(|value| &value[..end]);
            assert!(GroupRecord::decode(&key, cut).is_err(), "{record:?} to {end}");
        }
    }
}
