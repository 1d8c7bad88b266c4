//! Who the voters of a partition are, as the payload of a membership entry.

use bytes::{BufMut, Bytes, BytesMut};
use model::{BrokerId, NodeId};

/// The version that is written.
const VERSION: u16 = 1;
const HEADER_SIZE_BYTES: usize = 4;
const VOTER_SIZE_BYTES: usize = 12;

/// The voters of a partition's group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// In the order of their ids.
    pub voters: Vec<NodeId>,
}

impl Membership {
    /// `FORMAT.md` has the bytes.
    pub fn encode(&self) -> Bytes {
        let mut bytes = BytesMut::new();
        bytes.put_u16_le(VERSION);
        bytes.put_u16_le(u16::try_from(self.voters.len()).expect("groups are small"));
        for voter in &self.voters {
            bytes.put_i32_le(voter.broker.0);
            bytes.put_u64_le(voter.incarnation);
        }
        bytes.freeze()
    }

    /// Reads it back; none if the bytes are of another version or cut.
    pub fn decode(bytes: &[u8]) -> Option<Membership> {
        let (header, voters) = bytes.split_at_checked(HEADER_SIZE_BYTES)?;
        let version = u16::from_le_bytes([header[0], header[1]]);
        let count = usize::from(u16::from_le_bytes([header[2], header[3]]));
        if version != VERSION || voters.len() != count * VOTER_SIZE_BYTES {
            return None;
        }
        let voters = voters.chunks_exact(VOTER_SIZE_BYTES).map(|voter| {
            let (broker, incarnation) = voter.split_first_chunk().expect("twelve bytes");
            let incarnation = incarnation.first_chunk().expect("eight are left");
            NodeId {
                broker: BrokerId(i32::from_le_bytes(*broker)),
                incarnation: u64::from_le_bytes(*incarnation),
            }
        });
        Some(Membership { voters: voters.collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_and_refuses_what_is_cut_or_newer() {
        let node = |broker, incarnation| NodeId { broker: BrokerId(broker), incarnation };
        let membership = Membership { voters: vec![node(1, 1), node(7, u64::MAX)] };
        let bytes = membership.encode();
        assert_eq!(Membership::decode(&bytes), Some(membership));
        for size in 0..bytes.len() {
            assert_eq!(Membership::decode(&bytes[..size]), None, "{size} bytes");
        }
        let mut newer = bytes.to_vec();
        newer[0] = 2;
        assert_eq!(Membership::decode(&newer), None);
    }
}
