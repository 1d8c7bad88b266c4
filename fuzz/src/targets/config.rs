//! What the broker is told: the configuration file, and what the command line says over it.

use std::path::Path;

use server::config::{Config, Overrides};

/// A file, then the values of `--listen`, `--advertise`, `--cores` and `--metrics`, each after a NUL;
/// an empty one was not given.
pub(crate) fn config(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let mut parts = text.split('\0');
    let file = parts.next().unwrap_or_default();
    let mut given = || parts.next().filter(|value| !value.is_empty()).map(str::to_owned);
    let overrides = Overrides {
        listen: given(),
        advertise: given(),
        cores: given(),
        metrics: given(),
        ..Overrides::default()
    };
    match Config::parse(Path::new("file"), file, &overrides) {
        Ok(config) => {
            assert!(1 <= config.topics.partitions);
            assert!(config.connections.count_max <= 1_000_000);
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
