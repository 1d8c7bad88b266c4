//! ElectLeaders, AlterPartitionReassignments and ListPartitionReassignments: who leads and who has
//! copies, where there is one broker, which leads and has them all.

use std::sync::Arc;

use model::{BrokerId, PartitionIndex};
use wire::alter_partition_reassignments::{
    ReassignablePartition, ReassignablePartitionResponse, ReassignableTopicResponse,
};
use wire::elect_leaders::{PartitionResult, ReplicaElectionResult};
use wire::{
    AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse, ElectLeadersRequest,
    ElectLeadersResponse, ErrorCode, ListPartitionReassignmentsResponse, Text,
};

use crate::core::Core;
use crate::failure::Failure;
use crate::image::{ClusterImage, TopicImage};

const ELECTION_PREFERRED: i8 = 0;
const ELECTION_UNCLEAN: i8 = 1;
/// From here on the request says which election.
const TYPE_VERSION_MIN: i16 = 1;

pub(super) fn elect(
    core: &Core,
    version: i16,
    request: ElectLeadersRequest,
) -> ElectLeadersResponse {
    let image = core.image();
    let election_type =
        if version < TYPE_VERSION_MIN { ELECTION_PREFERRED } else { request.election_type };
    if !matches!(election_type, ELECTION_PREFERRED | ELECTION_UNCLEAN) {
        return ElectLeadersResponse {
            error_code: ErrorCode::InvalidRequest,
            ..Default::default()
        };
    }
    let result_of = |topic: Option<&Arc<TopicImage>>, name: &Text, index: PartitionIndex| {
        let failure = elected(topic, election_type, name, index);
        let (error_code, error_message) = (failure.code, Some(failure.message));
        PartitionResult { partition_id: index, error_code, error_message }
    };
    let replica_election_results = match request.topic_partitions {
        Some(asked) => asked
            .into_iter()
            .map(|asked| {
                let topic = image.topic(&asked.topic);
                let partitions = asked.partitions.iter();
                let results = partitions.map(|index| result_of(topic, &asked.topic, *index));
                ReplicaElectionResult { partition_result: results.collect(), topic: asked.topic }
            })
            .collect(),
        // Of all, those that need no election are not told, as in Kafka.
        None => image
            .topics()
            .map(|topic| {
                let indexes = (0..).map(PartitionIndex).take(topic.partitions.len());
                let results = indexes.map(|index| result_of(Some(topic), &topic.name, index));
                let needed =
                    results.filter(|result| result.error_code != ErrorCode::ElectionNotNeeded);
                ReplicaElectionResult {
                    topic: topic.name.clone(),
                    partition_result: needed.collect(),
                }
            })
            .filter(|topic| !topic.partition_result.is_empty())
            .collect(),
    };
    ElectLeadersResponse { replica_election_results, ..Default::default() }
}

/// Why there is no election.
fn elected(
    topic: Option<&Arc<TopicImage>>,
    election_type: i8,
    name: &Text,
    index: PartitionIndex,
) -> Failure {
    let unknown = |text: String| Failure::new(ErrorCode::UnknownTopicOrPartition, text);
    let Some(topic) = topic else { return unknown(format!("No such topic as {}", &**name)) };
    let place = usize::try_from(index.0).ok().and_then(|place| topic.partitions.get(place));
    let Some(partition) = place else {
        return unknown(format!("No such partition as {}-{index}", &**name));
    };
    let led = partition.leader_epoch.is_some();
    let (code, text) = match (led, election_type) {
        (true, _) => {
            (ErrorCode::ElectionNotNeeded, "Leader election not needed for topic partition.")
        }
        (false, ELECTION_UNCLEAN) => (
            ErrorCode::EligibleLeadersNotAvailable,
            "Eligible topic partition leaders are not available.",
        ),
        (false, _) => {
            (ErrorCode::PreferredLeaderNotAvailable, "The preferred leader was not available.")
        }
    };
    Failure::new(code, text)
}

pub(super) fn reassign(
    core: &Core,
    request: AlterPartitionReassignmentsRequest,
) -> AlterPartitionReassignmentsResponse {
    let image = core.image();
    let responses = request.topics.into_iter().map(|asked| {
        let topic = image.topic(&asked.name);
        let partitions = asked.partitions.iter().map(|partition| {
            let index = partition.partition_index;
            let is_there = topic.is_some_and(|topic| topic.partition(index).is_some());
            let outcome = match is_there {
                true => reassigned(&image, partition),
                false => Err(Failure::unknown_partition()),
            };
            let (error_code, error_message) = match outcome {
                Ok(()) => (ErrorCode::None, None),
                Err(failure) => (failure.code, Some(failure.message)),
            };
            ReassignablePartitionResponse { partition_index: index, error_code, error_message }
        });
        ReassignableTopicResponse { partitions: partitions.collect(), name: asked.name }
    });
    AlterPartitionReassignmentsResponse {
        allow_replication_factor_change: request.allow_replication_factor_change,
        responses: responses.collect(),
        ..Default::default()
    }
}

/// A partition can be where it is, and nowhere else.
fn reassigned(image: &ClusterImage, partition: &ReassignablePartition) -> Result<(), Failure> {
    let invalid = |text: String| Err(Failure::new(ErrorCode::InvalidReplicaAssignment, text));
    let Some(replicas) = &partition.replicas else {
        let text = "No partition reassignment is in progress.";
        return Err(Failure::new(ErrorCode::NoReassignmentInProgress, text));
    };
    let is_here = |replica: &&BrokerId| **replica == image.broker;
    if let Some(other) = replicas.iter().find(|replica| !is_here(replica)) {
        return invalid(format!(
            "The manual partition assignment includes broker {other}, but no such broker is \
             registered."
        ));
    }
    match replicas.len() {
        0 => invalid("The manual partition assignment includes an empty replica list.".to_owned()),
        1 => Ok(()),
        _ => invalid(format!(
            "The manual partition assignment includes the broker {} more than once.",
            image.broker
        )),
    }
}

/// Nothing ever moves.
pub(super) fn list_reassignments() -> ListPartitionReassignmentsResponse {
    ListPartitionReassignmentsResponse::default()
}
