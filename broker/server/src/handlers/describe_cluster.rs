//! DescribeCluster: the cluster's id and its brokers.

use std::rc::Rc;

use wire::describe_cluster::DescribeClusterBroker;
use wire::{DescribeClusterRequest, DescribeClusterResponse, ErrorCode, Text};

use crate::core::Core;

const BROKERS: i8 = 1;

pub(super) fn handle(core: &Rc<Core>, request: &DescribeClusterRequest) -> DescribeClusterResponse {
    let endpoint_type = request.endpoint_type;
    if endpoint_type != BROKERS {
        let text = format!("endpoint type {endpoint_type}: only brokers (1) can be described");
        return DescribeClusterResponse {
            error_code: ErrorCode::UnsupportedEndpointType,
            error_message: Some(Text::from(text)),
            endpoint_type,
            ..Default::default()
        };
    }
    let image = core.image();
    DescribeClusterResponse {
        error_code: ErrorCode::None,
        error_message: None,
        endpoint_type,
        cluster_id: image.cluster_id.clone(),
        controller_id: image.broker,
        brokers: vec![DescribeClusterBroker {
            broker_id: image.broker,
            host: Text::from(image.address.host.clone()),
            port: i32::from(image.address.port),
            rack: None,
        }],
        ..Default::default()
    }
}
