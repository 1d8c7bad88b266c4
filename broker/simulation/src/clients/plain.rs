//! A producer without idempotence, which sends everything once: to any partitions, with any acks.

use std::rc::Rc;

use runtime::with_rng;
use wire::ErrorCode;

use super::Context;
use super::batch::{Batch, only_answer, request};
use super::peer::Peer;
use crate::history::Outcome;

pub(super) async fn run(context: Rc<Context>) {
    let mut peer = Peer::new(&context);
    while !context.is_ending() {
        // A new session each time: nothing orders what is sent over different connections.
        let session = context.next_session();
        let (topic, partition) = context.any_partition();
        let batch = Batch::new(&context, None);
        let acks = [-1, -1, 1, 0][with_rng(|rng| rng.index(4))];
        let request = request(&topic, partition.partition, &batch, acks);
        let (connection, _) = peer.connection().await;
        let number = context.begin_send(session, partition, &batch, None);
        let outcome = if acks == 0 {
            if let Ok(written) = connection.post(&request) {
                // Whether it was written says nothing about the broker.
                let _ = written.await;
            }
            context.history.borrow_mut().operations_count += 1;
            Outcome::Unknown
        } else {
            match peer.ask_from(batch.version_min, &request).await {
                Ok(response) => outcome_of(&peer, &response),
                Err(_) => Outcome::Unknown,
            }
        };
        context.settle(number, outcome);
        context.pause().await;
    }
}

fn outcome_of(peer: &Peer, response: &wire::ProduceResponse) -> Outcome {
    let answer = only_answer(response);
    match answer.error_code {
        ErrorCode::None => Outcome::Acknowledged { base_offset: answer.base_offset },
        // It was appended, or may have been.
        ErrorCode::RequestTimedOut
        | ErrorCode::NotEnoughReplicasAfterAppend
        | ErrorCode::KafkaStorageError => Outcome::Unknown,
        code @ ErrorCode::UnknownServerError => {
            peer.note_absurd("Produce", code);
            Outcome::Unknown
        }
        code => Outcome::Refused(code),
    }
}
