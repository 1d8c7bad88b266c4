//! A broker as a child process, and a client that says exactly what a test wants said.

#![allow(dead_code, reason = "every test program uses a part of it")]

pub(crate) mod tool;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use model::record_batch::{BatchBuilder, NewRecord, ProducerStamp};
use model::{PartitionIndex, Timestamp};
use wire::produce::{PartitionProduceData, TopicProduceData};
use wire::{
    FRAME_PREFIX_SIZE_BYTES, MetadataRequest, ProduceRequest, RequestMessage, Text,
    decode_response, encode_request,
};

const READY_MAX: Duration = Duration::from_secs(30);
const END_MAX: Duration = Duration::from_secs(20);
const ANSWER_MAX: Duration = Duration::from_secs(20);

/// A directory for one test, removed at its end.
pub(crate) struct Directory(pub(crate) PathBuf);

impl Directory {
    pub(crate) fn new() -> Directory {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("server-{}-{number}", std::process::id());
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&path).unwrap();
        Directory(path)
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.0.join("data")
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A running broker; killed when it is dropped.
pub(crate) struct Broker {
    child: Child,
    pub(crate) address: SocketAddr,
}

pub(crate) fn command(data_dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_highwater"));
    command.arg("serve").arg("--data-dir").arg(data_dir).args(arguments);
    if !arguments.contains(&"--listen") {
        command.args(["--listen", "127.0.0.1:0"]);
    }
    command.stdin(Stdio::null());
    command
}

impl Broker {
    pub(crate) fn start(data_dir: &Path, arguments: &[&str]) -> Broker {
        Broker::start_with(&mut command(data_dir, arguments))
    }

    pub(crate) fn start_with(command: &mut Command) -> Broker {
        Broker::try_start(command).unwrap_or_else(|why| panic!("{why}"))
    }

    /// The error is what it says and how it ends instead of being ready.
    pub(crate) fn try_start(command: &mut Command) -> Result<Broker, String> {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        let begun = Instant::now();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(begun.elapsed() < READY_MAX, "a start takes less");
        let address = line.strip_prefix("ready ").map(str::trim);
        let Some(address) = address.and_then(|address| address.parse().ok()) else {
            let _ = child.kill();
            let end = child.wait();
            return Err(format!("the broker does not say that it is ready, but {line:?}: {end:?}"));
        };
        Ok(Broker { child, address })
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it with SIGTERM.
    pub(crate) fn stop(mut self) -> ExitStatus {
        let pid = nix::unistd::Pid::from_raw(self.child.id().try_into().unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
        wait(&mut self.child)
    }

    pub(crate) fn connect(&self) -> Client {
        Client::connect(self.address)
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn wait(child: &mut Child) -> ExitStatus {
    let deadline = Instant::now() + END_MAX;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        assert!(Instant::now() < deadline, "the broker does not end");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Runs a broker that is expected not to start. Returns what it says.
pub(crate) fn refused_start(data_dir: &Path, arguments: &[&str]) -> String {
    let mut child =
        command(data_dir, arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let status = wait(&mut child);
    let mut text = String::new();
    child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(status.code(), Some(1), "{text}");
    text
}

/// One connection, one request after the other unless the test says otherwise.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    next_correlation_id: i32,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Client {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(ANSWER_MAX)).unwrap();
        Client::of(stream)
    }

    pub(crate) fn of(stream: TcpStream) -> Client {
        Client { stream, next_correlation_id: 0 }
    }

    /// Sends a request and returns its correlation id.
    pub(crate) fn send<R: RequestMessage>(&mut self, version: i16, request: &R) -> i32 {
        self.next_correlation_id += 1;
        let client_id = Some(Text::from_static("test"));
        let frame = encode_request(version, self.next_correlation_id, client_id, request).unwrap();
        self.send_bytes(&frame.contiguous().unwrap());
        self.next_correlation_id
    }

    pub(crate) fn send_bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// The next frame, without its size.
    pub(crate) fn receive_frame(&mut self) -> Bytes {
        let mut prefix = [0; FRAME_PREFIX_SIZE_BYTES];
        self.stream.read_exact(&mut prefix).unwrap();
        let mut frame = vec![0; usize::try_from(i32::from_be_bytes(prefix)).unwrap()];
        self.stream.read_exact(&mut frame).unwrap();
        Bytes::from(frame)
    }

    /// The next frame, or none if the broker has ended the connection. An error if neither comes.
    pub(crate) fn try_receive_frame(&mut self) -> Result<Option<Bytes>, String> {
        let mut prefix = [0; FRAME_PREFIX_SIZE_BYTES];
        match self.stream.read_exact(&mut prefix) {
            Ok(()) => {}
            Err(error) if is_end(&error) => return Ok(None),
            Err(error) => return Err(error.to_string()),
        }
        let mut frame = vec![0; usize::try_from(i32::from_be_bytes(prefix)).unwrap()];
        self.stream.read_exact(&mut frame).map_err(|error| error.to_string())?;
        Ok(Some(Bytes::from(frame)))
    }

    pub(crate) fn receive<R: RequestMessage>(&mut self, version: i16) -> (i32, R::Response) {
        decode_response(version, &self.receive_frame()).unwrap()
    }

    pub(crate) fn call<R: RequestMessage>(&mut self, version: i16, request: &R) -> R::Response {
        let sent = self.send(version, request);
        let (received, response) = self.receive::<R>(version);
        assert_eq!(received, sent, "answers come in the order of the requests");
        response
    }

    /// Whether the broker has ended the connection.
    pub(crate) fn is_closed(&mut self) -> bool {
        let mut byte = [0];
        match self.stream.read(&mut byte) {
            Ok(count) => count == 0,
            Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    }

    /// Makes the broker create a topic, as clients do.
    pub(crate) fn auto_create(&mut self, topic: &'static str) -> wire::MetadataResponse {
        let asked = wire::metadata::MetadataRequestTopic {
            name: Some(Text::from_static(topic)),
            ..Default::default()
        };
        let request = MetadataRequest { topics: Some(vec![asked]), ..Default::default() };
        let response = self.call(12, &request);
        assert!(!response.topics[0].error_code.is_error(), "{:?}", response.topics[0]);
        response
    }
}

fn is_end(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionReset | UnexpectedEof)
}

/// A batch of records with these values.
pub(crate) fn batch(values: &[&[u8]], timestamp: i64, stamp: ProducerStamp) -> Bytes {
    let mut builder = BatchBuilder::new();
    for value in values {
        let record = NewRecord {
            timestamp: Timestamp(timestamp),
            key: None,
            value: Some(value),
            headers: &[],
        };
        builder.push(&record);
    }
    Bytes::from(builder.finish(stamp))
}

pub(crate) fn now_ms() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(now.as_millis()).unwrap()
}

/// A produce request for one partition.
pub(crate) fn produce(
    topic: &'static str,
    partition: i32,
    acks: i16,
    batch: Bytes,
) -> ProduceRequest {
    let partition_data =
        PartitionProduceData { index: PartitionIndex(partition), records: Some(batch) };
    ProduceRequest {
        transactional_id: None,
        acks,
        timeout_ms: 10_000,
        topic_data: vec![TopicProduceData {
            name: Text::from_static(topic),
            partition_data: vec![partition_data],
        }],
    }
}

/// An address that nobody listens on.
pub(crate) fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// What is answered over HTTP, with its head.
pub(crate) fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

/// The sum of a metric's samples with this label.
pub(crate) fn metric(text: &str, name: &str, label: &str) -> f64 {
    let lines = text
        .lines()
        .filter(|line| line.split(['{', ' ']).next() == Some(name) && line.contains(label));
    lines.map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()).sum()
}
