//! Who leads and who has copies, where there is one broker.

use model::{BrokerId, PartitionIndex};
use wire::alter_partition_reassignments::{ReassignablePartition, ReassignableTopic};
use wire::elect_leaders::TopicPartitions;
use wire::{
    AlterPartitionReassignmentsRequest, ApiKey, ElectLeadersRequest, ErrorCode,
    ListPartitionReassignmentsRequest, Text,
};

use crate::support::{Broker, Client, Directory};

fn election(topic: &'static str, partitions: &[i32]) -> ElectLeadersRequest {
    let partitions = partitions.iter().map(|index| PartitionIndex(*index)).collect();
    let topic = Text::from_static(topic);
    ElectLeadersRequest {
        topic_partitions: Some(vec![TopicPartitions { topic, partitions }]),
        ..Default::default()
    }
}

fn assignment(topic: &'static str, all: &[Option<&[i32]>]) -> AlterPartitionReassignmentsRequest {
    let partitions = (0..).zip(all).map(|(index, replicas)| ReassignablePartition {
        partition_index: PartitionIndex(index),
        replicas: replicas.map(|ids| ids.iter().copied().map(BrokerId).collect()),
    });
    let name = Text::from_static(topic);
    let topics = vec![ReassignableTopic { name, partitions: partitions.collect() }];
    AlterPartitionReassignmentsRequest { topics, ..Default::default() }
}

/// Every version, also of what concerns groups and quotas. There is a topic "every".
pub(crate) fn check_at(client: &mut Client, api: ApiKey, version: i16) {
    match api {
        ApiKey::ElectLeaders => {
            let response = client.call(version, &election("every", &[0]));
            let result = &response.replica_election_results[0].partition_result[0];
            assert_eq!(result.error_code, ErrorCode::ElectionNotNeeded);
        }
        ApiKey::AlterPartitionReassignments => {
            let response = client.call(version, &assignment("every", &[Some(&[1])]));
            assert_eq!(response.responses[0].partitions[0].error_code, ErrorCode::None);
        }
        ApiKey::ListPartitionReassignments => {
            let response = client.call(version, &ListPartitionReassignmentsRequest::default());
            assert!(response.topics.is_empty() && !response.error_code.is_error());
        }
        ApiKey::DescribeClientQuotas | ApiKey::AlterClientQuotas => {
            crate::quotas::check_at(client, api, version);
        }
        other => crate::groups::check_at(client, other, version),
    }
}

#[test]
fn m20_the_only_broker_leads_everything_and_nothing_can_be_elsewhere() {
    let directory = Directory::new();
    let broker = Broker::start(&directory.data(), &[]);
    let mut client = broker.connect();
    client.auto_create("t");
    let mut elect = |request: &ElectLeadersRequest| -> Vec<ErrorCode> {
        let response = client.call(2, request);
        assert_eq!(response.error_code, ErrorCode::None);
        let results = response.replica_election_results.iter().flat_map(|it| &it.partition_result);
        results.map(|result| result.error_code).collect()
    };
    let needless = [ErrorCode::ElectionNotNeeded, ErrorCode::UnknownTopicOrPartition];
    for election_type in [0, 1] {
        let request = ElectLeadersRequest { election_type, ..election("t", &[0, 7]) };
        assert_eq!(elect(&request), needless);
        let all = ElectLeadersRequest { election_type, topic_partitions: None, ..request };
        assert!(elect(&all).is_empty());
    }
    assert_eq!(elect(&election("none", &[0])), [ErrorCode::UnknownTopicOrPartition]);
    let wrong = ElectLeadersRequest { election_type: 2, ..election("t", &[0]) };
    assert_eq!(client.call(2, &wrong).error_code, ErrorCode::InvalidRequest);

    client.call(3, &crate::partitions::request(vec![crate::partitions::more("t", 5)]));
    let request =
        assignment("t", &[Some(&[1]), Some(&[1, 2]), Some(&[]), Some(&[1, 1]), None, Some(&[1])]);
    let response = client.call(0, &request);
    let codes: Vec<ErrorCode> =
        response.responses[0].partitions.iter().map(|partition| partition.error_code).collect();
    let expected = [
        ErrorCode::None,
        ErrorCode::InvalidReplicaAssignment,
        ErrorCode::InvalidReplicaAssignment,
        ErrorCode::InvalidReplicaAssignment,
        ErrorCode::NoReassignmentInProgress,
        ErrorCode::UnknownTopicOrPartition,
    ];
    assert_eq!(codes, expected);
}
