//! How a record is written: by kcat's format language, or as JSON.
//!
//! Guarantees: keys and values are written as the bytes that they are; JSON has every field, always.
//! Does not know: where it is written to.

use std::io::Write;

use model::record_batch::{Record, RecordHeader, TimestampType};
use model::{Offset, PartitionIndex};
use serde::Serialize;

/// A record and where it is from.
#[derive(Clone, Copy, Debug)]
pub(in crate::cli) struct Shown<'a> {
    pub(in crate::cli) topic: &'a str,
    pub(in crate::cli) partition: PartitionIndex,
    pub(in crate::cli) offset: Offset,
    pub(in crate::cli) timestamp_type: TimestampType,
    pub(in crate::cli) record: &'a Record<'a>,
}

/// What a format consists of.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Bytes(Vec<u8>),
    Value,
    ValueSize,
    /// Of the value, in 4 bytes.
    ValueSizeBinary,
    Key,
    KeySize,
    Topic,
    Partition,
    Offset,
    Timestamp,
    Headers,
}

/// How records are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct Format(Vec<Part>);

impl Format {
    /// Reads what a user has written.
    pub(in crate::cli) fn parse(text: &str) -> Result<Format, String> {
        let mut parts: Vec<Part> = Vec::new();
        let mut literal = Vec::new();
        let mut rest = text.chars();
        while let Some(c) = rest.next() {
            let part = match c {
                '%' => match rest.next() {
                    Some('%') => {
                        literal.push(b'%');
                        continue;
                    }
                    c => part_of(c)?,
                },
                '\\' => {
                    literal.push(escaped(&mut rest)?);
                    continue;
                }
                c => {
                    literal.extend(c.encode_utf8(&mut [0; 4]).as_bytes());
                    continue;
                }
            };
            if !literal.is_empty() {
                parts.push(Part::Bytes(std::mem::take(&mut literal)));
            }
            parts.push(part);
        }
        if !literal.is_empty() {
            parts.push(Part::Bytes(literal));
        }
        Ok(Format(parts))
    }

    pub(in crate::cli) fn write(&self, shown: &Shown<'_>, out: &mut Vec<u8>) {
        let Shown { topic, partition, offset, record, .. } = shown;
        for part in &self.0 {
            // Writing into memory does not fail.
            let _ = match part {
                Part::Bytes(bytes) => out.write_all(bytes),
                Part::Value => out.write_all(record.value.unwrap_or_default()),
                Part::ValueSize => write!(out, "{}", size_of(record.value)),
                Part::ValueSizeBinary => out.write_all(&size_of(record.value).to_be_bytes()),
                Part::Key => out.write_all(record.key.unwrap_or_default()),
                Part::KeySize => write!(out, "{}", size_of(record.key)),
                Part::Topic => out.write_all(topic.as_bytes()),
                Part::Partition => write!(out, "{partition}"),
                Part::Offset => write!(out, "{offset}"),
                Part::Timestamp => write!(out, "{}", record.timestamp.0),
                Part::Headers => {
                    for (number, header) in record.headers.enumerate() {
                        out.extend(if number == 0 { &b""[..] } else { b"," });
                        out.extend(header.key);
                        out.push(b'=');
                        out.extend(header.value.unwrap_or(b"NULL"));
                    }
                    Ok(())
                }
            };
        }
    }
}

fn part_of(c: Option<char>) -> Result<Part, String> {
    Ok(match c {
        Some('s') => Part::Value,
        Some('S') => Part::ValueSize,
        Some('R') => Part::ValueSizeBinary,
        Some('k') => Part::Key,
        Some('K') => Part::KeySize,
        Some('t') => Part::Topic,
        Some('p') => Part::Partition,
        Some('o') => Part::Offset,
        Some('T') => Part::Timestamp,
        Some('h') => Part::Headers,
        Some(c) => {
            return Err(format!(
                "there is no `%{c}`: use %s, %S, %R, %k, %K, %t, %p, %o, %T, %h or %%"
            ));
        }
        None => return Err("a single % at the end: write %% for a percent sign".to_owned()),
    })
}

fn escaped(rest: &mut std::str::Chars<'_>) -> Result<u8, String> {
    match rest.next() {
        Some('n') => Ok(b'\n'),
        Some('r') => Ok(b'\r'),
        Some('t') => Ok(b'\t'),
        Some('\\') => Ok(b'\\'),
        Some('x') => {
            let digits: String = rest.by_ref().take(2).collect();
            let is_hex = digits.len() == 2 && digits.bytes().all(|it| it.is_ascii_hexdigit());
            let byte = u8::from_str_radix(&digits, 16).ok().filter(|_| is_hex);
            byte.ok_or_else(|| format!("`\\x{digits}` is no byte: write two digits, as in \\x1f"))
        }
        Some(c) => Err(format!("there is no `\\{c}`: use \\n, \\r, \\t, \\\\ or \\xNN")),
        None => Err("a single \\ at the end: write \\\\ for a backslash".to_owned()),
    }
}

fn size_of(bytes: Option<&[u8]>) -> i32 {
    bytes.map_or(-1, |bytes| i32::try_from(bytes.len()).unwrap_or(i32::MAX))
}

/// A record for programs. Its fields keep their names.
#[derive(Serialize)]
struct Document<'a> {
    topic: &'a str,
    partition: i32,
    offset: i64,
    /// In milliseconds.
    timestamp: i64,
    /// `create-time` or `log-append-time`.
    timestamp_type: &'static str,
    headers: Vec<Header<'a>>,
    key: Option<Content<'a>>,
    value: Option<Content<'a>>,
}

#[derive(Serialize)]
struct Header<'a> {
    name: Content<'a>,
    value: Option<Content<'a>>,
}

/// A string if it is text; otherwise an object with the bytes in hexadecimal.
#[derive(Serialize)]
#[serde(untagged)]
enum Content<'a> {
    Text(&'a str),
    Bytes { hex: String },
}

impl<'a> Content<'a> {
    fn of(bytes: &'a [u8]) -> Content<'a> {
        match str::from_utf8(bytes) {
            Ok(text) => Content::Text(text),
            Err(_) => {
                Content::Bytes { hex: bytes.iter().map(|byte| format!("{byte:02x}")).collect() }
            }
        }
    }
}

/// The record as a JSON document, in a line of its own.
pub(super) fn write_json(shown: &Shown<'_>, out: &mut Vec<u8>) {
    let headers: Vec<RecordHeader<'_>> = shown.record.headers.collect();
    let document = Document {
        topic: shown.topic,
        partition: shown.partition.0,
        offset: shown.offset.0,
        timestamp: shown.record.timestamp.0,
        timestamp_type: match shown.timestamp_type {
            TimestampType::CreateTime => "create-time",
            TimestampType::LogAppendTime => "log-append-time",
        },
        headers: headers
            .iter()
            .map(|it| Header { name: Content::of(it.key), value: it.value.map(Content::of) })
            .collect(),
        key: shown.record.key.map(Content::of),
        value: shown.record.value.map(Content::of),
    };
    serde_json::to_writer(&mut *out, &document).expect("it has no maps, and memory takes it all");
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Timestamp;
    use model::record_batch::{BatchBuilder, NewRecord, ProducerStamp, Records};

    const HEADERS: &[RecordHeader<'_>] =
        &[RecordHeader { key: b"a", value: Some(b"1") }, RecordHeader { key: b"b", value: None }];

    /// A record with everything, written by `write`.
    fn written(value: Option<&[u8]>, write: impl Fn(&Shown<'_>, &mut Vec<u8>)) -> Vec<u8> {
        let mut builder = BatchBuilder::new();
        let timestamp = Timestamp(1234);
        builder.push(&NewRecord { timestamp, key: Some(b"k1"), value, headers: HEADERS });
        let batch = builder.finish(ProducerStamp::NONE);
        let record = Records::read(&batch).unwrap().next().unwrap().unwrap();
        let shown = Shown {
            topic: "orders",
            partition: PartitionIndex(3),
            offset: Offset(42),
            timestamp_type: TimestampType::CreateTime,
            record: &record,
        };
        let mut out = Vec::new();
        write(&shown, &mut out);
        out
    }

    fn check(format: &str, value: Option<&[u8]>, expected: &[u8]) {
        let format = Format::parse(format).unwrap();
        let out = written(value, |shown, out| format.write(shown, out));
        assert_eq!(out, expected, "{}", String::from_utf8_lossy(&out));
    }

    #[test]
    fn formats_are_kcats() {
        check("%s\\n", Some(b"hi"), b"hi\n");
        check("%t/%p@%o %T\\t%k (%K) %s (%S)", Some(b"hi"), b"orders/3@42 1234\tk1 (2) hi (2)");
        check("%h", Some(b""), b"a=1,b=NULL");
        check("%R%s", Some(b"hi"), b"\0\0\0\x02hi");
        check("%S%R[%s]", None, b"-1\xff\xff\xff\xff[]");
        check("100%% \\x00\\xfF\\r\\\\\u{e4}", None, b"100% \0\xff\r\\\xc3\xa4");
        check("", Some(b"hi"), b"");
        check("%s", Some(b"\xff\n"), b"\xff\n");
    }

    #[test]
    fn what_is_no_format_is_told() {
        let error = |format| Format::parse(format).unwrap_err();
        assert!(error("%z").starts_with("there is no `%z`: use %s"));
        assert!(error("100%").contains("write %% for a percent sign"));
        assert!(error("\\q").starts_with("there is no `\\q`: use \\n"));
        assert!(error("\\x1").starts_with("`\\x1` is no byte"));
        assert!(error("\\x+1").starts_with("`\\x+1` is no byte"));
        assert!(error("\\").contains("write \\\\ for a backslash"));
    }

    #[test]
    fn documents_have_all_fields_and_keep_bytes_that_are_no_text() {
        let text = String::from_utf8(written(Some(b"\xff\x00"), write_json)).unwrap();
        let expected = r#"{"topic":"orders","partition":3,"offset":42,"timestamp":1234,"timestamp_type":"create-time","headers":[{"name":"a","value":"1"},{"name":"b","value":null}],"key":"k1","value":{"hex":"ff00"}}"#;
        assert_eq!(text, format!("{expected}\n"));
        let text = String::from_utf8(written(None, write_json)).unwrap();
        assert!(text.ends_with("\"key\":\"k1\",\"value\":null}\n"), "{text}");
    }
}
