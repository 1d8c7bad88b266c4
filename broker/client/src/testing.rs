//! A broker that plays a script: what it answers, and when, is up to the test.

use core::net::{Ipv4Addr, SocketAddr};
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use model::BrokerId;
use runtime::{TcpListener, TcpStream, spawn};
use wire::api_versions::ApiVersion;
use wire::find_coordinator::Coordinator;
use wire::metadata::{MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic};
use wire::{
    ApiKey, ApiVersionsResponse, ErrorCode, FindCoordinatorRequest, FindCoordinatorResponse,
    MetadataRequest, MetadataResponse, Piece, Request, RequestHeader, Response, Text, Versions,
    decode_request, frame_size_bytes,
};

use crate::address::resolve_literal;
use crate::cluster::{Cluster, ClusterOptions};
use crate::connection::ConnectionOptions;

/// What the broker does about a request.
pub(crate) enum Act {
    /// Answers the request with this header.
    Answer(RequestHeader, Response),
    /// Sends bytes as they are.
    Bytes(Bytes),
    Close,
}

/// Decides, for each request that comes in.
type Script = Rc<RefCell<dyn FnMut(RequestHeader, Request) -> Vec<Act>>>;

/// Starts a broker; it lives as long as the test.
pub(crate) async fn broker(
    script: impl FnMut(RequestHeader, Request) -> Vec<Act> + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind_alone(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await;
    let listener = listener.unwrap();
    let address = listener.local_address().await.unwrap();
    let script: Script = Rc::new(RefCell::new(script));
    spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            spawn(serve(stream, script.clone()));
        }
    });
    address
}

/// A broker that speaks all versions there are and leaves everything else to the script.
pub(crate) async fn modern_broker(
    mut script: impl FnMut(RequestHeader, Request) -> Vec<Act> + 'static,
) -> SocketAddr {
    broker(move |header, request| match request {
        Request::ApiVersions(_) => vec![Act::Answer(header, all_versions().into())],
        request => script(header, request),
    })
    .await
}

pub(crate) fn all_versions() -> ApiVersionsResponse {
    versions(&ApiKey::ALL.iter().map(|&api| (api, api.versions())).collect::<Vec<_>>())
}

pub(crate) fn versions(served: &[(ApiKey, Versions)]) -> ApiVersionsResponse {
    let api_keys = served.iter().map(|(api_key, versions)| ApiVersion {
        api_key: api_key.code(),
        min_version: versions.min,
        max_version: versions.max,
    });
    ApiVersionsResponse {
        error_code: ErrorCode::None,
        api_keys: api_keys.collect(),
        ..Default::default()
    }
}

async fn serve(stream: TcpStream, script: Script) {
    let mut received = BytesMut::new();
    loop {
        received.reserve(4096);
        let (result, buf) = stream.receive(received).await;
        received = buf;
        if !result.is_ok_and(|count| 0 < count) {
            return;
        }
        while let Some(prefix) = received.first_chunk() {
            let size_bytes = frame_size_bytes(*prefix, 1 << 20).unwrap();
            if received.len() < 4 + size_bytes {
                break;
            }
            received.advance(4);
            let frame = received.split_to(size_bytes).freeze();
            let (header, request) = decode_request(&frame).unwrap();
            let acts = script.borrow_mut()(header, request);
            for act in acts {
                match act {
                    Act::Answer(header, response) => {
                        let (version, id) = (header.api_version, header.correlation_id);
                        let frame = response.encode(version, id).unwrap();
                        let pieces = frame.pieces.into_iter().map(|piece| match piece {
                            Piece::Bytes(bytes) => bytes,
                            Piece::External { .. } => unreachable!("no test makes any"),
                        });
                        stream.send_all(pieces.collect()).await.unwrap();
                    }
                    Act::Bytes(bytes) => stream.send_all(vec![bytes]).await.unwrap(),
                    Act::Close => return,
                }
            }
        }
    }
}

pub(crate) const TOPIC: &str = "orders";
pub(crate) const GROUP: &str = "billing";

pub(crate) fn run(test: impl Future<Output = ()> + 'static) {
    runtime::block_on(test).unwrap();
}

pub(crate) async fn cluster(address: SocketAddr) -> Cluster {
    let options = ClusterOptions {
        connection: ConnectionOptions::new(Text::from_static("test")),
        resolve: resolve_literal,
        retry_for: Duration::from_secs(5),
    };
    Cluster::connect(vec![address.to_string().parse().unwrap()], options).await.unwrap()
}

/// Metadata of a topic with one partition, led by the broker whose index in `brokers` is `leader`.
pub(crate) fn metadata(header: RequestHeader, brokers: &[SocketAddr], leader: usize) -> Vec<Act> {
    let nodes = (0..).zip(brokers).map(|(node, address)| MetadataResponseBroker {
        node_id: BrokerId(node),
        host: Text::from(address.ip().to_string()),
        port: i32::from(address.port()),
        rack: None,
    });
    let response = MetadataResponse {
        brokers: nodes.collect(),
        controller_id: BrokerId(0),
        topics: vec![MetadataResponseTopic {
            name: Some(Text::from_static(TOPIC)),
            partitions: vec![MetadataResponsePartition {
                leader_id: BrokerId(i32::try_from(leader).unwrap()),
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    };
    vec![Act::Answer(header, response.into())]
}

/// A cluster of one broker that plays a script; who it is it says itself when it is asked for no
/// topic.
pub(crate) async fn cluster_of_one(
    script: impl FnMut(RequestHeader, Request, &[SocketAddr]) -> Vec<Act> + 'static,
) -> Cluster {
    cluster_up_to(&[], script).await
}

/// As [`cluster_of_one`], of a broker that speaks these APIs only up to these versions, and not at
/// all up to -1.
pub(crate) async fn cluster_up_to(
    limits: &'static [(ApiKey, i16)],
    mut script: impl FnMut(RequestHeader, Request, &[SocketAddr]) -> Vec<Act> + 'static,
) -> Cluster {
    let own: Rc<RefCell<Vec<SocketAddr>>> = Rc::default();
    let brokers = own.clone();
    let address = broker(move |header, request| match request {
        Request::ApiVersions(_) => answer(header, versions(&limited(limits))),
        Request::Metadata(MetadataRequest { topics: Some(topics), .. }) if topics.is_empty() => {
            metadata(header, &brokers.borrow(), 0)
        }
        request => script(header, request, &brokers.borrow()),
    })
    .await;
    own.borrow_mut().push(address);
    cluster(address).await
}

fn limited(limits: &[(ApiKey, i16)]) -> Vec<(ApiKey, Versions)> {
    let served = ApiKey::ALL.iter().filter_map(|&api_key| {
        let ours = api_key.versions();
        let limit = limits.iter().find(|(limited, _)| *limited == api_key);
        let max = limit.map_or(ours.max, |(_, max)| *max);
        (ours.min <= max).then(|| (api_key, Versions::new(ours.min, max)))
    });
    served.collect()
}

/// Says that the broker of this number and place looks after the group.
pub(crate) fn coordinator(
    header: RequestHeader,
    request: &FindCoordinatorRequest,
    node_id: i32,
    address: SocketAddr,
) -> Vec<Act> {
    let (host, port) = (Text::from(address.ip().to_string()), i32::from(address.port()));
    let node_id = BrokerId(node_id);
    let mut response = FindCoordinatorResponse::default();
    if header.api_version < 4 {
        assert_eq!((request.key.as_str(), request.key_type), (GROUP, 0));
        (response.node_id, response.host, response.port) = (node_id, host, port);
    } else {
        assert_eq!((&request.coordinator_keys[..], request.key_type), (&[GROUP.into()][..], 0));
        let key = Text::from_static(GROUP);
        response.coordinators =
            vec![Coordinator { key, node_id, host, port, ..Default::default() }];
    }
    answer(header, response)
}

pub(crate) fn answer(header: RequestHeader, response: impl Into<Response>) -> Vec<Act> {
    vec![Act::Answer(header, response.into())]
}

/// Counts how often it is called.
pub(crate) fn counter() -> (Rc<Cell<usize>>, impl Fn()) {
    let count = Rc::new(Cell::new(0));
    let own = count.clone();
    (count, move || own.set(own.get() + 1))
}

pub(crate) fn node(address: SocketAddr) -> MetadataResponseBroker {
    MetadataResponseBroker {
        node_id: BrokerId(0),
        host: Text::from(address.ip().to_string()),
        port: i32::from(address.port()),
        rack: None,
    }
}
