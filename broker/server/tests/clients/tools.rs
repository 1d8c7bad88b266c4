//! Kafka's command line tools, run from its jars: the console's, and the one that dumps segments.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

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

/// The directory of the cluster's own topic.
const METADATA: &str = "00000000000000000000000000000001";

/// The segments of a topic's only partition, by the offset in their names.
fn segments(data: &DataDir) -> BTreeMap<i64, PathBuf> {
    let mut segments = BTreeMap::new();
    for topic in std::fs::read_dir(data.path().join("data/topics")).unwrap() {
        let topic = topic.unwrap();
        if topic.file_name() == METADATA {
            continue;
        }
        let partition = topic.path().join("0");
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

/// Up to the first dot.
fn base_offset_of(path: &Path) -> i64 {
    let name = path.file_name().and_then(|name| name.to_str()?.split('.').next());
    name.and_then(|offset| offset.parse().ok()).expect("it is an offset")
}

/// The number after a name in a line of the dump.
fn number_in(line: &str, name: &str) -> i64 {
    let (_, rest) = line.split_once(name).expect("the line has the name");
    rest.split_whitespace().next().and_then(|number| number.parse().ok()).expect("it is a number")
}

#[test]
fn kafkas_dump_tool_reads_sealed_segments() {
    const COUNT: usize = 2500;
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

#[test]
fn kafkas_tools_read_compacted_segments() {
    const KEYS: usize = 50;
    let data = DataDir::new("compacted");
    let text = "[journal]\ncheckpoint-interval-ms = 100\n[compaction]\ncheck-interval-ms = 100\n";
    let broker = Broker::start_configured(&data, text, &["--listen", "127.0.0.1:0"]);
    let address = broker.address();
    let create = ["--bootstrap-server", address, "--create", "--topic", "changelog"];
    let configs = [
        "cleanup.policy=compact",
        "segment.bytes=1048576",
        "min.cleanable.dirty.ratio=0.01",
        "delete.retention.ms=3600000",
    ];
    let configs = configs.iter().flat_map(|config| ["--config", config]);
    let create: Vec<&str> = create.into_iter().chain(configs).collect();
    if tool("org.apache.kafka.tools.TopicCommand", &create, "").is_none() {
        return;
    }
    let mut input = String::new();
    for number in 0..20_000 {
        let value = if number % 97 == 96 { "NULL".to_owned() } else { format!("{number:0>200}") };
        writeln!(input, "key-{}\t{value}", number % KEYS).unwrap();
    }
    let produce = ["--bootstrap-server", address, "--topic", "changelog"];
    let properties = ["parse.key=true", "null.marker=NULL"];
    let properties = properties.iter().flat_map(|property| ["--property", property]);
    let produce: Vec<&str> = produce.into_iter().chain(properties).collect();
    for codec in ["none", "gzip", "lz4", "zstd", "snappy"] {
        let mut produce = produce.clone();
        produce.extend(["--compression-codec", codec]);
        tool("org.apache.kafka.tools.ConsoleProducer", &produce, &input).unwrap();
    }
    // Every byte of segments that have ended becomes clean.
    let begun = Instant::now();
    let compacted: Vec<PathBuf> = loop {
        let (compacted, appended): (Vec<_>, Vec<_>) =
            segments(&data).into_values().partition(|path| generation_of(path).is_some());
        if appended.len() == 1 && !compacted.is_empty() {
            break compacted;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{appended:?}");
        std::thread::sleep(Duration::from_millis(50));
    };
    let files: Vec<&str> = compacted.iter().map(|path| path.to_str().unwrap()).collect();
    let arguments = ["--deep-iteration", "--print-data-log", "--files", &files.join(",")];
    let lines = tool("kafka.tools.DumpLogSegments", &arguments, "").unwrap();
    let mut keys: BTreeMap<String, usize> = BTreeMap::new();
    for line in &lines {
        assert!(!line.contains("isvalid: false"), "{line}");
        if line.starts_with("| offset: ") {
            let (_, key) = line.split_once(" key: ").expect("every record has one");
            *keys.entry(key.split(' ').next().unwrap().to_owned()).or_default() += 1;
        }
    }
    // One record for each key, but for a pass that has not looked at all of it.
    assert_eq!(keys.len(), KEYS, "{keys:?}");
    assert!(keys.values().sum::<usize>() <= KEYS * compacted.len(), "{keys:?}");

    let consume = ["--bootstrap-server", address, "--topic", "changelog"];
    let from = ["--partition", "0", "--offset", "earliest"];
    let properties = ["print.key=true", "print.value=false"];
    let properties = properties.iter().flat_map(|property| ["--property", property]);
    let timeout = ["--timeout-ms", "5000"];
    let consume = consume.into_iter().chain(from).chain(properties).chain(timeout);
    let consume: Vec<&str> = consume.collect();
    let read = tool("org.apache.kafka.tools.consumer.ConsoleConsumer", &consume, "").unwrap();
    let read: BTreeSet<&String> = read.iter().filter(|line| line.starts_with("key-")).collect();
    assert_eq!(read.len(), KEYS);
    broker.stop();
}

/// Of a compacted segment, the number between its offset and the extension.
fn generation_of(path: &Path) -> Option<u32> {
    Path::new(path.file_stem()?).extension()?.to_str()?.parse().ok()
}
