use super::*;

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(Path::new("broker.toml"), text, &Overrides::default())
}

fn complaint(text: &str) -> String {
    parse(text).unwrap_err().to_string()
}

#[test]
fn nothing_needs_to_be_said() {
    let config = parse("").unwrap();
    assert_eq!(config.listen.to_string(), "127.0.0.1:9092");
    assert_eq!(config.data_dir, Path::new("highwater-data"));
    assert_eq!(config.cores, Cores::All);
    assert_eq!(config.topics.partitions, 1);
    assert_eq!(config.journal.file_bytes, 32 << 20);
}

/// The documented file is the one that is read, and says what holds anyway.
#[test]
fn the_documented_defaults_are_the_defaults() {
    let documented = include_str!("../../highwater.toml");
    assert_eq!(parse(documented).unwrap(), parse("").unwrap());
    // Every key that can be written is in it.
    for line in include_str!("raw.rs").lines() {
        let Some(key) = line.trim().strip_prefix("pub(super) ") else { continue };
        let Some((key, of)) = key.split_once(": ") else { continue };
        if of.starts_with("Option") {
            let key = key.replace('_', "-");
            assert!(
                documented.contains(&format!("\n{key} = "))
                    || documented.contains(&format!("\n# {key} = ")),
                "{key}"
            );
        }
    }
}

#[test]
fn what_is_wrong_is_told_with_its_line_and_what_is_allowed() {
    assert_eq!(
        complaint("[topics]\npartitions = 4\n\n[connections]\nidle-ms = 5\n"),
        "broker.toml:5: idle-ms = 5: choose a number between 1000 and 2147483647"
    );
    assert_eq!(
        complaint("[journal]\nfile-bytes = 70000\n"),
        "broker.toml:2: file-bytes = 70000: choose whole blocks of 4096"
    );
    assert_eq!(
        complaint("[broker]\ncores = \"0\"\n"),
        "broker.toml:2: cores = 0: write \"all\", a number between 1 and 1024, or processors such \
         as \"0,2,4\""
    );
    assert_eq!(
        complaint("[broker]\nid = 1\nlisten = \"here\"\n"),
        "broker.toml:3: listen = here: write an IP address and a port, such as 127.0.0.1:9092"
    );
    assert_eq!(
        complaint("[disk]\nslow-below-bytes = 5\nrefuse-below-bytes = 6\n"),
        "broker.toml:3: refuse-below-bytes = 6: choose no more than slow-below-bytes, which is 5"
    );
    let unknown = complaint("[broker]\n\nlissten = \"x\"\n");
    assert!(unknown.starts_with("broker.toml:3: unknown field `lissten`, expected"), "{unknown}");
    let kind = complaint("[topics]\npartitions = \"many\"\n");
    assert!(kind.starts_with("broker.toml:2: invalid type: string \"many\""), "{kind}");
    assert!(complaint("[topics\n").starts_with("broker.toml:1: "));
}

#[test]
fn the_command_line_goes_over_the_file() {
    let text = "[broker]\nlisten = \"127.0.0.1:1\"\ncores = \"3\"\n";
    let overrides = Overrides {
        listen: Some("localhost:0".to_owned()),
        cores: Some("1,0".to_owned()),
        ..Overrides::default()
    };
    let config = Config::parse(Path::new("x"), text, &overrides).unwrap();
    assert_eq!(config.listen.to_string(), "127.0.0.1:0");
    assert_eq!(config.cores, Cores::On(vec![1, 0]));
    let overrides = Overrides { listen: Some("9092".to_owned()), ..Overrides::default() };
    let wrong = Config::parse(Path::new("x"), text, &overrides).unwrap_err().to_string();
    let expected = "--listen 9092: write an IP address and a port, such as 127.0.0.1:9092";
    assert_eq!(wrong, expected);
}

#[test]
fn an_address_that_others_reach_needs_a_word_more() {
    let open = "[broker]\nlisten = \"0.0.0.0:9092\"\n";
    assert!(matches!(parse(open), Err(ConfigError::Insecure { .. })));
    let insecure = format!("{open}insecure = true\n");
    assert!(matches!(parse(&insecure), Err(ConfigError::NotAdvertised { .. })));
    let advertised = format!("{insecure}advertise = \"broker.example:9093\"\n");
    let advertise = parse(&advertised).unwrap().advertise.unwrap();
    assert_eq!((advertise.host.as_str(), advertise.port), ("broker.example", 9093));
}
