//! kcat, where this machine has it: an older librdkafka.

use std::process::Command;

use serde_json::Value;

use crate::broker::{Broker, DataDir};
use crate::install::has_kcat;
use crate::process::run;
use crate::scripts::PROGRAM_LIMIT;

fn kcat(broker: &Broker, arguments: &[&str], input: &str) -> Vec<String> {
    let mut command = Command::new("kcat");
    command.args(["-q", "-b", broker.address()]).args(arguments);
    run(&format!("kcat {arguments:?}"), &mut command, input, PROGRAM_LIMIT).unwrap()
}

#[test]
fn kcat_lists_writes_and_reads() {
    if !has_kcat() {
        return;
    }
    let data = DataDir::new("kcat");
    let broker = Broker::start(&data);
    let produce = ["-P", "-t", "cat", "-K", ":", "-H", "made=here", "-z", "zstd"];
    kcat(&broker, &produce, "a:one\nb:two\nc:three\n");

    let listed = kcat(&broker, &["-L", "-J"], "").join("");
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed["brokers"][0]["name"], broker.address());
    assert_eq!(listed["topics"][0]["topic"], "cat");

    let read = |offset: &str| -> Vec<(i64, String, String, String)> {
        let consume = ["-C", "-t", "cat", "-p", "0", "-o", offset, "-e", "-J"];
        let lines = kcat(&broker, &consume, "");
        let records = lines.iter().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let show = |record: Value| {
            let (key, value) = (text(&record["key"]), text(&record["payload"]));
            (record["offset"].as_i64().unwrap(), key, value, record["headers"].to_string())
        };
        records.map(show).collect()
    };
    let record = |offset, key: &str, value: &str| {
        (offset, key.to_owned(), value.to_owned(), r#"["made","here"]"#.to_owned())
    };
    let all = [record(0, "a", "one"), record(1, "b", "two"), record(2, "c", "three")];
    assert_eq!(read("beginning"), all);
    assert_eq!(read("1"), all[1..]);
    assert_eq!(read("-1"), all[2..]);
    assert_eq!(read("end"), []);
    broker.stop();
}
