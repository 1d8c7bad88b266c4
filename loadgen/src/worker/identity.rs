//! Under which name a lane numbers its batches, and when that name is spent.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use client::Producer;

use super::timestamp;
use crate::record::Stamp;

/// Who a lane is to the brokers, if its batches are numbered.
#[derive(Debug, Default)]
pub(super) struct Identity {
    producer: Option<Producer>,
    /// By partition, the next sequence number.
    next: BTreeMap<u32, i32>,
}

impl Identity {
    pub(super) fn new(producer: Producer) -> Identity {
        Identity { producer: Some(producer), next: BTreeMap::new() }
    }

    /// Whether a new one is needed before more batches can be numbered.
    pub(super) fn is_spent(&self) -> bool {
        self.producer.is_none()
    }

    /// What a batch of so many records carries; numbers them.
    pub(super) fn stamp(&mut self, partition: u32, count: u32) -> Stamp {
        let Some(producer) = self.producer else { return Stamp::plain(timestamp()) };
        let next = self.next.entry(partition).or_default();
        let base_sequence = *next;
        // Kafka's sequence numbers go on with 0 after the highest.
        *next = next.wrapping_add(count.cast_signed()) & i32::MAX;
        Stamp {
            timestamp: timestamp(),
            producer_id: producer.id,
            producer_epoch: producer.epoch,
            base_sequence,
        }
    }
}

/// Under which identity a request was sent.
pub(super) struct Signature {
    identity: Rc<RefCell<Identity>>,
    producer: Option<Producer>,
}

impl Signature {
    pub(super) fn of(identity: &Rc<RefCell<Identity>>) -> Signature {
        Signature { identity: identity.clone(), producer: identity.borrow().producer }
    }

    /// The identity is of no more use, unless the lane has a newer one already.
    pub(super) fn spend(&self) {
        let mut identity = self.identity.borrow_mut();
        if identity.producer == self.producer {
            identity.producer = None;
        }
    }
}
