//! What members see, by the rules of Kafka's classic protocol.

use super::super::testing::*;
use super::super::*;

fn unknown(member: &str) -> GroupError {
    GroupError::UnknownMember { member: member.to_owned() }
}

#[test]
fn the_first_rebalance_waits_for_more_members_and_everybody_gets_what_the_leader_says() {
    let mut world = World::new();
    let first = world.join(join_of(""));
    world.pass_ms(2_000);
    let second = world.join(join_of(""));
    assert_eq!((world.state(), world.replies.len()), ("PreparingRebalance", 0));
    // The second one has come in the first delay, so there is another.
    world.pass_ms(3_900);
    assert!(world.replies.is_empty());
    world.pass_ms(100);
    let (first, second) = (world.joined(first), world.joined(second));
    assert_eq!((first.generation, second.generation), (1, 1));
    assert_eq!(first.leader, first.member);
    assert_eq!(second.leader, first.member);
    let told: Vec<&str> = first.members.iter().map(|member| member.id.as_str()).collect();
    assert_eq!(told.len(), 2);
    assert!(told.contains(&second.member.as_str()));
    assert!(second.members.is_empty(), "only the leader needs to know");
    assert_eq!(first.members[0].metadata, subscription(&["t"]));

    let waiting = world.sync(sync_of(&second.member, 1, &[]));
    assert_eq!((world.state(), world.replies.len()), ("CompletingRebalance", 0));
    world.assign(&first.member, 1, &[first.member.clone(), second.member.clone()]);
    assert_eq!(world.synced(waiting), format!("for {}", second.member).as_bytes());
    assert_eq!(world.state(), "Stable");
    assert_eq!(world.heartbeat(&first.member, 1), Ok(()));
}

#[test]
fn somebody_always_coming_does_not_put_off_the_first_rebalance_for_ever() {
    let mut world = World::new();
    let mut tickets = Vec::new();
    for _ in 0..5 {
        tickets.push(world.join(join_of("")));
        world.pass_ms(2_500);
    }
    // Within the rebalance timeout of 20 s everything has begun.
    world.pass_ms(7_500);
    for ticket in tickets {
        assert_eq!(world.joined(ticket).generation, 1);
    }
}

#[test]
fn who_can_be_given_an_id_joins_with_it() {
    let mut world = World::new();
    let ticket = world.join(Join { may_be_given_id: true, ..join_of("") });
    let refused = world.not_joined(ticket);
    assert_eq!(refused.error, GroupError::MemberIdRequired);
    assert_eq!(refused.member, "c-00000000-0000-0000-0000-000000000001");
    assert_eq!(world.state(), "Empty");
    let ticket = world.join(Join { may_be_given_id: true, ..join_of(&refused.member) });
    world.pass_ms(3_000);
    assert_eq!(world.joined(ticket).member, refused.member);
    // An id that nobody has used in time is forgotten, and with it the group that had nothing else.
    let mut world = World::new();
    let ticket = world.join(Join { may_be_given_id: true, ..join_of("") });
    let given = world.not_joined(ticket).member;
    world.pass_ms(10_000);
    assert_eq!(world.state(), "none");
    let ticket = world.join(join_of(&given));
    assert_eq!(world.not_joined(ticket).error, unknown(&given));
    assert!(world.log.records.is_empty());
}

#[test]
fn a_rebalance_waits_for_whoever_has_been_given_an_id() {
    let mut world = World::new();
    let (ids, _) = world.stable(1);
    let ticket = world.join(Join { may_be_given_id: true, ..join_of("") });
    let given = world.not_joined(ticket).member;
    assert_eq!(world.state(), "Stable", "nobody has joined yet");
    let leader = world.join(join_of(&ids[0]));
    assert!(world.replies.is_empty());
    let new = world.join(join_of(&given));
    assert_eq!((world.joined(leader).generation, world.joined(new).generation), (2, 2));
}

#[test]
fn a_member_that_comes_makes_the_others_join_again() {
    let mut world = World::new();
    let (ids, generation) = world.stable(2);
    let new = world.join(join_of(""));
    assert_eq!(world.state(), "PreparingRebalance");
    assert_eq!(world.heartbeat(&ids[0], generation), Err(GroupError::RebalanceInProgress));
    let sync = world.sync(sync_of(&ids[0], generation, &[]));
    assert_eq!(world.not_synced(sync), GroupError::RebalanceInProgress);
    // What they have read until now they may still commit.
    assert_eq!(world.commit(&ids[0], generation, 7), Ok(()));
    let tickets: Vec<Ticket> = ids.iter().map(|id| world.join(join_of(id))).collect();
    for ticket in tickets.into_iter().chain([new]) {
        assert_eq!(world.joined(ticket).generation, generation + 1);
    }
    let old = Err(GroupError::IllegalGeneration { theirs: generation, ours: generation + 1 });
    assert_eq!(world.heartbeat(&ids[0], generation), old);
    assert_eq!(world.commit(&ids[0], generation, 8), old);
    let completing = world.commit(&ids[0], generation + 1, 8);
    assert_eq!(completing, Err(GroupError::RebalanceInProgress));
    assert_eq!(world.committed(), Some(7));
}

#[test]
fn who_does_not_join_again_in_time_is_out() {
    let mut world = World::new();
    let (ids, generation) = world.stable(2);
    let new = world.join(join_of(""));
    let leader = world.join(join_of(&ids[0]));
    for _ in 0..3 {
        world.pass_ms(6_000);
        let heard = world.heartbeat(&ids[1], generation);
        assert_eq!(heard, Err(GroupError::RebalanceInProgress));
    }
    assert!(world.replies.is_empty());
    world.pass_ms(2_000);
    assert_eq!(world.joined(leader).members.len(), 2);
    world.joined(new);
    assert_eq!(world.heartbeat(&ids[1], generation), Err(unknown(&ids[1])));
}

#[test]
fn a_member_that_is_silent_is_out_and_its_partitions_are_given_to_the_others() {
    let mut world = World::new();
    let (ids, generation) = world.stable(2);
    world.pass_ms(9_999);
    world.heartbeat(&ids[1], generation).unwrap();
    world.pass_ms(1);
    assert_eq!(world.state(), "PreparingRebalance");
    let ticket = world.join(join_of(&ids[1]));
    let joined = world.joined(ticket);
    assert_eq!((joined.generation, joined.leader.as_str()), (generation + 1, ids[1].as_str()));
    world.assign(&ids[1], generation + 1, &ids[1..]);
    // And if the last one is silent as well, nobody is left.
    world.pass_ms(10_000);
    assert_eq!(world.state(), "Empty");
    let ticket = world.join(join_of(""));
    world.pass_ms(3_000);
    assert_eq!(world.joined(ticket).generation, generation + 3);
}

#[test]
fn a_member_that_leaves_does_not_keep_the_others_waiting() {
    let mut world = World::new();
    let (ids, generation) = world.stable(2);
    assert_eq!(world.leave(&ids[0]), [Ok(())]);
    assert_eq!(world.leave(&ids[0]), [Err(unknown(&ids[0]))]);
    assert_eq!(world.heartbeat(&ids[1], generation), Err(GroupError::RebalanceInProgress));
    let ticket = world.join(join_of(&ids[1]));
    assert_eq!(world.joined(ticket).generation, generation + 1);
    assert_eq!(world.leave(&ids[1]), [Ok(())]);
    assert_eq!(world.state(), "Empty");
}

#[test]
fn whoever_does_not_ask_for_its_assignment_is_out() {
    let mut world = World::new();
    let (ids, generation) = world.stable(2);
    let tickets: Vec<Ticket> = ids.iter().map(|id| world.join(join_of(id))).collect();
    for ticket in tickets {
        world.joined(ticket);
    }
    let waits = world.sync(sync_of(&ids[1], generation + 1, &[]));
    for _ in 0..3 {
        world.pass_ms(6_000);
        world.heartbeat(&ids[0], generation + 1).unwrap();
    }
    world.pass_ms(2_000);
    // The leader has not spoken.
    assert_eq!(world.not_synced(waits), GroupError::RebalanceInProgress);
    assert_eq!(world.heartbeat(&ids[0], generation + 1), Err(unknown(&ids[0])));
    let ticket = world.join(join_of(&ids[1]));
    assert_eq!(world.joined(ticket).leader, ids[1]);
}

#[test]
fn an_answer_that_was_lost_is_given_again_without_a_rebalance() {
    let mut world = World::new();
    let (ids, generation) = world.stable(2);
    let again = world.join(join_of(&ids[1]));
    let joined = world.joined(again);
    assert_eq!((joined.generation, world.state()), (generation, "Stable"));
    let sync = world.sync(sync_of(&ids[1], generation, &[]));
    assert_eq!(world.synced(sync), format!("for {}", ids[1]).as_bytes());
    // With another subscription, or from the leader, it means something.
    let other = Join {
        protocols: vec![("range".to_owned(), subscription(&["t", "u"]))],
        ..join_of(&ids[1])
    };
    world.join(other);
    assert_eq!(world.state(), "PreparingRebalance");
    let (ids, _) = World::new().stable(2);
    let mut world = World::new();
    world.stable(2);
    world.join(join_of(&ids[0]));
    assert_eq!(world.state(), "PreparingRebalance");
}

#[test]
fn the_protocol_is_the_one_that_most_like_best_of_those_that_all_have() {
    let mut world = World::new();
    let with = |names: &[&str]| Join {
        protocols: names.iter().map(|name| ((*name).to_owned(), Bytes::new())).collect(),
        ..join_of("")
    };
    let first = world.join(with(&["a", "b", "c"]));
    let second = world.join(with(&["c", "b"]));
    let third = world.join(with(&["x", "c", "b"]));
    let stranger = world.join(with(&["a"]));
    let refused = world.not_joined(stranger);
    assert_eq!(refused.error, GroupError::InconsistentProtocol);
    let connect = world.join(Join { protocol_type: "connect".to_owned(), ..with(&["c"]) });
    assert_eq!(world.not_joined(connect).error, GroupError::InconsistentProtocol);
    world.pass_ms(6_000);
    for ticket in [first, second, third] {
        assert_eq!(world.joined(ticket).protocol.as_deref(), Some("c"));
    }
    let member = world.groups.describe("g").unwrap().members[0].id.clone();
    let mut sync = sync_of(&member, 1, &[]);
    sync.protocol = Some("b".to_owned());
    let ticket = world.sync(sync);
    assert_eq!(world.not_synced(ticket), GroupError::InconsistentProtocol);
    for nothing in [with(&[]), Join { protocol_type: String::new(), ..with(&["c"]) }] {
        let ticket = World::new().join(nothing.clone());
        let mut empty = World::new();
        assert_eq!(empty.join(nothing), ticket);
        assert_eq!(empty.not_joined(ticket).error, GroupError::InconsistentProtocol);
        assert_eq!(empty.state(), "none");
    }
}

#[test]
fn a_static_member_that_comes_back_changes_nothing_for_the_others() {
    let mut world = World::new();
    let (dynamic, static_one) = (world.join(join_of("")), world.join(static_join("i", "")));
    world.pass_ms(6_000);
    let (leader, follower) = (world.joined(dynamic), world.joined(static_one));
    let ids = [leader.member, follower.member];
    world.assign(&ids[0], 1, &ids);
    // A new process does not say what the one before had.
    let mut join = static_join("i", "");
    let said = [&*join.protocols[0].1, b"\0\0\0\0and more"].concat();
    join.protocols[0].1 = Bytes::from(said);
    let back = world.join(join);
    let joined = world.joined(back);
    assert_ne!(joined.member, ids[1]);
    assert_eq!((joined.generation, world.state()), (1, "Stable"));
    let sync = world.sync(sync_of(&joined.member, 1, &[]));
    assert_eq!(world.synced(sync), format!("for {}", ids[1]).as_bytes());
    // Who had the place before is told so.
    let fenced = GroupError::FencedInstance { instance: "i".to_owned() };
    let old = member_of(&ids[1], Some("i"), 1);
    assert_eq!(world.groups.heartbeat(world.now, &old), Err(fenced.clone()));
    let old = Sync { member: old, ..sync_of("", 1, &[]) };
    let ticket = world.sync(old);
    assert_eq!(world.not_synced(ticket), fenced);
    let ticket = world.join(static_join("i", &ids[1]));
    assert_eq!(world.not_joined(ticket).error, fenced);
    assert_eq!(world.heartbeat(&ids[1], 1), Err(unknown(&ids[1])));
    // With another subscription it does change something.
    let mut other = static_join("i", "");
    other.protocols = vec![("range".to_owned(), subscription(&["u"]))];
    world.join(other);
    assert_eq!(world.state(), "PreparingRebalance");
}

#[test]
fn a_static_leader_that_comes_back_leaves_assignments_as_they_are() {
    for may_skip_assignment in [true, false] {
        let mut world = World::new();
        let join = Join { may_skip_assignment, ..static_join("i", "") };
        let ticket = world.join(join.clone());
        world.pass_ms(3_000);
        let old = world.joined(ticket).member;
        world.assign(&old, 1, std::slice::from_ref(&old));
        let ticket = world.join(join);
        let joined = world.joined(ticket);
        if may_skip_assignment {
            assert_eq!((joined.leader, joined.members.len()), (joined.member.clone(), 1));
            assert!(joined.skip_assignment);
        } else {
            assert_eq!((joined.leader, joined.members.len()), (old.clone(), 0));
        }
        let sync = world.sync(sync_of(&joined.member, 1, &[]));
        assert_eq!(world.synced(sync), format!("for {old}").as_bytes());
    }
}

#[test]
fn static_members_are_out_only_when_they_are_silent() {
    let mut world = World::new();
    let (dynamic, static_one) = (world.join(join_of("")), world.join(static_join("i", "")));
    world.pass_ms(6_000);
    let ids = [world.joined(dynamic).member, world.joined(static_one).member];
    world.assign(&ids[0], 1, &ids);
    let again = world.join(join_of(&ids[0]));
    for _ in 0..2 {
        world.pass_ms(9_000);
        let member = member_of(&ids[1], Some("i"), 1);
        let heard = world.groups.heartbeat(world.now, &member);
        assert_eq!(heard, Err(GroupError::RebalanceInProgress));
    }
    world.pass_ms(2_000);
    // It did not join in time, and has its place nevertheless.
    assert_eq!(world.joined(again).members.len(), 2);
    assert_eq!(world.groups.describe("g").unwrap().members.len(), 2);
    // A tool may take it out by its instance.
    let leaving = Leaving { member: String::new(), instance: Some("i".to_owned()) };
    let nobody = Leaving { member: String::new(), instance: Some("j".to_owned()) };
    let outcomes = world.turn(|groups, turn| groups.leave(turn, "g", &[leaving, nobody])).unwrap();
    assert_eq!(outcomes, [Ok(()), Err(unknown(""))]);
}

#[test]
fn a_group_of_silent_static_members_ends_when_their_sessions_do() {
    let mut world = World::new();
    let mut join = static_join("i", "");
    (join.rebalance_timeout_ms, join.session_timeout_ms) = (0, 30_000);
    let ticket = world.join(join);
    world.pass_ms(3_000);
    let id = world.joined(ticket).member;
    world.assign(&id, 1, std::slice::from_ref(&id));
    // Somebody makes it rebalance, and goes again.
    let ticket = world.join(join_of(""));
    let somebody = world.groups.describe("g").unwrap().members[0].id.clone();
    world.leave(&somebody);
    world.not_joined(ticket);
    world.pass_ms(29_000);
    assert_eq!(world.state(), "PreparingRebalance");
    world.pass_ms(1_000);
    assert_eq!(world.state(), "Empty");
}

#[test]
fn a_start_goes_on_with_the_members_of_a_stable_group() {
    let mut world = World::new();
    let (ids, generation) = world.stable(2);
    world.restart();
    assert_eq!(world.state(), "Stable");
    for id in &ids {
        assert_eq!(world.heartbeat(id, generation), Ok(()));
    }
    let sync = world.sync(sync_of(&ids[1], generation, &[]));
    assert_eq!(world.synced(sync), format!("for {}", ids[1]).as_bytes());
    assert_eq!(world.commit(&ids[1], generation, 5), Ok(()));
    // Whoever did not come back with the broker is out after a session.
    world.pass_ms(10_000);
    assert_eq!(world.state(), "Empty");
}

#[test]
fn a_generation_that_was_begun_is_not_given_out_again_after_a_start() {
    let mut world = World::new();
    let (ids, generation) = world.stable(1);
    let ticket = world.join(join_of(&ids[0]));
    assert_eq!(world.joined(ticket).generation, generation + 1);
    world.restart();
    let heard = world.heartbeat(&ids[0], generation + 1);
    assert_eq!(heard, Err(GroupError::RebalanceInProgress));
    let ticket = world.join(join_of(&ids[0]));
    assert_eq!(world.joined(ticket).generation, generation + 2);
}

#[test]
fn a_log_that_takes_nothing_changes_nothing() {
    let mut world = World::new();
    let (ids, generation) = world.stable(1);
    world.log.refuses = Some(NotAppended::NotNow);
    assert_eq!(world.commit(&ids[0], generation, 5), Err(GroupError::NotAvailable));
    assert_eq!(world.committed(), None);
    let ticket = world.join(join_of(&ids[0]));
    let refused = world.not_joined(ticket);
    assert_eq!((refused.error, refused.member), (GroupError::NotAvailable, ids[0].clone()));
    assert_eq!(world.state(), "PreparingRebalance");
    world.log.refuses = None;
    let ticket = world.join(join_of(&ids[0]));
    assert_eq!(world.joined(ticket).generation, generation + 1);
    world.log.refuses = Some(NotAppended::TooLarge);
    let ticket = world.sync(sync_of(&ids[0], generation + 1, &[(&ids[0], "x".to_owned())]));
    assert_eq!(world.not_synced(ticket), GroupError::TooLarge);
    assert_eq!(world.state(), "CompletingRebalance");
    world.log.refuses = None;
    world.assign(&ids[0], generation + 1, &ids);
    // A static member that comes back keeps what it had.
    let mut world = World::new();
    let ticket = world.join(static_join("i", ""));
    world.pass_ms(3_000);
    let id = world.joined(ticket).member;
    world.assign(&id, 1, std::slice::from_ref(&id));
    world.log.refuses = Some(NotAppended::NotNow);
    let ticket = world.join(static_join("i", ""));
    assert_eq!(world.not_joined(ticket).error, GroupError::NotAvailable);
    assert_eq!(world.groups.heartbeat(world.now, &member_of(&id, Some("i"), 1)), Ok(()));
}

#[test]
fn bounds_are_held() {
    let mut world = World::new();
    for session_timeout_ms in [5_999, 1_800_001, -1] {
        let ticket = world.join(Join { session_timeout_ms, ..join_of("") });
        let refused = world.not_joined(ticket).error;
        assert!(matches!(refused, GroupError::InvalidSessionTimeout { .. }), "{refused}");
    }
    let ticket = world.join(Join { group: String::new(), ..join_of("") });
    assert_eq!(world.not_joined(ticket).error, GroupError::InvalidGroupId);
    let mut talkative = join_of("");
    talkative.protocols = vec![("range".to_owned(), Bytes::from(vec![0; 1 << 20]))];
    let ticket = world.join(talkative);
    let refused = world.not_joined(ticket).error;
    assert!(matches!(refused, GroupError::MemberTooLarge { .. }), "{refused}");
    let ticket = world.join(join_of("nobody"));
    assert_eq!(world.not_joined(ticket).error, unknown("nobody"));
    assert_eq!(world.state(), "none");
    for _ in 0..SETTINGS.members_count_max {
        world.join(join_of(""));
    }
    assert!(world.replies.is_empty());
    let ticket = world.join(Join { may_be_given_id: true, ..join_of("") });
    assert_eq!(world.not_joined(ticket).error, GroupError::TooManyMembers { limit: 5 });
    let empty = MemberOf { group: String::new(), ..member_of("m", None, 1) };
    assert_eq!(world.groups.heartbeat(world.now, &empty), Err(GroupError::InvalidGroupId));
    assert_eq!(world.heartbeat("m", 1), Err(unknown("m")));
}

#[test]
fn what_a_member_says_when_it_joins_again_is_there_after_a_restart() {
    let mut world = World::new();
    let (ids, _) = world.stable(1);
    let protocols = vec![("range".to_owned(), subscription(&["t", "u"]))];
    let again = Join { session_timeout_ms: 20_000, protocols, ..join_of(&ids[0]) };
    let ticket = world.join(again);
    let generation = world.joined(ticket).generation;
    world.assign(&ids[0], generation, &ids);
    let before = world.groups.describe("g").unwrap();
    assert_eq!(before.members[0].metadata, subscription(&["t", "u"]));
    world.restart();
    assert_eq!(world.groups.describe("g").unwrap(), before);
    world.pass_ms(19_999);
    assert_eq!(world.heartbeat(&ids[0], generation), Ok(()));
}
