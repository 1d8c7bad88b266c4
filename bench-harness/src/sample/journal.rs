//! What a broker says of its journal: counters read from its metrics, where it has some.
//!
//! Guarantees: a broker without metrics, or without these, is no error; a broker that does not
//! answer is asked a few times and then left alone. Does not know: which broker it is.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How long a broker may take to answer; it is under load.
const ANSWER_MAX: Duration = Duration::from_millis(200);
/// More is not read.
const ANSWER_SIZE_BYTES_MAX: u64 = 16 << 20;
/// Questions without an answer, one after the other, after which there are no more.
const FAILURES_MAX: u32 = 3;

/// Counters since the broker was started, over all cores and streams; none is not told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct JournalCounters {
    pub commits: Option<u64>,
    pub commit_bytes: Option<u64>,
    pub commit_records: Option<u64>,
    pub flushes: Option<u64>,
}

/// What a journal did in some time, as its broker tells it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct JournalUse {
    pub seconds: f64,
    #[serde(flatten)]
    pub counters: JournalCounters,
}

impl JournalCounters {
    /// Out of the text that Prometheus reads; none if there is nothing of a journal in it.
    pub fn parse(text: &str) -> Option<JournalCounters> {
        let counters = JournalCounters {
            commits: sum(text, "highwater_journal_commits_total"),
            commit_bytes: sum(text, "highwater_journal_commit_bytes_total"),
            commit_records: sum(text, "highwater_journal_commit_records_total"),
            flushes: sum(text, "highwater_journal_flushes_total"),
        };
        (counters != JournalCounters::default()).then_some(counters)
    }

    /// What was added since `before`.
    pub fn since(self, before: JournalCounters) -> JournalCounters {
        let added = |now: Option<u64>, then: Option<u64>| Some(now?.saturating_sub(then?));
        JournalCounters {
            commits: added(self.commits, before.commits),
            commit_bytes: added(self.commit_bytes, before.commit_bytes),
            commit_records: added(self.commit_records, before.commit_records),
            flushes: added(self.flushes, before.flushes),
        }
    }
}

impl JournalUse {
    pub fn commits_per_s(&self) -> Option<f64> {
        Some(self.counters.commits? as f64 / self.seconds.max(1e-9))
    }

    pub fn records_per_commit(&self) -> Option<f64> {
        ratio(self.counters.commit_records, self.counters.commits)
    }

    pub fn bytes_per_commit(&self) -> Option<f64> {
        ratio(self.counters.commit_bytes, self.counters.commits)
    }
}

fn ratio(of: Option<u64>, by: Option<u64>) -> Option<f64> {
    let by = by.filter(|by| 0 < *by)?;
    Some(of? as f64 / by as f64)
}

/// The sum of a metric over all of its labels; none if it is not there.
fn sum(text: &str, name: &str) -> Option<u64> {
    let values = text.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        let value = match rest.strip_prefix('{') {
            // A label's value may have any character in it; a value has no brace.
            Some(labelled) => labelled.rsplit_once('}')?.1,
            None => rest.strip_prefix(' ')?,
        };
        // A time may follow.
        value.split_whitespace().next()?.parse::<f64>().ok()
    });
    let values: Vec<f64> = values.filter(|value| value.is_finite() && 0.0 <= *value).collect();
    (!values.is_empty()).then(|| crate::units::whole(values.iter().sum()))
}

/// Asks one broker for its metrics.
#[derive(Debug)]
pub(super) struct Scraper {
    address: Option<SocketAddr>,
    failures: u32,
}

impl Scraper {
    pub(super) fn new(address: Option<SocketAddr>) -> Scraper {
        Scraper { address, failures: 0 }
    }

    pub(super) fn read(&mut self) -> Option<JournalCounters> {
        let address = self.address.filter(|_| self.failures < FAILURES_MAX)?;
        let counters = ask(address).ok().as_deref().and_then(JournalCounters::parse);
        self.failures = if counters.is_some() { 0 } else { self.failures + 1 };
        counters
    }
}

fn ask(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, ANSWER_MAX)?;
    stream.set_read_timeout(Some(ANSWER_MAX))?;
    stream.set_write_timeout(Some(ANSWER_MAX))?;
    // The old version, so that the end of the answer is the end of the connection.
    write!(stream, "GET /metrics HTTP/1.0\r\nHost: {address}\r\n\r\n")?;
    let mut answer = Vec::new();
    let end = stream.take(ANSWER_SIZE_BYTES_MAX).read_to_end(&mut answer);
    // What came before a rude end is as good.
    if answer.is_empty() {
        end?;
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
