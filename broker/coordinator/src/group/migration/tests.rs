//! Groups whose members speak both protocols, and how they go from one to the other.

use bytes::Bytes;

use super::super::testing::*;
use super::super::*;

mod random;

/// Two members of a classic group that have read four partitions, and its generation.
fn classic_pair(world: &mut World, is_cooperative: bool) -> (Classic, Classic, i32) {
    let mut a = Classic::new(is_cooperative, &["t"]);
    let mut b = Classic::new(is_cooperative, &["t"]);
    rebalance(world, &mut [&mut a, &mut b]);
    assert_eq!((a.owned.len(), b.owned.len()), (2, 2));
    let generation = a.generation;
    world.commit(&a.id, generation, 5).unwrap();
    (a, b, generation)
}

/// By their ids: kind, epoch, and numbers of what they have and are to have.
fn members_of(world: &World) -> Vec<(bool, i32, Vec<i32>, Vec<i32>)> {
    let group = world.groups.describe_consumer("g").unwrap();
    let members = group.members.into_iter().map(|member| {
        let (has, target) = (numbers(&member.assigned, "t"), numbers(&member.target, "t"));
        (member.metadata.classic.is_some(), member.epoch, has, target)
    });
    members.collect()
}

fn asked_to_join() -> Result<(), GroupError> {
    Err(GroupError::RebalanceInProgress)
}

fn kind(world: &World) -> GroupKind {
    world.groups.list().next().unwrap().kind
}

/// Whether the group is a restarted one from here on.
type Restart<'a> = &'a dyn Fn(&mut World);

fn with_and_without_restarts(check: impl Fn(&mut World, Restart<'_>)) {
    check(&mut world_of(&[("t", 4)]), &|_| {});
    check(&mut world_of(&[("t", 4)]), &World::restart);
}

#[test]
fn a_group_whose_members_give_up_everything_goes_to_the_other_protocol_and_back() {
    with_and_without_restarts(|world, restart| {
        let (mut a, mut b, generation) = classic_pair(world, false);
        restart(world);
        let mut c = Obedient::join(world, "c", &["t"]);
        assert_eq!((c.epoch, c.owned.len()), (generation + 1, 0), "numbers go on");
        let of_classic = |world: &World| {
            members_of(world).into_iter().filter(|(is_classic, ..)| *is_classic).collect::<Vec<_>>()
        };
        let mut has: Vec<Vec<i32>> = of_classic(world).into_iter().map(|it| it.2).collect();
        has.sort();
        assert_eq!(has, [numbers(&a.owned, "t"), numbers(&b.owned, "t")], "it stays theirs");
        assert!(of_classic(world).iter().all(|it| it.1 == generation));
        restart(world);
        // They may commit, and are asked to join.
        assert_eq!(world.commit(&b.id, generation, 6), Ok(()));
        assert_eq!(a.heartbeat(world), asked_to_join());
        assert_eq!(b.heartbeat(world), asked_to_join());
        let early = world.sync(sync_of(&a.id, generation, &[]));
        assert_eq!(world.not_synced(early), GroupError::RebalanceInProgress);
        c.beat(world);
        assert!(c.owned.is_empty(), "nobody has given up anything");
        a.join_at_once(world);
        assert_eq!(a.generation, c.epoch);
        restart(world);
        b.join_at_once(world);
        restart(world);
        assert_eq!((a.heartbeat(world), b.heartbeat(world)), (Ok(()), Ok(())));
        settle(world, &mut [&mut c]);
        assert_eq!(a.owned.len() + b.owned.len() + c.owned.len(), 4);
        assert_eq!(world.groups.describe_consumer("g").unwrap().state, ConsumerState::Stable);
        let theirs = generation;
        let illegal = Err(GroupError::IllegalGeneration { theirs, ours: c.epoch });
        assert_eq!(world.commit(&a.id, theirs, 7), illegal);
        assert_eq!(world.heartbeat(&a.id, theirs), illegal);
        assert_eq!(world.groups.check_fetch("g", &a.id, theirs), illegal);
        assert_eq!(world.commit(&a.id, a.generation, 7), Ok(()));

        // Back: the last one that only sends heartbeats goes.
        let before = c.epoch;
        say(world, &beat("c", -1)).unwrap();
        assert_eq!((kind(world), world.state()), (GroupKind::Classic, "PreparingRebalance"));
        restart(world);
        assert_eq!(world.state(), "PreparingRebalance");
        assert_eq!((a.heartbeat(world), b.heartbeat(world)), (asked_to_join(), asked_to_join()));
        rebalance(world, &mut [&mut a, &mut b]);
        restart(world);
        assert_eq!(world.state(), "Stable");
        assert_eq!((a.generation, b.generation), (before + 1, before + 1));
        assert_eq!((a.owned.len(), b.owned.len()), (2, 2));
        assert_eq!(world.committed(), Some(7));
        let consumer = GroupError::OtherKind { group: "g".to_owned(), wanted: "consumer" };
        assert_eq!(world.groups.describe_consumer("g"), Err(consumer));
    });
}

#[test]
fn members_that_keep_what_they_can_give_up_the_rest_before_another_one_has_it() {
    with_and_without_restarts(|world, restart| {
        let (mut a, mut b, generation) = classic_pair(world, true);
        restart(world);
        let mut c = Obedient::join(world, "c", &["t"]);
        let targets: Vec<usize> = members_of(world).iter().map(|it| it.3.len()).collect();
        assert_eq!(targets.iter().sum::<usize>(), 4);
        let before = a.owned.len() + b.owned.len();
        assert_eq!(a.heartbeat(world), asked_to_join());
        a.join_at_once(world);
        b.join_at_once(world);
        restart(world);
        assert_eq!(a.owned.len() + b.owned.len(), before - 1, "one is given up");
        c.beat(world);
        assert!(c.owned.is_empty(), "nobody has said yet that it has done so");
        let giver = if a.has_to_join { &mut a } else { &mut b };
        assert_eq!(giver.generation, generation, "it stays where it is until it has");
        assert_eq!(giver.heartbeat(world), asked_to_join());
        let again = world.sync(sync_of(&giver.id, giver.generation, &[]));
        let told = world.synced(again);
        let told = read_assignment(&world.topics, &told);
        assert_eq!(told, giver.owned, "a lost answer is given again");
        giver.join_at_once(world);
        assert_eq!(giver.generation, c.epoch);
        restart(world);
        c.beat(world);
        assert_eq!(c.owned.len(), 1);
        assert_eq!((a.heartbeat(world), b.heartbeat(world)), (Ok(()), Ok(())));
        // What the consumer has goes back when it has left.
        say(world, &beat("c", -1)).unwrap();
        restart(world);
        rebalance(world, &mut [&mut a, &mut b]);
        assert_eq!((a.owned.len(), b.owned.len()), (2, 2));
        assert!(c.epoch < a.generation);
        assert_eq!(world.committed(), Some(5));
    });
}

#[test]
fn a_member_waits_for_what_others_have_yet_to_give_up_and_is_asked_to_join_when_it_is_free() {
    let mut world = world_of(&[("t", 4)]);
    let mut c = Obedient::join(&mut world, "c", &["t"]);
    let mut a = Classic::new(true, &["t"]);
    a.join_at_once(&mut world);
    assert_eq!((a.generation, a.owned.len()), (2, 0));
    assert_eq!(a.heartbeat(&mut world), Ok(()), "there is nothing for it yet");
    c.beat(&mut world);
    assert_eq!(a.heartbeat(&mut world), Ok(()));
    c.beat(&mut world);
    assert_eq!(c.owned.len(), 2);
    world.restart();
    assert_eq!(a.heartbeat(&mut world), asked_to_join());
    a.join_at_once(&mut world);
    assert_eq!((a.generation, a.owned.len()), (2, 2));
    assert!(!a.owned.has_any_of(&c.owned));
    assert_eq!(a.heartbeat(&mut world), Ok(()));
    // It reads something else: everybody is asked again, and it moves on by joining.
    world.topics.0.insert("u".to_owned(), 1);
    a.topics.push("u".to_owned());
    a.join_at_once(&mut world);
    assert_eq!(a.generation, 3);
    assert_eq!(numbers(&a.owned, "u"), [0]);
    // A topic's name is what members know; of one that is gone they are not told.
    world.topics.0.remove("t");
    let ticket = world.sync(sync_of(&a.id, 3, &[]));
    let told = world.synced(ticket);
    let told = read_assignment(&world.topics, &told);
    assert_eq!(told.len(), 1);
}

#[test]
fn what_cannot_be_converted_stays_a_classic_group_and_nobody_in_it_notices() {
    let other = GroupError::OtherKind { group: "g".to_owned(), wanted: "consumer" };
    let of_members = |protocol_type: &str, said: Bytes, given: &[u8]| {
        let mut world = world_of(&[("t", 4)]);
        let protocols = vec![("p".to_owned(), said)];
        let protocol_type = protocol_type.to_owned();
        let ticket = world.join(Join { protocol_type, protocols, ..join_of("") });
        world.pass_ms(3_000);
        let joined = world.joined(ticket);
        let assignments = vec![(joined.member.clone(), Bytes::copy_from_slice(given))];
        let ticket =
            world.sync(Sync { assignments, ..sync_of(&joined.member, joined.generation, &[]) });
        world.synced(ticket);
        (world, joined)
    };
    let good = assignment_of(&MemoryTopics::default(), &Partitions::default());
    let with_data = b"\0\0\0\0\0\0\0\0\0\x01x";
    for (mut world, joined) in [
        of_members("connect", subscription(&["t"]), &good),
        of_members("consumer", Bytes::from_static(b"\0"), &good),
        of_members("consumer", whole_subscription(), b"\0\0\0"),
        of_members("consumer", whole_subscription(), with_data),
    ] {
        let before = (world.groups.describe("g").unwrap(), world.log.records.len());
        assert_eq!(say(&mut world, &joining("c", &["t"])), Err(other.clone()));
        assert_eq!((world.groups.describe("g").unwrap(), world.log.records.len()), before);
        assert_eq!(world.heartbeat(&joined.member, joined.generation), Ok(()));
    }
    // What could be, but the log takes nothing, or there is no place, or it is no join.
    let (mut world, joined) = of_members("consumer", whole_subscription(), &good);
    assert_eq!(say(&mut world, &beat("c", 1)), Err(other.clone()));
    assert_eq!(say(&mut world, &beat("c", -1)), Err(other));
    world.log.refuses = Some(NotAppended::TooLarge);
    let before = world.groups.describe("g").unwrap();
    assert_eq!(say(&mut world, &joining("c", &["t"])), Err(GroupError::TooLarge));
    assert_eq!(world.groups.describe("g").unwrap(), before);
    assert_eq!(world.heartbeat(&joined.member, joined.generation), Ok(()));
    world.log.refuses = None;
    for _ in 1..SETTINGS.members_count_max {
        world.join(Join { protocols: vec![("p".to_owned(), whole_subscription())], ..join_of("") });
    }
    let limit = SETTINGS.members_count_max;
    let full = Err(GroupError::TooManyMembers { limit });
    assert_eq!(say(&mut world, &joining("c", &["t"])), full);
    assert_eq!((world.state(), world.replies.len()), ("PreparingRebalance", 0));
}

/// With everything that a version has.
fn whole_subscription() -> Bytes {
    let mut bytes = subscription(&["t"]).to_vec();
    bytes.extend((-1_i32).to_be_bytes());
    Bytes::from(bytes)
}

#[test]
fn a_rebalance_of_a_classic_group_ends_when_it_becomes_a_consumer_group() {
    // In its first rebalance.
    let mut world = world_of(&[("t", 4)]);
    let (mut a, mut b) = (Classic::new(true, &["t"]), Classic::new(true, &["t"]));
    let tickets = [&mut a, &mut b].map(|member| member.ask_to_join(&mut world));
    let c = Obedient::join(&mut world, "c", &["t"]);
    assert_eq!(c.epoch, 1);
    for (member, ticket) in [&mut a, &mut b].into_iter().zip(tickets) {
        let refused = world.not_joined(ticket);
        assert_eq!(refused.error, GroupError::RebalanceInProgress);
        member.id = refused.member;
        member.join_at_once(&mut world);
    }
    assert_eq!(members_of(&world).len(), 3, "they are known by their ids");

    // While members have joined again and the leader has yet to assign: they go on with what they
    // have kept.
    let mut world = world_of(&[("t", 4)]);
    let (mut a, mut b, generation) = classic_pair(&mut world, true);
    let kept = [numbers(&a.owned, "t"), numbers(&b.owned, "t")];
    let mut d = Classic::new(true, &["t"]);
    let tickets = [&mut d, &mut a, &mut b].map(|member| member.ask_to_join(&mut world));
    for (member, ticket) in [&mut d, &mut a, &mut b].into_iter().zip(tickets) {
        let joined = world.joined(ticket);
        (member.id, member.generation) = (joined.member, joined.generation);
    }
    assert_eq!((world.state(), a.generation), ("CompletingRebalance", generation + 1));
    let waits = world.sync(sync_of(&d.id, d.generation, &[]));
    world.restart();
    let mut c = Obedient::join(&mut world, "c", &["t"]);
    assert!(c.owned.is_empty(), "members still have it all");
    assert_eq!(c.epoch, generation + 2);
    assert_eq!(world.take_reply(waits), None, "it was asked before the restart");
    let mut has: Vec<Vec<i32>> = members_of(&world).into_iter().map(|it| it.2).collect();
    has.retain(|numbers| !numbers.is_empty());
    has.sort();
    assert_eq!(has, kept);
    for member in [&mut a, &mut b, &mut d] {
        let ticket = world.sync(sync_of(&member.id, member.generation, &[]));
        assert_eq!(world.not_synced(ticket), GroupError::RebalanceInProgress);
        member.join_at_once(&mut world);
        if member.has_to_join {
            member.join_at_once(&mut world);
        }
    }
    settle(&mut world, &mut [&mut c]);
    for member in [&mut a, &mut b, &mut d] {
        if member.heartbeat(&mut world).is_err() {
            member.join_at_once(&mut world);
        }
    }
    let all = [&a.owned, &b.owned, &d.owned, &c.owned];
    assert_eq!(all.map(Partitions::len), [1, 1, 1, 1]);
}

#[test]
fn whose_sync_waits_is_told_to_join_again() {
    let mut world = world_of(&[("t", 4)]);
    let (mut a, mut b, _) = classic_pair(&mut world, false);
    let tickets = [&mut a, &mut b].map(|member| member.ask_to_join(&mut world));
    let joined = tickets.map(|ticket| world.joined(ticket));
    let follower = joined.iter().find(|it| it.leader != it.member).unwrap();
    let waits = world.sync(sync_of(&follower.member, follower.generation, &[]));
    Obedient::join(&mut world, "c", &["t"]);
    assert_eq!(world.not_synced(waits), GroupError::RebalanceInProgress);
}

#[test]
fn members_that_cannot_be_served_are_not_taken_in() {
    let mut world = world_of(&[("t", 4)]);
    let mut a = Classic { instance: Some("i".to_owned()), ..Classic::new(true, &["t"]) };
    let mut c = Obedient::join(&mut world, "c", &["t"]);
    a.join_at_once(&mut world);
    let whole = || vec![("cooperative-sticky".to_owned(), whole_subscription())];
    let good = Join { protocols: whole(), ..join_of("") };
    let other = vec![("other".to_owned(), whole_subscription())];
    let damaged = vec![("cooperative-sticky".to_owned(), subscription(&["t"]))];
    let inconsistent = GroupError::InconsistentProtocol;
    let unknown = |id: &str| GroupError::UnknownMember { member: id.to_owned() };
    let fenced = GroupError::FencedInstance { instance: "i".to_owned() };
    let of = |member: &str, instance: &str| Join {
        member: member.to_owned(),
        instance: Some(instance.to_owned()),
        ..good.clone()
    };
    let before = (members_of(&world), world.log.records.len());
    for (join, expected) in [
        (Join { protocol_type: "connect".to_owned(), ..good.clone() }, inconsistent.clone()),
        (Join { protocols: Vec::new(), ..good.clone() }, inconsistent.clone()),
        (Join { protocols: other, ..good.clone() }, inconsistent.clone()),
        (Join { protocols: damaged, ..good.clone() }, inconsistent.clone()),
        (of("x", "j"), unknown("x")),
        (of("x", "i"), fenced.clone()),
    ] {
        let member = join.member.clone();
        let ticket = world.join(join);
        assert_eq!(world.not_joined(ticket), JoinRefused { error: expected, member });
    }
    let ticket = world.join(Join { may_be_given_id: true, ..good.clone() });
    let given = world.not_joined(ticket);
    assert_eq!(given.error, GroupError::MemberIdRequired);
    assert_eq!((members_of(&world), world.log.records.len()), before);
    world.log.refuses = Some(NotAppended::NotNow);
    let ticket = world.join(good.clone());
    assert_eq!(world.not_joined(ticket).error, GroupError::NotAvailable);
    world.log.refuses = None;
    let ticket = world.join(Join { may_be_given_id: true, ..join_with(&given.member, &good) });
    assert_eq!(world.joined(ticket).member, given.member);
    for _ in 3..SETTINGS.members_count_max {
        let ticket = world.join(good.clone());
        world.joined(ticket);
    }
    let ticket = world.join(good.clone());
    let limit = SETTINGS.members_count_max;
    assert_eq!(world.not_joined(ticket).error, GroupError::TooManyMembers { limit });

    // Nor is anybody told what it has who is not who it says.
    let epoch = a.generation;
    assert_eq!(world.heartbeat("x", epoch), Err(unknown("x")));
    assert_eq!(world.heartbeat("c", c.epoch), Err(unknown("c")), "it does not speak so");
    let sync = |member: MemberOf| Sync { member, ..sync_of("", 0, &[]) };
    for (sync, expected) in [
        (sync(member_of("x", None, epoch)), unknown("x")),
        (sync(member_of("c", None, c.epoch)), unknown("c")),
        (sync(member_of("x", Some("i"), epoch)), fenced),
        (
            sync(member_of(&a.id, Some("i"), epoch + 1)),
            GroupError::IllegalGeneration { theirs: epoch + 1, ours: epoch },
        ),
        (
            Sync { protocol: Some("p".to_owned()), ..sync(member_of(&a.id, None, epoch)) },
            inconsistent.clone(),
        ),
        (
            Sync { protocol_type: Some("p".to_owned()), ..sync(member_of(&a.id, None, epoch)) },
            inconsistent,
        ),
    ] {
        let ticket = world.sync(sync);
        assert_eq!(world.not_synced(ticket), expected);
    }
    c.beat(&mut world);
}

fn join_with(member: &str, join: &Join) -> Join {
    Join { member: member.to_owned(), ..join.clone() }
}

#[test]
fn members_that_are_silent_or_late_are_out() {
    let start = || {
        let mut world = world_of(&[("t", 4)]);
        let mut c = Obedient::join(&mut world, "c", &["t"]);
        let mut a = Classic::new(true, &["t"]);
        let ticket = a.ask_to_join(&mut world);
        let joined = world.joined(ticket);
        settle(&mut world, &mut [&mut c]);
        (world, a, joined, c)
    };
    // Its own session is shorter than that of the others.
    let (mut world, mut a, joined, mut c) = start();
    a.hear_joined(&mut world, &joined);
    world.pass_ms(9_999);
    assert_eq!(a.heartbeat(&mut world), asked_to_join());
    world.restart();
    world.pass_ms(9_999);
    assert_eq!(members_of(&world).len(), 2);
    world.pass_ms(1);
    assert_eq!(members_of(&world).len(), 1);
    settle(&mut world, &mut [&mut c]);
    assert_eq!(c.owned.len(), 4);
    // It lives, but does not ask for its assignment, or does not join.
    for does_sync in [false, true] {
        let (mut world, mut a, joined, mut c) = start();
        a.id = joined.member.clone();
        a.generation = joined.generation;
        if does_sync {
            a.hear_joined(&mut world, &joined);
        }
        for _ in 0..4 {
            assert_eq!(a.heartbeat(&mut world), asked_to_join());
            world.pass_ms(4_999);
            c.beat(&mut world);
        }
        assert_eq!(a.heartbeat(&mut world), asked_to_join());
        world.pass_ms(5);
        assert_eq!(members_of(&world).len(), 1, "its rebalance timeout is over: {does_sync}");
    }
}

#[test]
fn a_classic_group_is_left_however_the_last_member_of_the_other_kind_goes() {
    type Goes = fn(&mut World);
    let leaves: Goes = |world| {
        say(world, &beat("c", -1)).unwrap();
    };
    let is_taken_out: Goes = |world| {
        let leaving = ["c", "x", "c"].map(|id| Leaving { member: id.to_owned(), instance: None });
        let outcomes = world.turn(|groups, turn| groups.leave(turn, "g", &leaving)).unwrap();
        let unknown = GroupError::UnknownMember { member: "x".to_owned() };
        assert_eq!(outcomes, [Ok(()), Err(unknown), Ok(())]);
    };
    // Longer than what members of the other kind may be silent for.
    let is_silent: Goes = |world| {
        for _ in 0..45 {
            if kind(world) == GroupKind::Consumer {
                world.pass_ms(1_000);
            }
        }
    };
    for (name, goes) in [("leaves", leaves), ("out", is_taken_out), ("silent", is_silent)] {
        let mut world = world_of(&[("t", 4)]);
        let mut c = Obedient::join(&mut world, "c", &["t"]);
        let mut members = [Classic::new(false, &["t"]), Classic::new(false, &["t"])];
        for member in &mut members {
            let said = Join { session_timeout_ms: 60_000, ..member.said(&world) };
            let ticket = world.join(said);
            let joined = world.joined(ticket);
            let ticket = member.hear_joined(&mut world, &joined);
            world.synced(ticket);
        }
        settle(&mut world, &mut [&mut c]);
        let epoch = world.groups.describe_consumer("g").unwrap().epoch;
        world.log.refuses = Some(NotAppended::NotNow);
        if name == "leaves" {
            assert_eq!(say(&mut world, &beat("c", -1)), Err(GroupError::NotAvailable));
        } else if name == "silent" {
            goes(&mut world);
        }
        assert_eq!(kind(&world), GroupKind::Consumer, "{name}: the log does not take it");
        world.log.refuses = None;
        goes(&mut world);
        assert_eq!(kind(&world), GroupKind::Classic, "{name}");
        world.restart();
        assert_eq!((world.state(), world.groups.members_count()), ("PreparingRebalance", 2));
        let [a, b] = &mut members;
        rebalance(&mut world, &mut [a, b]);
        assert_eq!((a.generation, a.owned.len()), (epoch + 1, 2), "{name}");
    }
}

#[test]
fn a_static_member_changes_its_protocol_and_keeps_its_place() {
    let mut world = world_of(&[("t", 4)]);
    let fixed =
        |name: &str| Classic { instance: Some(name.to_owned()), ..Classic::new(false, &["t"]) };
    let (mut a, mut b) = (fixed("i"), fixed("j"));
    rebalance(&mut world, &mut [&mut a, &mut b]);
    let generation = a.generation;
    let instance = |name: &str| Some(name.to_owned());
    // It need not have said that it will be back, which no member of its kind does.
    let told = say(&mut world, &Beat { instance: instance("i"), ..joining("c", &["t"]) }).unwrap();
    assert_eq!((told.epoch, told.assignment), (generation, Some(a.owned.clone())));
    assert_eq!(b.heartbeat(&mut world), Ok(()), "the other one notices nothing");
    let fenced = GroupError::FencedInstance { instance: "i".to_owned() };
    let old = member_of(&a.id, Some("i"), generation);
    assert_eq!(world.groups.heartbeat(world.now, &old), Err(fenced));
    let told = say(&mut world, &Beat { instance: instance("j"), ..joining("d", &["t"]) }).unwrap();
    assert_eq!((told.epoch, told.assignment), (generation, Some(b.owned.clone())));
    assert_eq!(members_of(&world).iter().filter(|it| it.0).count(), 0);
    world.restart();

    // And back, one by one; the last one makes it a classic group.
    a.id.clear();
    a.join_at_once(&mut world);
    assert_eq!((a.generation, a.owned.len()), (generation, 2));
    let unreleased = GroupError::UnreleasedInstance { instance: "j".to_owned() };
    let beside = Beat { instance: instance("j"), ..joining("e", &["t"]) };
    assert_eq!(say(&mut world, &beside), Err(unreleased));
    world.restart();
    b.id.clear();
    let ticket = b.ask_to_join(&mut world);
    assert_eq!(kind(&world), GroupKind::Classic);
    assert_eq!(a.heartbeat(&mut world), asked_to_join());
    let other = GroupError::OtherKind { group: "g".to_owned(), wanted: "consumer" };
    assert_eq!(say(&mut world, &beat("d", generation)), Err(other));
    let again = a.ask_to_join(&mut world);
    for (member, ticket) in [(&mut a, again), (&mut b, ticket)] {
        let joined = world.joined(ticket);
        assert_eq!(joined.generation, generation + 1);
        member.hear_joined(&mut world, &joined);
    }
    assert_eq!(world.state(), "Stable");
    // One that is alone goes back just so.
    let mut world = world_of(&[("t", 4)]);
    let told = say(&mut world, &Beat { instance: instance("i"), ..joining("c", &["t"]) }).unwrap();
    let mut a = fixed("i");
    rebalance(&mut world, &mut [&mut a]);
    assert_eq!((a.generation, a.owned.len()), (told.epoch + 1, 4));
}
