//! Tests of one connection, against a broker that plays a script.

use std::cell::RefCell;

use bytes::Bytes;
use wire::{
    ApiVersionsResponse, DescribeClusterRequest, DescribeClusterResponse, ErrorCode,
    MetadataRequest, ProduceRequest, Request, RequestHeader, Response, Versions,
};

use super::*;
use crate::testing::{Act, broker, modern_broker, versions};

fn run(test: impl Future<Output = ()> + 'static) {
    runtime::block_on(test).unwrap();
}

fn options() -> ConnectionOptions {
    ConnectionOptions::new(Text::from_static("test"))
}

async fn connect(address: SocketAddr) -> Connection {
    Connection::connect(address, options()).await.unwrap()
}

/// A question that is told apart by nothing, and an answer that is told apart by its throttle time.
fn question() -> DescribeClusterRequest {
    DescribeClusterRequest::default()
}

fn answer(number: i32) -> Response {
    DescribeClusterResponse { throttle_time_ms: number, ..Default::default() }.into()
}

#[test]
fn every_api_is_spoken_at_the_latest_version_of_both_sides() {
    run(async {
        let seen = Rc::new(RefCell::new(Vec::new()));
        let log = seen.clone();
        let address = broker(move |header, request| match request {
            Request::ApiVersions(_) => {
                let served = [
                    (ApiKey::ApiVersions, Versions::new(0, 4)),
                    (ApiKey::Metadata, Versions::new(0, 9)),
                    (ApiKey::DescribeCluster, Versions::new(0, 7)),
                    (ApiKey::Fetch, Versions::new(90, 99)),
                ];
                vec![Act::Answer(header, versions(&served).into())]
            }
            Request::Metadata(_) => {
                log.borrow_mut().push(header.api_version);
                vec![Act::Answer(header, wire::MetadataResponse::default().into())]
            }
            _ => {
                log.borrow_mut().push(header.api_version);
                vec![Act::Answer(header, answer(0))]
            }
        })
        .await;
        let connection = connect(address).await;
        connection.call(&MetadataRequest::default()).await.unwrap();
        connection.call(&question()).await.unwrap();
        assert_eq!(*seen.borrow(), [9, 1]);
        assert_eq!(
            connection.version(ApiKey::ListOffsets).unwrap_err().to_string(),
            "the broker does not speak ListOffsets, of which versions 1-9 are known here"
        );
        assert_eq!(
            connection.version(ApiKey::Fetch).unwrap_err().to_string(),
            "Fetch: the broker speaks versions 90-99, 4-17 are known here"
        );
    });
}

#[test]
fn a_broker_that_is_older_is_asked_again_as_it_wishes() {
    run(async {
        let asked = Rc::new(RefCell::new(Vec::new()));
        let log = asked.clone();
        let address = broker(move |header: RequestHeader, _| {
            log.borrow_mut().push(header.api_version);
            let served = versions(&[(ApiKey::ApiVersions, Versions::new(0, 2))]);
            if header.api_version <= 2 {
                return vec![Act::Answer(header, served.into())];
            }
            // The refusal is always written at version 0.
            let refusal =
                ApiVersionsResponse { error_code: ErrorCode::UnsupportedVersion, ..served };
            vec![Act::Answer(RequestHeader { api_version: 0, ..header }, refusal.into())]
        })
        .await;
        let connection = connect(address).await;
        assert_eq!(*asked.borrow(), [4, 2]);
        assert_eq!(connection.version(ApiKey::ApiVersions), Ok(2));
    });
}

#[test]
fn requests_are_pipelined_and_each_gets_its_own_answer() {
    run(async {
        let mut held = Vec::new();
        let address = modern_broker(move |header, _| {
            held.push(header);
            if held.len() < 3 {
                return vec![];
            }
            let answers = held.drain(..).zip(10..);
            answers.map(|(header, number)| Act::Answer(header, answer(number))).collect()
        })
        .await;
        let connection = connect(address).await;
        let started: Vec<_> = (0..3).map(|_| connection.start(&question()).unwrap()).collect();
        let mut numbers = Vec::new();
        for answer in started {
            let answered = answer.await.unwrap();
            assert!(answered.begun_at <= answered.written_at);
            assert!(answered.written_at <= answered.answered_at);
            numbers.push(answered.response.throttle_time_ms);
        }
        assert_eq!(numbers, [10, 11, 12]);
    });
}

#[test]
fn an_answer_to_another_question_ends_the_connection_for_all() {
    run(async {
        let address = modern_broker(|header, _| {
            let wrong = RequestHeader { correlation_id: header.correlation_id + 1, ..header };
            vec![Act::Answer(wrong, answer(1))]
        })
        .await;
        let connection = connect(address).await;
        let first = connection.start(&question()).unwrap();
        let second = connection.start(&question()).unwrap();
        let end = ConnectionEnd::WrongAnswer { expected: 1, found: 2 };
        assert_eq!(first.await.unwrap_err(), CallError::Ended(end));
        assert_eq!(second.await.unwrap_err(), CallError::Ended(end));
        assert_eq!(connection.start(&question()).unwrap_err(), CallError::Ended(end));
    });
}

#[test]
fn when_the_broker_closes_everybody_hears_it() {
    run(async {
        let address = modern_broker(|_, _| vec![Act::Close]).await;
        let connection = connect(address).await;
        let waiting: Vec<_> = (0..3).map(|_| connection.start(&question()).unwrap()).collect();
        for answer in waiting {
            assert_eq!(answer.await.unwrap_err().to_string(), "the broker closed the connection");
        }
        assert_eq!(connection.end(), Some(ConnectionEnd::ClosedByBroker));
    });
}

#[test]
fn a_request_without_an_answer_in_time_ends_the_connection() {
    run(async {
        let address = modern_broker(|_, _| vec![]).await;
        let request_timeout = Duration::from_millis(16);
        let options = ConnectionOptions { request_timeout, ..options() };
        let connection = Connection::connect(address, options).await.unwrap();
        let error = connection.call(&question()).await.unwrap_err();
        assert!(
            matches!(
                error,
                CallError::Ended(ConnectionEnd::TimedOut {
                    api_key: ApiKey::DescribeCluster,
                    waited_ms: 16..
                })
            ),
            "{error}"
        );
    });
}

#[test]
fn no_more_requests_are_in_flight_than_allowed() {
    run(async {
        let mut held = Vec::new();
        let address = modern_broker(move |header, _| {
            held.push(header);
            if held.len() < 2 {
                return vec![];
            }
            held.drain(..).map(|header| Act::Answer(header, answer(0))).collect()
        })
        .await;
        let options = ConnectionOptions { in_flight_max: 2, ..options() };
        let connection = Connection::connect(address, options).await.unwrap();
        let first = connection.start(&question()).unwrap();
        let second = connection.start(&question()).unwrap();
        let busy = connection.start(&question()).unwrap_err();
        assert_eq!(busy.to_string(), "2 requests are in flight, and no more are allowed");
        // Who can wait gets room as soon as there is some.
        let patient = connection.clone();
        let patient = spawn(async move { patient.start_when_possible().await });
        first.await.unwrap();
        second.await.unwrap();
        assert!(patient.await.is_ok());
    });
}

impl Connection {
    /// Starts once there is room; the answer is not waited for.
    async fn start_when_possible(&self) -> Result<(), CallError> {
        let room = self.inner.transport.room().await;
        self.inner.transport.start(0, &question(), room).map(drop)
    }
}

#[test]
fn a_posted_request_is_written_and_gets_no_answer() {
    run(async {
        let seen = Rc::new(RefCell::new(0));
        let count = seen.clone();
        let address = modern_broker(move |header, request| match request {
            Request::Produce(_) => {
                *count.borrow_mut() += 1;
                vec![]
            }
            _ => vec![Act::Answer(header, answer(7))],
        })
        .await;
        let connection = connect(address).await;
        let post = ProduceRequest { acks: 0, ..Default::default() };
        let (begun_at, written_at) = connection.post(&post).unwrap().await.unwrap();
        assert!(begun_at <= written_at);
        assert_eq!(connection.unsent_bytes(), 0);
        // A question after it finds its own answer; by then the post has been read.
        assert_eq!(connection.call(&question()).await.unwrap().throttle_time_ms, 7);
        assert_eq!(*seen.borrow(), 1);
    });
}

#[test]
fn an_answer_that_is_too_large_ends_the_connection() {
    run(async {
        let address =
            modern_broker(|_, _| vec![Act::Bytes(Bytes::from_static(&[0, 0x10, 0, 0, 0]))]).await;
        let options = ConnectionOptions { frame_size_bytes_max: 1 << 16, ..options() };
        let connection = Connection::connect(address, options).await.unwrap();
        assert_eq!(
            connection.call(&question()).await.unwrap_err().to_string(),
            "the broker sent what is no answer: frame of 1048576 bytes, at most 65536 accepted"
        );
    });
}

#[test]
fn answers_in_pieces_of_any_size_are_put_together() {
    run(async {
        let address = modern_broker(|header, _| {
            let frame = answer(5).encode(header.api_version, header.correlation_id).unwrap();
            let bytes = frame.contiguous().unwrap();
            bytes.chunks(1).map(|byte| Act::Bytes(Bytes::copy_from_slice(byte))).collect()
        })
        .await;
        let connection = connect(address).await;
        for _ in 0..3 {
            assert_eq!(connection.call(&question()).await.unwrap().throttle_time_ms, 5);
        }
    });
}

#[test]
fn nobody_listens() {
    run(async {
        let local = SocketAddr::from((core::net::Ipv4Addr::LOCALHOST, 0));
        let free = runtime::claim_port(local).await.unwrap();
        let error = Connection::connect(free, options()).await.unwrap_err();
        assert!(matches!(error, ConnectError::Refused { .. }), "{error}");
    });
}
