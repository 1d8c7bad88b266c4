//! Kafka's command line tools, run from its jars: the console's, and the one that dumps segments.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::broker::{Broker, DataDir};
use crate::process::run;
use crate::scripts::{PROGRAM_LIMIT, java, json as run_json, python};

/// Runs one of Kafka's main classes. None if Kafka's jars are not on this machine.
fn tool(class: &str, arguments: &[&str], input: &str) -> Option<Vec<String>> {
    let mut command = java(class)?;
    Some(run(class, command.args(arguments), input, PROGRAM_LIMIT).unwrap())
}

#[test]
fn the_console_reads_what_the_console_writes() {
    let data = DataDir::new("console");
    let broker = Broker::start(&data);
    let produce = [
        "--bootstrap-server",
        broker.address(),
        "--topic",
        "console",
        "--property",
        "parse.key=true",
        "--property",
        "parse.headers=true",
        "--property",
        "null.marker=NULL",
    ];
    let input = "a:1,b:2\tfirst\tone\na:1\tsecond\t\na:1\tNULL\tthree\n";
    if tool("org.apache.kafka.tools.ConsoleProducer", &produce, input).is_none() {
        return;
    }
    let consume = |offset: &str, count: &str| {
        let properties = ["print.key=true", "print.headers=true", "print.offset=true"];
        let mut arguments = vec!["--bootstrap-server", broker.address(), "--topic", "console"];
        arguments.extend(["--partition", "0", "--offset", offset, "--max-messages", count]);
        arguments.extend(["--timeout-ms", "60000"]);
        arguments.extend(properties.iter().flat_map(|property| ["--property", property]));
        let lines = tool("org.apache.kafka.tools.consumer.ConsoleConsumer", &arguments, "");
        lines.expect("it is on this machine").join("\n")
    };
    let all = "Offset:0\ta:1,b:2\tfirst\tone\nOffset:1\ta:1\tsecond\t\nOffset:2\ta:1\tnull\tthree";
    assert_eq!(consume("earliest", "3"), all);
    assert_eq!(consume("1", "1"), "Offset:1\ta:1\tsecond\t");
    broker.stop();
}

/// The segments of a topic's only partition, by the offset in their names.
fn segments(data: &DataDir) -> BTreeMap<i64, PathBuf> {
    let mut segments = BTreeMap::new();
    for topic in std::fs::read_dir(data.path().join("data/topics")).unwrap() {
        let partition = topic.unwrap().path().join("0");
        let Ok(files) = std::fs::read_dir(partition) else { continue };
        for file in files {
            let path = file.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "log") {
                segments.insert(base_offset_of(&path), path);
            }
        }
    }
    segments
}

fn base_offset_of(path: &Path) -> i64 {
    path.file_stem().and_then(|stem| stem.to_str()?.parse().ok()).expect("it is an offset")
}

/// The number after a name in a line of the dump.
fn number_in(line: &str, name: &str) -> i64 {
    let (_, rest) = line.split_once(name).expect("the line has the name");
    rest.split_whitespace().next().and_then(|number| number.parse().ok()).expect("it is a number")
}

#[test]
fn kafkas_dump_tool_reads_sealed_segments() {
    const COUNT: usize = 1500;
    let data = DataDir::new("dump");
    let broker = Broker::start(&data);
    let log = |arguments: &[&str]| {
        Some(run_json(&format!("log.py {arguments:?}"), python("log.py")?.args(arguments)))
    };
    let address = broker.address();
    if log(&["create", address, "dumped", "1", "segment.bytes=65536"]).is_none() {
        return;
    }
    for (round, codec) in ["none", "lz4", "zstd"].into_iter().enumerate() {
        let (first, count) = ((round * COUNT).to_string(), COUNT.to_string());
        let filled = log(&["fill", address, "dumped", "1", &first, &count, "200", codec]).unwrap();
        assert_eq!(filled, json!({"acknowledged": COUNT, "left": 0}));
    }
    broker.stop();
    let mut sealed = segments(&data);
    let (active, _) = sealed.pop_last().expect("there are segments");
    assert!(5 < sealed.len(), "enough was written for {} sealed segments", sealed.len());
    let files: Vec<&str> = sealed.values().map(|path| path.to_str().unwrap()).collect();
    let arguments = ["--deep-iteration", "--print-data-log", "--files", &files.join(",")];
    let Some(lines) = tool("kafka.tools.DumpLogSegments", &arguments, "") else { return };

    let mut next = 0;
    let mut next_record = 0;
    let mut dumped = 0;
    for line in &lines {
        if let Some(path) = line.strip_prefix("Dumping ") {
            assert_eq!(base_offset_of(Path::new(path)), next, "a segment begins where one ends");
            dumped += 1;
        } else if line.starts_with("baseOffset: ") {
            assert!(line.contains("isvalid: true"), "{line}");
            let (first, last) = (number_in(line, "baseOffset: "), number_in(line, "lastOffset: "));
            assert_eq!(first, next, "{line}");
            assert_eq!(number_in(line, " count: "), last - first + 1, "{line}");
            next = last + 1;
        } else if line.starts_with("| offset: ") {
            let offset = number_in(line, "| offset: ");
            assert_eq!(offset, next_record, "{line}");
            let payload = number_in(&line.replace('.', " "), " payload: ");
            assert_eq!(payload, offset, "records are numbered as their offsets: {line}");
            next_record += 1;
        } else {
            let is_preamble =
                line.starts_with("Log starting offset: ") || line.starts_with("Starting offset: ");
            assert!(is_preamble || line.is_empty(), "the dump tool complains: {line}");
        }
    }
    assert_eq!(dumped, sealed.len());
    assert_eq!((next, next_record), (active, active), "sealed segments are complete");
}
