//! Gets other people's clients, once, into `target/clients`.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::Context;

use crate::process::run;

/// Registries can be slow.
const INSTALL_LIMIT: Duration = Duration::from_secs(300);
const COMPILE_LIMIT: Duration = Duration::from_secs(120);
const COPY_DEPENDENCIES: &str =
    "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies";

/// A Python that has confluent-kafka, the binding of librdkafka, kafka-python and aiokafka.
pub(crate) fn python() -> Option<&'static Path> {
    static PYTHON: OnceLock<Option<PathBuf>> = OnceLock::new();
    let requirements = include_str!("python/requirements.txt");
    let installed = PYTHON.get_or_init(|| {
        let directory = offered("python", requirements, |directory| {
            let environment = &directory.display().to_string();
            let venv = ["-m", "venv", environment];
            run("python3 -m venv", Command::new("python3").args(venv), "", INSTALL_LIMIT)?;
            let mut pip = Command::new(directory.join("bin/python"));
            pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
            pip.args(["--only-binary", ":all:", "--requirement"]);
            pip.arg(sources("python").join("requirements.txt"));
            run("pip install", &mut pip, "", INSTALL_LIMIT)?;
            Ok(())
        })?;
        Some(directory.join("bin/python"))
    });
    installed.as_deref()
}

/// Our programs for Kafka's own clients: where they are, and what is in them.
const JAVA_PROGRAMS: [(&str, &str); 6] = [
    ("java/Matrix.java", include_str!("java/Matrix.java")),
    ("java/Tools.java", include_str!("java/Tools.java")),
    ("java/Events.java", include_str!("java/Events.java")),
    ("java/Member.java", include_str!("java/Member.java")),
    ("java/StreamsMember.java", include_str!("java/StreamsMember.java")),
    ("course/java/WordsAndTotals.java", include_str!("course/java/WordsAndTotals.java")),
];

/// A class path with Kafka's clients and tools, and our programs for them.
pub(crate) fn java() -> Option<&'static str> {
    static CLASS_PATH: OnceLock<Option<String>> = OnceLock::new();
    let project = include_str!("java/pom.xml");
    let programs = JAVA_PROGRAMS.map(|(_, text)| text).concat();
    let class_path = CLASS_PATH.get_or_init(|| {
        let jars = offered("java", project, |directory| {
            run("javac", Command::new("javac").arg("-version"), "", COMPILE_LIMIT)?;
            let mut maven = Command::new("mvn");
            maven.args(["--quiet", "--batch-mode", COPY_DEPENDENCIES, "--file"]);
            maven.arg(sources("java").join("pom.xml"));
            maven.arg(format!("-DoutputDirectory={}", directory.display()));
            run("mvn", &mut maven, "", INSTALL_LIMIT)?;
            Ok(())
        })?;
        let jars = format!("{}/*", jars.display());
        // It is ours: that it cannot be compiled is never a reason to skip anything.
        let classes = installed("java-classes", &format!("{project}{programs}"), |directory| {
            let mut compiler = Command::new("javac");
            compiler.args(["-Xlint:all", "-proc:none", "-cp", &jars, "-d"]);
            compiler.arg(directory);
            compiler.args(JAVA_PROGRAMS.map(|(path, _)| sources(path)));
            run("javac", &mut compiler, "", COMPILE_LIMIT)?;
            Ok(())
        });
        let classes = classes.unwrap();
        Some(format!("{}:{jars}", classes.display()))
    });
    class_path.as_deref()
}

/// Our program for franz-go.
pub(crate) fn go() -> Option<&'static Path> {
    static PROGRAM: OnceLock<Option<PathBuf>> = OnceLock::new();
    let program = PROGRAM.get_or_init(|| {
        let sums = include_str!("go/go.sum");
        let modules = format!("{}{sums}", include_str!("go/go.mod"));
        // The modules are where Go keeps them; only that they can be had is noted here.
        offered("go", &modules, |_| {
            let mut download = Command::new("go");
            download.args(["mod", "download"]).current_dir(sources("go"));
            run("go mod download", &mut download, "", INSTALL_LIMIT)?;
            Ok(())
        })?;
        // It is ours: that it cannot be compiled is never a reason to skip anything.
        let programs = [include_str!("go/main.go"), include_str!("go/member.go")].concat();
        let pin = format!("{modules}{programs}");
        let directory = installed("go-program", &pin, |directory| {
            let mut compiler = Command::new("go");
            compiler.args(["build", "-buildvcs=false", "-o"]).arg(directory.join("clients"));
            compiler.current_dir(sources("go"));
            run("go build", &mut compiler, "", INSTALL_LIMIT)?;
            Ok(())
        });
        Some(directory.unwrap().join("clients"))
    });
    program.as_deref()
}

/// The packages for Node.js: kafkajs, and what it compresses with.
pub(crate) fn node_modules() -> Option<&'static Path> {
    static PACKAGES: OnceLock<Option<PathBuf>> = OnceLock::new();
    let lock = include_str!("node/package-lock.json");
    let packages = PACKAGES.get_or_init(|| {
        let directory = offered("node", lock, |directory| {
            for file in ["package.json", "package-lock.json"] {
                std::fs::copy(sources("node").join(file), directory.join(file))?;
            }
            let mut npm = Command::new("npm");
            npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]);
            npm.current_dir(directory);
            run("npm ci", &mut npm, "", INSTALL_LIMIT)?;
            run("node", Command::new("node").arg("--version"), "", COMPILE_LIMIT)?;
            Ok(())
        })?;
        Some(directory.join("node_modules"))
    });
    packages.as_deref()
}

/// Whether this machine has kcat. No registry offers it, so that it is never missed.
pub(crate) fn has_kcat() -> bool {
    let found = run("kcat", Command::new("kcat").arg("-V"), "", COMPILE_LIMIT);
    if let Err(error) = &found {
        say(&format!("SKIPPED, kcat is not on this machine: {error:#}"));
    }
    found.is_ok()
}

/// Where the clients' programs are.
pub(crate) fn sources(client: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(client)
}

/// The directory of something that is installed as `pin` says, now or before. None, and loudly so,
/// if that cannot be; a failure where CI=true.
fn offered(
    name: &str,
    pin: &str,
    install: impl Fn(&Path) -> anyhow::Result<()>,
) -> Option<PathBuf> {
    match installed(name, pin, install) {
        Ok(directory) => Some(directory),
        Err(error) => {
            let text = format!("{name} clients cannot be installed: {error:#}");
            assert!(std::env::var("CI").as_deref() != Ok("true"), "{text}");
            say(&format!("SKIPPED, {text}"));
            None
        }
    }
}

fn installed(
    name: &str,
    pin: &str,
    install: impl Fn(&Path) -> anyhow::Result<()>,
) -> anyhow::Result<PathBuf> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().context("it is in target/")?;
    let clients = target.join("clients");
    std::fs::create_dir_all(&clients)?;
    // Other processes wait, and then find it installed.
    let lock = File::create(clients.join(format!("{name}.lock")))?;
    lock.lock()?;
    let directory = clients.join(name);
    // Written last: what is interrupted is done again.
    let stamp = clients.join(format!("{name}.installed"));
    let is_current = std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == pin);
    if is_current && directory.exists() {
        return Ok(directory);
    }
    say(&format!("installing {name} clients in {}", directory.display()));
    if directory.exists() {
        std::fs::remove_dir_all(&directory)?;
    }
    std::fs::create_dir(&directory)?;
    install(&directory)?;
    std::fs::write(&stamp, pin)?;
    Ok(directory)
}

/// To whoever runs the tests, even of a test that passes: `eprintln!` would be captured.
pub(crate) fn say(text: &str) {
    // If nobody reads it, nobody has to know.
    let _ = writeln!(std::io::stderr(), "clients: {text}");
}
