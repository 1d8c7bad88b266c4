//! No phantom (P3): what is read was sent, to this partition, and not refused; its bytes and its
//! time are those that were sent.

use std::collections::BTreeMap;

use super::view::{finals, records_of};
use crate::history::{History, Outcome};

pub(super) fn check(history: &History) -> Result<(), String> {
    let mut sent = BTreeMap::new();
    for send in &history.sends {
        let refused = match send.outcome {
            Outcome::Refused(code) => Some(code),
            Outcome::Acknowledged { .. } | Outcome::Unknown => None,
        };
        for record in &send.records {
            sent.insert(record.id, (send.partition, record.timestamp, refused));
        }
    }
    for forbidden in &history.forbidden {
        for record in &forbidden.records {
            let refused = Some(forbidden.expected);
            sent.insert(record.id, (forbidden.partition, record.timestamp, refused));
        }
    }
    let finals = finals(history);
    let at_the_end = finals
        .iter()
        .flat_map(|(partition, view)| view.records.values().map(|found| (*partition, *found)));
    let fetched = history
        .fetches
        .iter()
        .flat_map(|fetch| records_of(&fetch.batches).map(|record| (fetch.partition, record)));
    for (partition, record) in fetched.chain(at_the_end) {
        let offset = record.offset.0;
        let Some(id) = record.id else {
            return Err(format!("{partition} offset {offset} holds bytes that nobody has sent"));
        };
        let Some((to, timestamp, refused)) = sent.get(&id) else {
            return Err(format!("{partition} offset {offset} holds {id:?}, which nobody has sent"));
        };
        if *to != partition {
            return Err(format!("{partition} offset {offset} holds {id:?}, sent to {to}"));
        }
        if let Some(code) = refused {
            return Err(format!("{partition} offset {offset} holds {id:?}, refused with {code}"));
        }
        let has_broker_time = history.topic(partition).is_some_and(|topic| topic.has_broker_time);
        if !has_broker_time && *timestamp != record.timestamp {
            let (sent, seen) = (timestamp.0, record.timestamp.0);
            return Err(format!("{id:?} was sent with time {sent} and read with {seen}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Story, check};
    use expect_test::expect;

    #[test]
    fn what_is_read_was_sent_there_and_not_refused() {
        let story = Story::new().ack("durable", 0, &[1]).unknown("durable", &[2]);
        let story = story.refused("durable", &[3]).ack("relaxed", 0, &[4]);
        check(super::check, &story.clone().fetch("durable", 0, &[1, 2]), expect!["ok"]);
        check(super::check, &story.clone().end("durable", &[1, 2]), expect!["ok"]);
        check(super::check, &story.clone().fetch("durable", 0, &[1, 3]), expect!["broken"]);
        check(super::check, &story.clone().end("durable", &[1, 3]), expect!["broken"]);
        check(super::check, &story.clone().end("durable", &[1, 4]), expect!["broken"]);
        check(super::check, &story.end("durable", &[1, 99]), expect!["broken"]);
    }

    #[test]
    fn what_is_under_way_may_be_read() {
        let story = Story::new().under_way("durable", &[1]);
        check(super::check, &story.clone().fetch("durable", 0, &[1]), expect!["ok"]);
        check(super::check, &story.clone().end("durable", &[1]), expect!["ok"]);
        check(super::check, &story.fetch("relaxed", 0, &[1]), expect!["broken"]);
    }
}
