//! The broker under test, as a child process.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::process::Running;

const START_LIMIT: Duration = Duration::from_secs(30);
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// A directory that is empty at first and gone at the end, unless the test has failed.
pub(crate) struct DataDir(PathBuf);

impl DataDir {
    pub(crate) fn new(name: &str) -> DataDir {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("clients-{name}-{}", std::process::id()));
        // What a process with the same number has left.
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        DataDir(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for DataDir {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the broker's directory is kept: {}", self.0.display());
        } else {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

/// For a broker that comes back where it was. While it is away, nobody takes its place: other
/// brokers, and the clients' ends of connections, are on 127.0.0.1.
pub(crate) fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.2:0").and_then(|listener| listener.local_addr()).unwrap()
}

/// A broker that serves.
pub(crate) struct Broker {
    running: Running,
    address: String,
}

impl Broker {
    /// On a port that the kernel chooses.
    pub(crate) fn start(data_dir: &DataDir) -> Broker {
        Broker::start_with(data_dir, &["--listen", "127.0.0.1:0"])
    }

    pub(crate) fn start_with(data_dir: &DataDir, options: &[&str]) -> Broker {
        Broker::start_configured(data_dir, "", options)
    }

    /// With this in its configuration file, too.
    pub(crate) fn start_configured(data_dir: &DataDir, config: &str, options: &[&str]) -> Broker {
        // A test that fails shows why connections were closed.
        let text = format!("[broker]\nlog = \"info\"\n{config}");
        let config = data_dir.path().join("test.toml");
        std::fs::write(&config, text).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_highwater"));
        command.arg("serve").arg("--config").arg(config);
        command.arg("--data-dir").arg(data_dir.path().join("data")).args(options);
        let running = Running::start("highwater", &mut command).unwrap();
        let line = running.expect_line(START_LIMIT).unwrap();
        let address = line.strip_prefix("ready ").expect("it says where it can be reached");
        Broker { address: address.to_owned(), running }
    }

    /// What clients are told to connect to.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Stops it as an administrator would.
    pub(crate) fn stop(self) {
        self.running.signal(Signal::SIGTERM);
        let (status, _, errors) = self.running.finish(STOP_LIMIT).unwrap();
        assert!(status.success(), "{status}: {errors}");
    }

    /// kill -9.
    pub(crate) fn kill(self) {
        self.running.signal(Signal::SIGKILL);
        let (status, _, errors) = self.running.finish(STOP_LIMIT).unwrap();
        assert!(!status.success(), "it had not ended by itself: {errors}");
    }
}
