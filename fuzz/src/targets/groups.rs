//! Groups of consumers: their records as they follow each other in the log, and what members have said
//! of themselves in them.

use coordinator::group::{
    Beat, ClientInfo, GroupLog, GroupRecord, Groups, GroupsSettings, Moment, NotAppended, Topics,
    Turn,
};
use model::{Timestamp, TopicId};

const SETTINGS: GroupsSettings = GroupsSettings {
    initial_rebalance_delay_ms: 0,
    session_timeout_ms_min: 1,
    session_timeout_ms_max: i32::MAX,
    new_member_join_ms_max: 1,
    consumer_session_ms: 1,
    consumer_heartbeat_ms: 1,
    members_count_max: 100,
    metadata_bytes_max: 100,
    offsets_retention_ms: 1,
};

/// It is in the seeds.
const TOPIC: &str = "orders";

struct OneTopic;

impl Topics for OneTopic {
    fn version(&self) -> u64 {
        1
    }

    fn topic(&self, name: &str) -> Option<(TopicId, i32)> {
        (name == TOPIC).then_some((TopicId::from_random(1), 3))
    }

    fn name_of(&self, id: TopicId) -> Option<String> {
        (id == TopicId::from_random(1)).then(|| TOPIC.to_owned())
    }

    fn names(&self) -> Vec<String> {
        vec![TOPIC.to_owned()]
    }
}

/// Checks that what the groups have recorded is read again.
struct Checked;

impl GroupLog for Checked {
    fn append(&mut self, records: &[GroupRecord]) -> Result<(), NotAppended> {
        records.iter().for_each(check);
        Ok(())
    }
}

fn check(record: &GroupRecord) {
    let (key, value) = record.encode();
    let again = GroupRecord::decode(&key, value.as_deref()).expect("it was just written");
    assert_eq!(again.as_ref(), Some(record));
}

/// Each with the length of its key in a byte, and that of its value in two, which are 65535 if there is
/// none. Then a member joins every group by the protocol of KIP-848, and all sessions end.
pub(crate) fn records(mut input: &[u8]) {
    let mut groups = Groups::new(SETTINGS);
    let mut names = Vec::new();
    while let Some((key, value)) = take_record(&mut input) {
        let Ok(Some(record)) = GroupRecord::decode(key, value) else { continue };
        check(&record);
        groups.replay(&record);
        names.push(record.group().to_owned());
    }
    groups.resume(Moment(0));
    let mut turn = Turn {
        now: Moment(0),
        wall_clock: Timestamp(0),
        random: &mut || 7,
        topics: &OneTopic,
        log: &mut Checked,
        replies: &mut Vec::new(),
    };
    for group in names.into_iter().take(10) {
        let beat = Beat {
            group,
            member: "m".to_owned(),
            epoch: 0,
            instance: None,
            rack: None,
            client: ClientInfo::default(),
            rebalance_timeout_ms: Some(1),
            topics: Some(vec![TOPIC.to_owned()]),
            regex: None,
            assignor: None,
            owned: None,
        };
        // It may well be refused.
        let _ = groups.beat(&mut turn, &beat);
    }
    turn.now = Moment(u64::MAX);
    groups.expire(&mut turn);
}

fn take_record<'a>(input: &mut &'a [u8]) -> Option<(&'a [u8], Option<&'a [u8]>)> {
    let (length, rest) = input.split_first()?;
    let (key, rest) = rest.split_at_checked(usize::from(*length))?;
    let (length, rest) = rest.split_first_chunk()?;
    let length = u16::from_be_bytes(*length);
    let length = (length != u16::MAX).then_some(usize::from(length));
    let (value, rest) = rest.split_at_checked(length.unwrap_or(0))?;
    *input = rest;
    Some((key, length.map(|_| value)))
}
