//! The metrics over HTTP: enough of it for Prometheus and for a person with curl.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use runtime::sync::budget::Budget;
use runtime::{CoreId, TcpListener, TcpStream};

use super::{TopicNames, text};
use crate::call::{CoreAnswer, CoreRequest};
use crate::core::Core;

const REQUEST_BYTES_MAX: usize = 8 << 10;
const REQUEST_TIME_MAX: Duration = Duration::from_secs(5);
/// At a time.
const REQUESTS_MAX: usize = 4;

/// Answers until the core ends. Lives on core 0.
pub(crate) async fn serve(core: Rc<Core>, address: SocketAddr) -> std::io::Result<()> {
    let listener = TcpListener::bind_alone(address).await?;
    let turns = Budget::new(REQUESTS_MAX);
    runtime::spawn(async move {
        loop {
            let turn = turns.take(1).await;
            let Ok((stream, _)) = listener.accept().await else {
                runtime::sleep(Duration::from_millis(20)).await;
                continue;
            };
            let core = core.clone();
            runtime::spawn(async move {
                let _turn = turn;
                let _ = runtime::timeout(REQUEST_TIME_MAX, answer(&core, &stream)).await;
                let _ = stream.shutdown().await;
            });
        }
    });
    Ok(())
}

async fn answer(core: &Rc<Core>, stream: &TcpStream) -> std::io::Result<()> {
    let mut request = BytesMut::with_capacity(REQUEST_BYTES_MAX);
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        if request.len() == REQUEST_BYTES_MAX {
            return Ok(());
        }
        let (count, buf) = stream.receive(request).await;
        request = buf;
        if count? == 0 {
            return Ok(());
        }
    }
    let mut words = request[..].split(|byte| *byte == b' ');
    let (status, body) = match (words.next(), words.next()) {
        (Some(b"GET"), Some(b"/metrics")) => ("200 OK", collect(core).await),
        (Some(b"GET"), Some(_)) => ("404 Not Found", "only /metrics is here\n".to_owned()),
        _ => ("405 Method Not Allowed", "only GET is allowed\n".to_owned()),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.send_all(vec![Bytes::from(head), Bytes::from(body)]).await
}

async fn collect(core: &Rc<Core>) -> String {
    let mut metrics = Vec::new();
    for number in 0..core.cores_count {
        if let CoreAnswer::Metrics(of) = core.call(CoreId(number), CoreRequest::Metrics).await {
            metrics.push(of);
        }
    }
    let image = core.image();
    let names: TopicNames = image.topics().map(|topic| (topic.id, topic.name.clone())).collect();
    text::exposition(&metrics, &names)
}
