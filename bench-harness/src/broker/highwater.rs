//! Our own broker: built from this workspace, started on a free port.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{BrokerError, BrokerSpec, Places, Prepared, Ready, free_port, fresh_directory};
use crate::process::Start;

/// Why our broker's program is not there.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error("cannot run {cargo}")]
    Cargo { cargo: PathBuf, source: std::io::Error },
    #[error("the broker does not build: see above")]
    Failed,
    #[error("cargo built the broker and does not say where its program is")]
    NoProgram,
}

/// Builds the release program in the workspace at `root`, with its messages to our standard error.
pub fn build(root: &Path) -> Result<PathBuf, BuildError> {
    let cargo = PathBuf::from(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    let output = Command::new(&cargo)
        .args(["build", "--release", "--package", "server", "--bin", "highwater"])
        .arg("--message-format=json-render-diagnostics")
        .current_dir(root)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|source| BuildError::Cargo { cargo, source })?;
    if !output.status.success() {
        return Err(BuildError::Failed);
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let messages = text.lines().filter_map(|line| serde_json::from_str(line).ok());
    let mut program = messages.filter_map(|message: serde_json::Value| {
        let is_ours = message["target"]["name"] == "highwater";
        message["executable"].as_str().filter(|_| is_ours).map(PathBuf::from)
    });
    program.next_back().ok_or(BuildError::NoProgram)
}

pub(super) fn prepare(
    spec: &BrokerSpec,
    processors: &[usize],
    places: &Places,
) -> Result<Prepared, BrokerError> {
    let directory = fresh_directory(places)?;
    let data = directory.join("data");
    std::fs::create_dir(&data).map_err(super::prepare_error(&data))?;
    let mut arguments: Vec<OsString> = vec!["serve".into(), "--data-dir".into(), data.into()];
    let metrics = SocketAddr::from(([127, 0, 0, 1], free_port()?));
    // A port of its own, so that it is found again when it was killed.
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()?)).to_string();
    let listen = ["--listen", &address, "--metrics", &metrics.to_string()];
    arguments.extend(listen.map(OsString::from));
    if let Some(cores) = spec.cores {
        arguments.extend([OsString::from("--cores"), cores.to_string().into()]);
    }
    if !spec.config.is_empty() {
        let file = directory.join("highwater.toml");
        std::fs::write(&file, &spec.config).map_err(super::prepare_error(&file))?;
        arguments.extend([OsString::from("--config"), file.into()]);
    }
    arguments.extend(spec.arguments.iter().map(OsString::from));
    // Paths and ports say nothing about the broker.
    let mut shown = vec!["highwater serve".to_owned()];
    shown.extend(spec.cores.map(|cores| format!("--cores {cores}")));
    shown.extend(spec.arguments.iter().cloned());
    let start = Start {
        launcher: places.launcher.clone(),
        program: spec.program.clone().unwrap_or_else(|| places.highwater.clone()),
        arguments,
        processors: processors.to_vec(),
        environment: vec![],
        working_directory: directory.clone(),
        log: directory.join("log"),
    };
    let mut settings = vec![
        ("command".to_owned(), shown.join(" ")),
        ("processors".to_owned(), format!("{processors:?}")),
    ];
    let lines = spec.config.lines().map(str::trim).filter(|line| !line.is_empty());
    settings.extend(lines.map(|line| ("highwater.toml".to_owned(), line.to_owned())));
    let ready = Ready::Line;
    Ok(Prepared { start, ready, directory, address, metrics: Some(metrics), settings })
}

/// The address in the line by which the broker says that it serves: `ready HOST:PORT`.
pub(super) fn ready_address(line: &str) -> Option<String> {
    let mut words = line.split_whitespace().skip_while(|word| *word != "ready").skip(1);
    words
        .find(|word| word.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok()))
        .map(str::to_owned)
}
