//! What a user writes behind `highwater produce` and `highwater consume`.

use std::time::Duration;

use clap::{Args, builder::PossibleValuesParser, builder::TypedValueParser};
use client::Host;
use model::record_batch::Compression;
use model::{Offset, PartitionIndex, Timestamp};

use super::{duration, offset, partition};
use crate::cli::consume::Format;
use crate::cli::moment;

const PRODUCE_EXIT_CODES: &str = "Exit codes:
  0  every record is acknowledged
  1  some are not, and the error output says which
  2  the command line is not understood";

const CONSUME_EXIT_CODES: &str = "Exit codes:
  0  all of it is read, or whoever read the output has had enough
  1  some of it is not, and the error output says why
  2  the command line is not understood";

const FORMAT: &str = "The format, which is kcat's:
  %s  value     %S  its size, -1 if there is none    %R  the size as 4 bytes, high byte first
  %k  key       %K  its size, -1 if there is none
  %t  topic     %p  partition    %o  offset
  %T  timestamp in milliseconds  %h  headers, as name=value,name=value
  %%  a percent sign    \\n \\r \\t \\\\  as usual    \\xNN  a byte in hexadecimal";

#[derive(Args, Debug)]
pub(in crate::cli) struct BrokerArgs {
    /// Brokers to ask first, separated by commas.
    #[arg(long, value_delimiter = ',', value_name = "HOST:PORT", default_value = "127.0.0.1:9092")]
    pub(in crate::cli) bootstrap: Vec<Host>,
    /// How long a broker may take for an answer, and errors that may pass may last, for example
    /// 500ms, 30s or 2m.
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "30s")]
    pub(in crate::cli) timeout: Duration,
}

#[derive(Args, Debug)]
#[command(after_help = PRODUCE_EXIT_CODES)]
pub(crate) struct ProduceArgs {
    #[command(flatten)]
    pub(in crate::cli) brokers: BrokerArgs,
    /// The topic's name.
    pub(in crate::cli) topic: String,
    /// What stands between key and value in a line; what has none of it has no key.
    #[arg(long, value_name = "TEXT", value_parser = separator)]
    pub(in crate::cli) key_separator: Option<String>,
    /// All to this partition. Otherwise records with a key go where Java's producers put them, and
    /// others to one partition after the other.
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = partition)]
    pub(in crate::cli) partition: Option<PartitionIndex>,
    /// A header of every record; may be given several times.
    #[arg(long, value_name = "NAME=VALUE", value_parser = header)]
    pub(in crate::cli) header: Vec<(String, String)>,
    /// How batches are compressed.
    #[arg(
        long,
        value_name = "CODEC",
        default_value = "none",
        value_parser = PossibleValuesParser::new(Compression::ALL.map(Compression::name))
            .map(|name| compression(&name))
    )]
    pub(in crate::cli) compression: Compression,
    /// Whose acknowledgement is waited for: of all replicas in sync, of the leader (1), or of
    /// nobody (0).
    #[arg(
        long,
        default_value = "all",
        value_parser = PossibleValuesParser::new(["all", "1", "0"]).map(|name| acks(&name))
    )]
    pub(in crate::cli) acks: i16,
}

#[derive(Args, Debug)]
#[command(after_help = format!("{FORMAT}\n\n{CONSUME_EXIT_CODES}"))]
pub(crate) struct ConsumeArgs {
    #[command(flatten)]
    pub(in crate::cli) brokers: BrokerArgs,
    /// The topic's name.
    pub(in crate::cli) topic: String,
    /// Only this partition; may be given several times. All, if not given.
    #[arg(
        long,
        value_name = "N",
        allow_negative_numbers = true,
        value_parser = partition,
        conflicts_with = "group"
    )]
    pub(in crate::cli) partition: Vec<PartitionIndex>,
    /// Where to begin: earliest, latest, an offset, or @ and a time: milliseconds, or for example
    /// 2026-11-28T09:30:00Z. With a group, where it has not read anything yet.
    #[arg(
        long,
        value_name = "WHERE",
        default_value = "earliest",
        allow_negative_numbers = true,
        value_parser = from
    )]
    pub(in crate::cli) from: From,
    /// Where to end, before what is there: `end`, which is where the log ends now, an offset, or @
    /// and a time, as above. Never, if not given.
    #[arg(long, value_name = "WHERE", allow_negative_numbers = true, value_parser = until)]
    pub(in crate::cli) until: Option<Until>,
    /// End after so many records.
    #[arg(long, value_name = "N")]
    pub(in crate::cli) count: Option<u64>,
    /// How a record is written; see below.
    #[arg(long, value_name = "FORMAT", default_value = "%s\\n", value_parser = Format::parse)]
    pub(in crate::cli) format: Format,
    /// Read as a member of this group, with others, and commit how far.
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) group: Option<String>,
    /// Write each record as a JSON document, in a line.
    #[arg(long, conflicts_with = "format")]
    pub(in crate::cli) json: bool,
}

/// Where to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum From {
    Earliest,
    Latest,
    Offset(Offset),
    Time(Timestamp),
}

/// Where to end: before this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Until {
    /// Where the log ends when it is looked at first.
    End,
    Offset(Offset),
    Time(Timestamp),
}

fn compression(name: &str) -> Compression {
    let found = Compression::ALL.into_iter().find(|it| it.name() == name);
    found.expect("the parser lets no other name through")
}

fn acks(name: &str) -> i16 {
    match name {
        "1" => 1,
        "0" => 0,
        _ => -1,
    }
}

fn separator(text: &str) -> Result<String, String> {
    match text {
        "" => Err("write what stands between key and value, for example `:`".to_owned()),
        text => Ok(text.to_owned()),
    }
}

/// `NAME=VALUE`; the value may have more of `=`, or be empty.
fn header(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE, for example source=import".to_owned()),
    }
}

fn from(text: &str) -> Result<From, String> {
    match text {
        "earliest" => Ok(From::Earliest),
        "latest" => Ok(From::Latest),
        _ => match (text.strip_prefix('@').map(time), offset(text)) {
            (Some(time), _) => time.map(From::Time),
            (None, Ok(offset)) => Ok(From::Offset(offset)),
            (None, Err(_)) => {
                Err("write earliest, latest, an offset from 0 on, or @ and a time".to_owned())
            }
        },
    }
}

fn until(text: &str) -> Result<Until, String> {
    match text {
        "end" => Ok(Until::End),
        _ => match (text.strip_prefix('@').map(time), offset(text)) {
            (Some(time), _) => time.map(Until::Time),
            (None, Ok(offset)) => Ok(Until::Offset(offset)),
            (None, Err(_)) => Err("write end, an offset from 0 on, or @ and a time".to_owned()),
        },
    }
}

/// Milliseconds since 1970, or RFC 3339.
fn time(text: &str) -> Result<Timestamp, String> {
    match text.parse() {
        Ok(ms) if 0 <= ms => Ok(Timestamp(ms)),
        _ => moment::rfc3339(text)
            .map_err(|error| format!("write milliseconds from 0 on; or {error}")),
    }
}
