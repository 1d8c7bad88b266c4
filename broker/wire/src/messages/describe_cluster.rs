//! DescribeCluster (key 60): the cluster's id, controller and brokers (KIP-700).
//!
//! Versions: 0 flexible; 1 brokers or controllers can be asked for (KIP-919).

use model::BrokerId;

use crate::schema::messages;
use crate::{ErrorCode, Text};

messages! {
    message DescribeClusterRequest: key 60, versions 0-1, flexible 0+ {
        include_cluster_authorized_operations: bool [0+];
        /// 1 is brokers, 2 controllers.
        endpoint_type: i8 [1+] = 1;
    }

    message DescribeClusterResponse: key 60, versions 0-1, flexible 0+ {
        throttle_time_ms: i32 [0+];
        error_code: ErrorCode [0+];
        error_message: Option<Text> [0+, nullable 0+] = None;
        endpoint_type: i8 [1+] = 1;
        cluster_id: Text [0+];
        controller_id: BrokerId [0+] = BrokerId(-1);
        brokers: Vec<DescribeClusterBroker> [0+];
        /// A bit for each operation; the lowest number is "not asked for".
        cluster_authorized_operations: i32 [0+] = i32::MIN;
    }

    struct DescribeClusterBroker {
        broker_id: BrokerId [0+];
        host: Text [0+];
        port: i32 [0+];
        rack: Option<Text> [0+, nullable 0+] = None;
    }
}
