//! What a consumer says of itself when it joins: which topics it reads.

use std::collections::BTreeSet;

/// The protocol type of consumers, as opposed to Connect's workers and the like.
pub(super) const CONSUMER: &str = "consumer";

/// The topics in a subscription of Kafka's consumer protocol, any version: a number, then an array of
/// names; what follows is the assignor's. None if it is no such thing.
pub(super) fn topics_of(subscription: &[u8]) -> Option<BTreeSet<String>> {
    let (_version, mut rest) = subscription.split_at_checked(2)?;
    let count = u32::from_be_bytes(take(&mut rest)?);
    let mut topics = BTreeSet::new();
    for _ in 0..count {
        let length = usize::from(u16::from_be_bytes(take(&mut rest)?));
        let (name, after) = rest.split_at_checked(length)?;
        rest = after;
        topics.insert(std::str::from_utf8(name).ok()?.to_owned());
    }
    Some(topics)
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(*taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_read_of_what_consumers_send() {
        let subscription = b"\0\x03\0\0\0\x02\0\x01a\0\x02bc\xff\xff\xff\xff\0\0\0\0";
        let topics = topics_of(subscription).unwrap();
        assert_eq!(topics.into_iter().collect::<Vec<_>>(), ["a", "bc"]);
        assert_eq!(topics_of(b"\0\0\0\0\0\0"), Some(BTreeSet::new()));
    }

    #[test]
    fn what_is_no_subscription_is_none() {
        let subscription = b"\0\x03\0\0\0\x02\0\x01a\0\x02bc";
        for end in 0..subscription.len() {
            assert_eq!(topics_of(&subscription[..end]), None, "{end}");
        }
        assert_eq!(topics_of(b"\0\0\xff\xff\xff\xff\0\x01a"), None);
        assert_eq!(topics_of(b"\0\0\0\0\0\x01\0\x01\xff"), None);
    }
}
