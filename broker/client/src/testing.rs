//! A broker that plays a script: what it answers, and when, is up to the test.

use core::net::{Ipv4Addr, SocketAddr};
use std::cell::RefCell;
use std::rc::Rc;

use bytes::{Buf, Bytes, BytesMut};
use runtime::{TcpListener, TcpStream, spawn};
use wire::api_versions::ApiVersion;
use wire::{
    ApiKey, ApiVersionsResponse, ErrorCode, Piece, Request, RequestHeader, Response, Versions,
    decode_request, frame_size_bytes,
};

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
