//! Tests of scenarios.

use super::*;
use crate::broker::Kind;

fn parse(text: &str) -> Result<Scenario, String> {
    Scenario::parse(Path::new("x.toml"), text).map_err(|error| loadgen::in_full(&error))
}

const HEAD: &str = "name = 'x'\nabout = ''\nrepetitions = 1\n";
const BROKER: &str = "[[broker]]\nname = 'ours'\nkind = 'highwater'\n";

#[test]
fn the_scenarios_that_come_along_can_be_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let (scenario, text) = Scenario::read(&entry.unwrap().path()).unwrap();
        // What a report prints of it can be read again.
        let written = toml::to_string(&scenario).unwrap();
        assert_eq!(parse(&written).unwrap(), scenario);
        assert!(text.starts_with('#'), "a scenario says what it is for");
        names.push(scenario.name);
    }
    assert!(names.contains(&"first-light".to_owned()), "{names:?}");
}

#[test]
fn batches_are_by_number_or_by_size() {
    for text in ["1 record", "10 records", "64KiB", "1000"] {
        assert_eq!(text.parse::<BatchShape>().unwrap().to_string(), text);
    }
    assert_eq!("64KiB".parse(), Ok(BatchShape::Size(Size(65_536))));
    assert_eq!(
        "0 records".parse::<BatchShape>().unwrap_err(),
        "`0 records` is not a batch such as `1 record`, `10 records` or `64KiB`"
    );
}

#[test]
fn a_refusal_names_the_value_the_limit_and_the_fix() {
    assert!(parse(&format!("{HEAD}{BROKER}")).is_ok());
    assert_eq!(
        parse(&format!("{}{BROKER}", HEAD.replace("'x'", "'a b'"))).unwrap_err(),
        "scenario `a b` cannot name a folder: use letters, digits, hyphens and underscores"
    );
    assert_eq!(
        parse(&format!("{HEAD}broker = []")).unwrap_err(),
        "scenario x compares no broker: add at least one [[broker]]"
    );
    assert_eq!(
        parse(&format!("{HEAD}{BROKER}{BROKER}")).unwrap_err(),
        "scenario x has two brokers called ours: give each a name of its own"
    );
    assert_eq!(
        parse(&format!("{}{BROKER}", HEAD.replace("= 1", "= 0"))).unwrap_err(),
        "scenario x has 0 repetitions: use 1 to 100"
    );
    let idle = format!("{HEAD}{BROKER}[idle]\npartitions = 1\nsettle = '5'\nduration = '1s'");
    assert!(parse(&idle).unwrap_err().contains("`5` is not a duration such as 500ms, 20s or 2m"));
    let latency = "[latency]\nacks = []\ndurability = ['durable']\nrecord_sizes = ['1KiB']\n\
                   rates = ['1/s']\nlinger = '0s'\nwarm_up = '0s'\nduration = '1s'\n\
                   connections = 1\npartitions = 1\n";
    assert_eq!(
        parse(&format!("{HEAD}{BROKER}{latency}")).unwrap_err(),
        "scenario x: acks of [latency] is empty, so there would be no cell"
    );
    assert!(parse(&format!("{HEAD}{BROKER}[bear]")).unwrap_err().contains("unknown field `bear`"));
}

#[test]
fn some_of_the_brokers_can_be_chosen() {
    let other = BROKER.replace("ours", "theirs").replace("highwater", "kafka");
    let scenario = || parse(&format!("{HEAD}{BROKER}{other}")).unwrap();
    let chosen = scenario().with_brokers(&["theirs".to_owned()]).unwrap();
    assert_eq!(chosen.brokers, [BrokerSpec::new("theirs", Kind::Kafka)]);
    assert_eq!(scenario().with_brokers(&[]).unwrap().brokers.len(), 2);
    assert_eq!(
        scenario().with_brokers(&["x".to_owned()]).unwrap_err().to_string(),
        "scenario x has no broker called x: it has ours, theirs"
    );
}
