//! What members have told, and whether it is as it has to be.
//!
//! - A partition is never owned by two members, by their clocks, which are one; nor in one generation.
//! - A member processes only what it owns, and, while it owns a partition, every record once and in order.
//! - Who is assigned a partition goes on where somebody has been, at the latest: no record is left out.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

/// A line of a member.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Event {
    /// In microseconds since 1970.
    pub(super) at: u64,
    #[serde(flatten)]
    pub(super) what: What,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(super) enum What {
    /// These partitions, besides those that it has.
    Assigned {
        partitions: Vec<u32>,
        generation: Option<i64>,
    },
    Revoked {
        partitions: Vec<u32>,
    },
    /// The group has given them to others already.
    Lost {
        partitions: Vec<u32>,
    },
    /// For a client that tells its generation in no other way.
    Heartbeat {
        generation: i64,
    },
    /// It is processed.
    Record {
        partition: u32,
        offset: u64,
    },
    /// The record before it may be processed again.
    CommitFailed {},
    /// The last line.
    Closed,
}

/// A time during which a member owns a partition.
#[derive(Debug)]
struct Span {
    partition: u32,
    from: u64,
    /// Exclusive; later than everything if it has not ended.
    to: u64,
    offsets: Vec<u64>,
}

/// A process's.
#[derive(Debug)]
pub(super) struct History {
    /// What the group knows the member by; of a static one, also after a restart.
    member: String,
    events: Vec<Event>,
    spans: Vec<Span>,
    /// What it had in each generation that it knows of.
    generations: BTreeMap<i64, BTreeSet<u32>>,
    complaints: Vec<String>,
    commits_failed: usize,
    is_leaving: bool,
}

impl History {
    pub(super) fn new(member: String) -> History {
        History {
            member,
            events: Vec::new(),
            spans: Vec::new(),
            generations: BTreeMap::new(),
            complaints: Vec::new(),
            commits_failed: 0,
            is_leaving: false,
        }
    }

    /// It is asked to leave. From then on it may lose what it has: clients who leave while the group
    /// rebalances say so, since others may have been given it already.
    pub(super) fn leave(&mut self) {
        self.is_leaving = true;
    }

    pub(super) fn add(&mut self, event: Event) {
        self.events.push(event.clone());
        let at = event.at;
        match event.what {
            What::Assigned { partitions, generation } => {
                for partition in partitions {
                    self.assign(partition, at);
                }
                self.note_generation(generation);
            }
            What::Revoked { partitions } => {
                for partition in partitions {
                    self.end_span(partition, at);
                }
            }
            What::Lost { partitions } => {
                if !self.is_leaving {
                    self.complaints.push(format!("{partitions:?} were lost"));
                }
                for partition in partitions {
                    self.end_span(partition, at);
                }
            }
            What::Heartbeat { generation } => self.note_generation(Some(generation)),
            What::Record { partition, offset } => match self.open_span(partition) {
                Some(span) => span.offsets.push(offset),
                None => self.complaints.push(format!("processed {partition}/{offset} of others")),
            },
            What::CommitFailed {} => self.commits_failed += 1,
            What::Closed => {}
        }
    }

    /// The member's process has ended.
    pub(super) fn end(&mut self, at: u64) {
        self.spans.iter_mut().for_each(|span| span.to = span.to.min(at));
    }

    fn assign(&mut self, partition: u32, at: u64) {
        if self.open_span(partition).is_some() {
            self.complaints.push(format!("{partition} was assigned twice"));
            return;
        }
        self.spans.push(Span { partition, from: at, to: u64::MAX, offsets: Vec::new() });
    }

    /// Kafka's own client, when it is closed while it is being assigned partitions by the broker,
    /// tells that they are revoked and never that they were assigned.
    fn end_span(&mut self, partition: u32, at: u64) {
        if let Some(span) = self.open_span(partition) {
            span.to = at;
        }
    }

    fn open_span(&mut self, partition: u32) -> Option<&mut Span> {
        self.spans.iter_mut().find(|span| span.partition == partition && span.to == u64::MAX)
    }

    fn note_generation(&mut self, generation: Option<i64>) {
        if let Some(generation) = generation {
            self.generations.insert(generation, self.owned());
        }
    }

    /// The partitions that it has now.
    pub(super) fn owned(&self) -> BTreeSet<u32> {
        let open = self.spans.iter().filter(|span| span.to == u64::MAX);
        open.map(|span| span.partition).collect()
    }

    /// The last generation that it knows of.
    pub(super) fn generation(&self) -> Option<i64> {
        self.generations.keys().next_back().copied()
    }

    /// When it came to own a partition last.
    pub(super) fn assigned_at(&self, partition: u32) -> Option<u64> {
        let spans = self.spans.iter().filter(|span| span.partition == partition);
        spans.map(|span| span.from).max()
    }

    /// What was assigned and revoked, in order.
    pub(super) fn turns(&self) -> Vec<&Event> {
        let is_turn = |event: &&Event| match event.what {
            What::Assigned { .. } | What::Revoked { .. } | What::Lost { .. } | What::Closed => true,
            What::Heartbeat { .. } | What::Record { .. } | What::CommitFailed {} => false,
        };
        self.events.iter().filter(is_turn).collect()
    }

    /// The partitions that were revoked since a time.
    pub(super) fn revoked_since(&self, at: u64) -> BTreeSet<u32> {
        let ended = self.spans.iter().filter(|span| at <= span.to && span.to != u64::MAX);
        ended.map(|span| span.partition).collect()
    }

    /// When it processed records of a partition.
    pub(super) fn processed_at(&self, partition: u32) -> Vec<u64> {
        let of_partition = |event: &Event| match event.what {
            What::Record { partition: of, .. } if of == partition => Some(event.at),
            _ => None,
        };
        self.events.iter().filter_map(of_partition).collect()
    }

    pub(super) fn processed_count(&self) -> usize {
        self.spans.iter().map(|span| span.offsets.len()).sum()
    }

    /// Of each partition, the last offset that was committed, where each record is before the next is
    /// processed.
    pub(super) fn acknowledged(&self) -> BTreeMap<u32, u64> {
        let mut acknowledged = BTreeMap::new();
        let mut last = None;
        for event in &self.events {
            let next = match event.what {
                What::Record { partition, offset } => Some((partition, offset + 1)),
                What::CommitFailed {} => {
                    last = None;
                    continue;
                }
                What::Closed => None,
                What::Assigned { .. }
                | What::Revoked { .. }
                | What::Lost { .. }
                | What::Heartbeat { .. } => continue,
            };
            if let Some((partition, offset)) = std::mem::replace(&mut last, next) {
                acknowledged.insert(partition, offset);
            }
        }
        acknowledged
    }

    pub(super) fn commits_failed(&self) -> usize {
        self.commits_failed
    }

    pub(super) fn is_closed(&self) -> bool {
        matches!(self.events.last(), Some(Event { what: What::Closed, .. }))
    }
}

/// Whether every record has been processed by somebody.
pub(super) fn is_everything_processed(histories: &[&History], sent: &[u64]) -> bool {
    let mut processed: BTreeMap<u32, BTreeSet<u64>> = BTreeMap::new();
    for span in histories.iter().flat_map(|history| &history.spans) {
        processed.entry(span.partition).or_default().extend(&span.offsets);
    }
    (0..).zip(sent).all(|(partition, count)| {
        let offsets = processed.get(&partition);
        offsets.is_some_and(|offsets| (0..*count).all(|offset| offsets.contains(&offset)))
    })
}

/// What is not as it has to be, where `sent` says how many records each partition has. And how many
/// records were processed again.
pub(super) fn judge(histories: &[&History], sent: &[u64]) -> (Vec<String>, usize) {
    let mut complaints = Vec::new();
    for history in histories {
        let own = history.complaints.iter();
        complaints.extend(own.map(|text| format!("{}: {text}", history.member)));
    }
    let mut repeated = 0;
    for (partition, count) in (0..).zip(sent) {
        let spans = spans_of(histories, partition);
        for pair in spans.windows(2) {
            let [(one, before), (other, after)] = pair else { unreachable!("these are two") };
            if after.from < before.to {
                let overlap = before.to.min(after.to) - after.from;
                complaints.push(format!(
                    "{partition}: {other} has it {overlap} us before {one} has given it up"
                ));
            }
        }
        let mut next = 0;
        for (member, span) in &spans {
            let Some(first) = span.offsets.first() else { continue };
            if next < *first {
                complaints.push(format!("{partition}: {member} left out {next} to {first}"));
            }
            if span.offsets.windows(2).any(|pair| pair[0] + 1 != pair[1]) {
                complaints.push(format!("{partition}: {member} jumped: {:?}", span.offsets));
            }
            let end = span.offsets.last().map_or(next, |last| last + 1);
            repeated += usize::try_from(next.min(end).saturating_sub(*first)).expect("it is small");
            next = next.max(end);
        }
        if next != *count {
            complaints.push(format!("{partition}: {next} of {count} records were processed"));
        }
    }
    complaints.extend(generations_shared(histories));
    (complaints, repeated)
}

/// Who had a partition, in the order of time.
fn spans_of<'a>(histories: &[&'a History], partition: u32) -> Vec<(&'a str, &'a Span)> {
    let mut spans: Vec<(&str, &Span)> = Vec::new();
    for history in histories {
        let of_partition = history.spans.iter().filter(|span| span.partition == partition);
        spans.extend(of_partition.map(|span| (history.member.as_str(), span)));
    }
    spans.sort_by_key(|(_, span)| span.from);
    spans
}

fn generations_shared(histories: &[&History]) -> Vec<String> {
    let mut owners: BTreeMap<(i64, u32), BTreeSet<&str>> = BTreeMap::new();
    for history in histories {
        for (generation, partitions) in &history.generations {
            for partition in partitions {
                owners.entry((*generation, *partition)).or_default().insert(&history.member);
            }
        }
    }
    let shared = owners.into_iter().filter(|(_, members)| 1 < members.len());
    let complaint = |((generation, partition), members): ((i64, u32), BTreeSet<&str>)| {
        format!("{partition}: {members:?} had it in generation {generation}")
    };
    shared.map(complaint).collect()
}

#[cfg(test)]
mod tests {
    use super::{History, judge};

    /// A member's lines, as time and what is told.
    fn history(member: &str, lines: &[(u64, &str)]) -> History {
        let mut history = History::new(member.to_owned());
        for (at, text) in lines {
            let words: Vec<&str> = text.split(' ').collect();
            let line = match words[..] {
                ["assigned", partition, generation] => format!(
                    r#""event": "assigned", "partitions": [{partition}], "generation": {generation}"#
                ),
                [event @ ("revoked" | "lost"), partition] => {
                    format!(r#""event": "{event}", "partitions": [{partition}]"#)
                }
                ["record", partition, offset] => {
                    format!(r#""event": "record", "partition": {partition}, "offset": {offset}"#)
                }
                _ => panic!("{text}"),
            };
            history.add(serde_json::from_str(&format!(r#"{{"at": {at}, {line}}}"#)).unwrap());
        }
        history
    }

    #[track_caller]
    fn check(members: &[&[(u64, &str)]], expected: &[&str], repeated: usize) {
        let members = ["a", "b"].into_iter().zip(members);
        let histories: Vec<History> = members.map(|(name, lines)| history(name, lines)).collect();
        let histories: Vec<&History> = histories.iter().collect();
        let found = judge(&histories, &[3]);
        let expected: Vec<String> = expected.iter().map(|text| (*text).to_owned()).collect();
        assert_eq!(found, (expected, repeated));
    }

    const FIRST: [(u64, &str); 4] =
        [(1, "assigned 0 1"), (2, "record 0 0"), (3, "record 0 1"), (4, "revoked 0")];

    #[test]
    fn a_partition_that_is_handed_over_is_no_reason_to_complain() {
        check(&[&FIRST, &[(5, "assigned 0 2"), (6, "record 0 2")]], &[], 0);
        check(&[&FIRST, &[(5, "assigned 0 2"), (6, "record 0 1"), (7, "record 0 2")]], &[], 1);
    }

    #[test]
    fn what_is_committed_is_known_when_the_next_record_is_processed() {
        let mut history = history("a", &FIRST);
        assert_eq!(history.acknowledged().into_iter().collect::<Vec<_>>(), [(0, 1)]);
        for event in ["commit_failed", "closed"] {
            let line = format!(r#"{{"at": 5, "event": "{event}"}}"#);
            history.add(serde_json::from_str(&line).unwrap());
        }
        assert_eq!(history.acknowledged().into_iter().collect::<Vec<_>>(), [(0, 1)]);
    }

    #[test]
    fn every_wrong_is_found() {
        let early: [(u64, &str); 2] = [(3, "assigned 0 2"), (6, "record 0 2")];
        let complaint = "0: b has it 1 us before a has given it up";
        check(&[&FIRST, &early], &[complaint], 0);
        let same: [(u64, &str); 2] = [(5, "assigned 0 1"), (6, "record 0 2")];
        check(&[&FIRST, &same], &["0: {\"a\", \"b\"} had it in generation 1"], 0);
        let stranger: [(u64, &str); 3] =
            [(5, "record 0 2"), (6, "assigned 0 2"), (7, "record 0 2")];
        check(&[&FIRST, &stranger], &["b: processed 0/2 of others"], 0);
        let jump: [(u64, &str); 3] = [(1, "assigned 0 1"), (2, "record 0 0"), (3, "record 0 2")];
        check(&[&jump], &["0: a jumped: [0, 2]"], 0);
        let gap: [(u64, &str); 2] = [(1, "assigned 0 1"), (2, "record 0 2")];
        check(&[&gap], &["0: a left out 0 to 2"], 0);
        check(&[&FIRST], &["0: 2 of 3 records were processed"], 0);
        let twice: [(u64, &str); 2] = [(5, "assigned 0 2"), (6, "assigned 0 3")];
        let complaints = ["b: 0 was assigned twice", "0: 2 of 3 records were processed"];
        check(&[&FIRST, &twice], &complaints, 0);
        let lost: [(u64, &str); 3] = [(5, "assigned 0 2"), (6, "record 0 2"), (7, "lost 0")];
        check(&[&FIRST, &lost], &["b: [0] were lost"], 0);
        let mut leaver = history("a", &FIRST[..3]);
        leaver.leave();
        leaver
            .add(serde_json::from_str(r#"{"at": 4, "event": "lost", "partitions": [0]}"#).unwrap());
        assert_eq!(judge(&[&leaver], &[2]), (Vec::new(), 0));
    }
}
