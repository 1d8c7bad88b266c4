//! Apache Kafka: from Maven Central, alone in KRaft mode, with its own start script's options.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::{
    BrokerError, BrokerSpec, Places, Prepared, Ready, free_port, fresh_directory, prepare_error,
};
use crate::process::Start;
use crate::units::Size;

const POM: &str = include_str!("../../kafka/pom.xml");
/// Of the official start script.
const HEAP: Size = Size(1 << 30);
/// Likewise; see kafka-run-class.sh.
const JVM_OPTIONS: [&str; 6] = [
    "-server",
    "-XX:+UseG1GC",
    "-XX:MaxGCPauseMillis=20",
    "-XX:InitiatingHeapOccupancyPercent=35",
    "-XX:+ExplicitGCInvokesConcurrent",
    "-Djava.awt.headless=true",
];
/// Any id will do for a cluster that lives for minutes.
const CLUSTER_ID: &str = "aGlnaHdhdGVyLWJlbmNobQ";
const FORMAT_MAX: Duration = Duration::from_secs(30);

/// Why Kafka's jars are not there.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    #[error("cannot run mvn, which fetches Apache Kafka from Maven Central: install Maven")]
    NoMaven { source: std::io::Error },
    #[error("Maven could not fetch Apache Kafka: see above")]
    Failed,
    #[error("cannot write {path}")]
    Write { path: PathBuf, source: std::io::Error },
}

/// The version that the pom asks for.
pub(super) fn version() -> &'static str {
    let (_, rest) = POM.split_once("<kafka.version>").expect("the pom names it");
    rest.split_once('<').expect("and closes the name").0
}

/// Has Maven copy the jars into a folder under `target`, unless they are there.
pub fn install(target: &Path) -> Result<PathBuf, InstallError> {
    let folder = target.join(format!("apache-kafka-{}", version()));
    let done = folder.join("complete");
    if done.exists() {
        return Ok(folder);
    }
    let write = |path: &Path, text: &str| {
        let failed = |source| InstallError::Write { path: path.to_owned(), source };
        fs::write(path, text).map_err(failed)
    };
    let failed = |source| InstallError::Write { path: folder.clone(), source };
    fs::create_dir_all(&folder).map_err(failed)?;
    let pom = folder.join("pom.xml");
    write(&pom, POM)?;
    let status = Command::new("mvn")
        .args(["--quiet", "--batch-mode", "--file"])
        .arg(&pom)
        .arg("dependency:copy-dependencies")
        .arg("-DincludeScope=runtime")
        .arg(format!("-DoutputDirectory={}", folder.join("libs").display()))
        .stdin(Stdio::null())
        .status()
        .map_err(|source| InstallError::NoMaven { source })?;
    if !status.success() {
        return Err(InstallError::Failed);
    }
    write(&done, "")?;
    Ok(folder)
}

pub(super) fn prepare(
    spec: &BrokerSpec,
    processors: &[usize],
    places: &Places,
) -> Result<Prepared, BrokerError> {
    let directory = fresh_directory(places)?;
    let (port, controller_port) = (free_port()?, free_port()?);
    let address = format!("127.0.0.1:{port}");
    let properties = properties(spec, &directory.join("data"), &address, controller_port);
    let mut text = String::new();
    for (name, value) in &properties {
        let _ = writeln!(text, "{name}={value}");
    }
    let file = directory.join("server.properties");
    fs::write(&file, text).map_err(prepare_error(&file))?;
    let class_path = places.kafka.join("libs").join("*");
    let heap = spec.heap.unwrap_or(HEAP);
    let mut java: Vec<OsString> =
        vec![format!("-Xmx{}m", heap.0 >> 20).into(), format!("-Xms{}m", heap.0 >> 20).into()];
    java.extend(JVM_OPTIONS.map(OsString::from));
    java.extend(spec.jvm_options.iter().map(OsString::from));
    java.extend([OsString::from("-cp"), class_path.into()]);
    let run = |class: &[&str], log: &str| Start {
        launcher: places.launcher.clone(),
        program: PathBuf::from("java"),
        arguments: java.iter().cloned().chain(class.iter().map(OsString::from)).collect(),
        processors: processors.to_vec(),
        environment: vec![],
        working_directory: directory.clone(),
        log: directory.join(log),
    };
    let format = ["kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c", "server.properties"];
    run(&format, "format.log").start()?.wait_for_end(FORMAT_MAX)?;
    let start = run(&["kafka.Kafka", "server.properties"], "log");
    let ready = Ready::Port(SocketAddr::from(([127, 0, 0, 1], port)));
    let settings = settings(&properties, heap, &spec.jvm_options, processors);
    Ok(Prepared { start, ready, directory, address, metrics: None, settings })
}

fn properties(
    spec: &BrokerSpec,
    data: &Path,
    address: &str,
    controller_port: u16,
) -> BTreeMap<String, String> {
    let ours = [
        ("process.roles", "broker,controller".to_owned()),
        ("node.id", "1".to_owned()),
        ("controller.quorum.voters", format!("1@127.0.0.1:{controller_port}")),
        ("listeners", format!("PLAINTEXT://{address},CONTROLLER://127.0.0.1:{controller_port}")),
        ("advertised.listeners", format!("PLAINTEXT://{address}")),
        ("controller.listener.names", "CONTROLLER".to_owned()),
        ("listener.security.protocol.map", "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT".to_owned()),
        ("log.dirs", data.display().to_string()),
        ("offsets.topic.replication.factor", "1".to_owned()),
        ("transaction.state.log.replication.factor", "1".to_owned()),
        ("transaction.state.log.min.isr", "1".to_owned()),
        ("auto.create.topics.enable", "false".to_owned()),
        // So that the topics of one run are gone from the disk before the next.
        ("file.delete.delay.ms", "0".to_owned()),
    ];
    let mut properties: BTreeMap<String, String> =
        ours.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    properties.extend(spec.properties.clone());
    properties
}

/// What a reader needs to do the same; addresses and paths are left out.
fn settings(
    properties: &BTreeMap<String, String>,
    heap: Size,
    jvm_options: &[String],
    processors: &[usize],
) -> Vec<(String, String)> {
    let mut settings = vec![
        ("version".to_owned(), format!("Apache Kafka {}", version())),
        ("heap".to_owned(), heap.to_string()),
        (
            "virtual machine".to_owned(),
            [JVM_OPTIONS.join(" "), jvm_options.join(" ")].join(" ").trim_end().to_owned(),
        ),
        ("processors".to_owned(), format!("{processors:?}")),
    ];
    let is_telling = |name: &str| {
        !matches!(
            name,
            "listeners" | "advertised.listeners" | "controller.quorum.voters" | "log.dirs"
        )
    };
    let telling = properties.iter().filter(|(name, _)| is_telling(name));
    settings.extend(telling.map(|(name, value)| (name.clone(), value.clone())));
    settings
}
