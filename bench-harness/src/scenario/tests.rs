//! Tests of scenarios.

use super::*;
use crate::broker::Kind;

fn parse(text: &str) -> Result<Scenario, String> {
    Scenario::parse(Path::new("x.toml"), text).map_err(|error| loadgen::in_full(&error))
}

const HEAD: &str = "name = 'x'\nabout = ''\nrepetitions = 1\n";
const BROKER: &str = "[[broker]]\nname = 'ours'\nkind = 'highwater'\n";
const CELLS: &str = "[[cells]]\nname = 'c'\nload.open = { profiles = ['steady'], peaks = ['1/s'], \
                     linger = '0s' }\nacks = ['all']\ndurability = ['durable']\nrecord_sizes = \
                     ['1KiB']\npartitions = [1]\nconnections = [1]\nwarm_up = '0s'\nduration = \
                     '1s'\n";

#[test]
fn the_scenarios_that_come_along_can_be_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let (scenario, text) = Scenario::read(&path).unwrap();
        // What a report prints of it can be read again.
        let written = toml::to_string(&scenario).unwrap();
        assert_eq!(parse(&written).unwrap(), scenario);
        assert!(text.starts_with('#'), "a scenario says what it is for");
        assert_eq!(path.file_stem().unwrap().to_str().unwrap(), scenario.name);
        names.push(scenario.name);
    }
    assert!(names.contains(&"first-light".to_owned()), "{names:?}");
}

#[test]
fn choices_are_read_as_they_are_written() {
    for text in ["1 record", "10 records", "64KiB", "1000"] {
        assert_eq!(text.parse::<BatchShape>().unwrap().to_string(), text);
    }
    assert_eq!("64KiB".parse(), Ok(BatchShape::Size(Size(65_536))));
    assert_eq!(
        "0 records".parse::<BatchShape>().unwrap_err(),
        "`0 records` is not a batch such as `1 record`, `10 records` or `64KiB`"
    );
    for text in ["80% of Apache Kafka", "12.5% of ours", "1000/s"] {
        assert_eq!(text.parse::<Peak>().unwrap().to_string(), text);
    }
    for text in ["0% of ours", "x% of ours", "fast"] {
        let refused = text.parse::<Peak>().unwrap_err();
        assert!(refused.contains("nor a share of what a broker takes such as"), "{refused}");
    }
}

#[test]
fn a_refusal_names_the_value_the_limit_and_the_fix() {
    let with_cells = format!("{HEAD}{BROKER}{CELLS}");
    parse(&with_cells).unwrap();
    for (from, to, refused) in [
        (
            "'x'",
            "'a b'",
            "scenario `a b` cannot name a file: use letters, digits, hyphens and underscores",
        ),
        ("= 1\n", "= 0\n", "scenario x has 0 repetitions: use 1 to 100"),
        ("['all']", "[]", "cells c of scenario x: acks is empty, so there would be no cell"),
        ("['1/s']", "['5% of theirs']", "scenario x has no broker called theirs: it has ours"),
        ("'c'\n", "'c'\nbrokers = ['b']\n", "scenario x has no broker called b: it has ours"),
        (
            "duration = '1s'",
            "duration = '0s'",
            "cells c of scenario x: `duration` is 0: give it some time, for example \"10s\"",
        ),
        (
            "warm_up",
            "events = [{ at = '2s', what = 'kill' }]\nwarm_up",
            "cells c of scenario x: `kill -9` is to happen at 2s, and the run is over after 1s: \
             choose an earlier time",
        ),
    ] {
        let text = with_cells.replacen(from, to, 1);
        assert_ne!(text, with_cells);
        assert_eq!(parse(&text).unwrap_err(), refused);
    }
    let unknown = with_cells.replace("'steady'", "'x'");
    assert!(parse(&unknown).unwrap_err().contains("there is no profile `x`: use black-friday"));
    assert_eq!(
        parse(&format!("{HEAD}broker = []")).unwrap_err(),
        "scenario x compares no broker: add at least one [[broker]]"
    );
    assert_eq!(
        parse(&format!("{HEAD}{BROKER}{BROKER}")).unwrap_err(),
        "scenario x has two brokers called ours: give each a name of its own"
    );
    assert_eq!(
        parse(&format!("{with_cells}{CELLS}")).unwrap_err(),
        "scenario x has two groups of cells called c: give each a name of its own"
    );
    let idle = format!("{HEAD}{BROKER}[idle]\npartitions = 1\nsettle = '5'\nduration = '1s'");
    assert!(parse(&idle).unwrap_err().contains("`5` is not a duration such as 500ms, 20s or 2m"));
    let compaction = format!("{HEAD}{BROKER}[compaction]\nupdates = 1");
    assert!(parse(&compaction).unwrap_err().contains("missing field `keys`"));
    assert!(parse(&format!("{HEAD}{BROKER}[bear]")).unwrap_err().contains("unknown field `bear`"));
}

#[test]
fn some_of_the_brokers_and_cells_can_be_chosen() {
    let other = BROKER.replace("ours", "theirs").replace("highwater", "kafka");
    let alone = CELLS.replace("'c'", "'alone'\nbrokers = ['ours']");
    let scenario = || parse(&format!("{HEAD}{BROKER}{other}{CELLS}{alone}")).unwrap();
    let chosen = scenario().with_brokers(&["theirs".to_owned()]).unwrap();
    assert_eq!(chosen.brokers, [BrokerSpec::new("theirs", Kind::Kafka)]);
    assert_eq!(chosen.groups.len(), 1, "the other has no broker left");
    let both = ["theirs", "ours"].map(str::to_owned);
    let turned = scenario().with_brokers(&both).unwrap();
    assert_eq!(turned.brokers[0].name, "theirs", "in the order in which they are named");
    assert_eq!(turned.brokers_of("c"), [0, 1]);
    assert_eq!(turned.brokers_of("alone"), [1]);
    assert_eq!(scenario().with_brokers(&[]).unwrap().brokers.len(), 2);
    assert_eq!(
        scenario().with_brokers(&["x".to_owned()]).unwrap_err().to_string(),
        "scenario x has no broker called x: it has ours, theirs"
    );
    assert_eq!(scenario().with_groups(&["alone".to_owned()]).unwrap().groups.len(), 1);
    assert_eq!(
        scenario().with_groups(&["x".to_owned()]).unwrap_err().to_string(),
        "cells x of scenario x: there are none, but there are c, alone"
    );
}

#[test]
fn two_programs_can_be_compared() {
    let program = std::env::current_exe().unwrap();
    let path = program.to_str().unwrap();
    let scenario = parse(&format!("{HEAD}{BROKER}{CELLS}")).unwrap();
    let two = scenario.clone().of_two("ours", path).unwrap();
    assert_eq!(two.brokers[1].program.as_deref(), Some(program.as_path()));
    assert_eq!(two.brokers_of("c"), [0, 1]);
    assert!(scenario.of_two("ours", "/nowhere").is_err());
}
