//! The table of APIs, as a whole.

use expect_test::expect;

use super::*;

#[test]
fn these_apis_are_spoken() {
    let table: Vec<String> = ApiKey::ALL
        .iter()
        .map(|key| {
            let advertised = key.advertised_versions();
            format!("{:2} {key} {}, advertised {advertised}", key.code(), key.versions())
        })
        .collect();
    expect![[r#"
         0 Produce 3-11, advertised 0-11
         1 Fetch 4-17, advertised 4-17
         2 ListOffsets 1-9, advertised 1-9
         3 Metadata 0-12, advertised 0-12
         8 OffsetCommit 2-9, advertised 2-9
         9 OffsetFetch 1-9, advertised 1-9
        10 FindCoordinator 0-6, advertised 0-6
        11 JoinGroup 0-9, advertised 0-9
        12 Heartbeat 0-4, advertised 0-4
        13 LeaveGroup 0-5, advertised 0-5
        14 SyncGroup 0-5, advertised 0-5
        15 DescribeGroups 0-6, advertised 0-6
        16 ListGroups 0-5, advertised 0-5
        18 ApiVersions 0-4, advertised 0-4
        19 CreateTopics 2-7, advertised 2-7
        20 DeleteTopics 1-6, advertised 1-6
        21 DeleteRecords 0-2, advertised 0-2
        22 InitProducerId 0-5, advertised 0-5
        23 OffsetForLeaderEpoch 2-4, advertised 2-4
        32 DescribeConfigs 1-4, advertised 1-4
        33 AlterConfigs 0-2, advertised 0-2
        35 DescribeLogDirs 1-4, advertised 1-4
        37 CreatePartitions 0-3, advertised 0-3
        42 DeleteGroups 0-2, advertised 0-2
        43 ElectLeaders 0-2, advertised 0-2
        44 IncrementalAlterConfigs 0-1, advertised 0-1
        45 AlterPartitionReassignments 0-1, advertised 0-1
        46 ListPartitionReassignments 0-0, advertised 0-0
        47 OffsetDelete 0-0, advertised 0-0
        48 DescribeClientQuotas 0-1, advertised 0-1
        49 AlterClientQuotas 0-1, advertised 0-1
        60 DescribeCluster 0-1, advertised 0-1
        68 ConsumerGroupHeartbeat 0-1, advertised 0-1
        69 ConsumerGroupDescribe 0-1, advertised 0-1
        75 DescribeTopicPartitions 0-0, advertised 0-0"#]]
    .assert_eq(&table.join("\n"));
}

#[test]
fn produce_is_advertised_from_0_on_for_librdkafkas_sake_but_not_spoken_before_3() {
    assert_eq!(ApiKey::Produce.advertised_versions(), Versions::new(0, 11));
    assert_eq!(ApiKey::Produce.versions(), Versions::new(3, 11));
}

#[test]
fn every_key_is_found_by_its_number_and_no_other_is() {
    for &api_key in ApiKey::ALL {
        assert_eq!(ApiKey::from_code(api_key.code()), Some(api_key));
    }
    let codes: Vec<i16> =
        (i16::MIN..=i16::MAX).filter(|&code| ApiKey::from_code(code).is_some()).collect();
    assert_eq!(
        codes,
        [
            0, 1, 2, 3, 8, 9, 10, 11, 12, 13, 14, 15, 16, 18, 19, 20, 21, 22, 23, 32, 33, 35, 37,
            42, 43, 44, 45, 46, 47, 48, 49, 60, 68, 69, 75
        ]
    );
}
