//! A file system that is full soon, and a broker on it.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::{self, Broker, Directory, free_address, get, metric};

const DISK_BYTES: u64 = 64 << 20;
pub(crate) const SLOW_BELOW_BYTES: u64 = 20 << 20;
pub(crate) const REFUSE_BELOW_BYTES: u64 = 8 << 20;

/// A mounted file system of 64 MiB; gone when it is dropped.
pub(crate) struct SmallDisk {
    // Dropped after the unmounting.
    directory: Directory,
    pub(crate) mount_point: PathBuf,
    is_direct: bool,
}

impl SmallDisk {
    /// None, and loudly so, if this process may not mount anything.
    pub(crate) fn mount() -> Option<SmallDisk> {
        match SmallDisk::try_mount() {
            Ok(disk) => Some(disk),
            Err(text) => {
                let text = format!("SKIPPED: no small file system: {text}");
                assert!(std::env::var("CI").as_deref() != Ok("true"), "{text}");
                let _ = writeln!(std::io::stderr(), "{text}");
                None
            }
        }
    }

    fn try_mount() -> Result<SmallDisk, String> {
        if !nix::unistd::geteuid().is_root() {
            return Err("mounting needs root".to_owned());
        }
        let directory = Directory::new();
        let mount_point = directory.0.join("disk");
        std::fs::create_dir(&mount_point).unwrap();
        let image = directory.0.join("image");
        std::fs::File::create(&image).unwrap().set_len(DISK_BYTES).unwrap();
        let (image, at) = (image.to_str().unwrap(), mount_point.to_str().unwrap());
        let on_loop = run("mkfs.ext4", &["-q", "-F", "-m", "0", image])
            .and_then(|()| run("mount", &["-o", "loop", image, at]));
        let is_direct = on_loop.is_ok();
        if let Err(text) = on_loop {
            let _ = writeln!(std::io::stderr(), "no loop device, so on a tmpfs: {text}");
            run("mount", &["-t", "tmpfs", "-o", &format!("size={DISK_BYTES}"), "tmpfs", at])?;
        }
        Ok(SmallDisk { directory, mount_point, is_direct })
    }

    /// Leaves so many bytes free beside what the broker has, by a file of its own.
    pub(crate) fn leave_free(&self, free_bytes: u64) {
        let ballast = self.mount_point.join("ballast");
        let _ = std::fs::remove_file(&ballast);
        let had_bytes = free_bytes_of(&self.mount_point);
        let Some(size) = had_bytes.checked_sub(free_bytes).filter(|size| 0 < *size) else { return };
        run("fallocate", &["-l", &size.to_string(), ballast.to_str().unwrap()]).unwrap();
    }

    /// Takes whatever is left.
    pub(crate) fn leave_nothing_free(&self) {
        let mut ballast = std::fs::File::create(self.mount_point.join("ballast")).unwrap();
        // What a file system keeps for its own needs comes back with a flush; some blocks never do.
        let mut left = u64::MAX;
        while 0 < left {
            for size_bytes in [1 << 20, 4096] {
                while ballast.write_all(&vec![0; size_bytes]).is_ok() {}
            }
            ballast.sync_all().unwrap();
            let before = std::mem::replace(&mut left, free_bytes_of(&self.mount_point));
            if left == before {
                assert!(left < 1 << 20, "{left} bytes are free, and cannot be had");
                return;
            }
        }
    }

    /// Starts a broker here, which tells its log to a file.
    pub(crate) fn broker(&self) -> BrokerOnDisk {
        self.broker_with_limits(SLOW_BELOW_BYTES, REFUSE_BELOW_BYTES)
    }

    pub(crate) fn broker_with_limits(&self, slow: u64, refuse: u64) -> BrokerOnDisk {
        let config = self.directory.0.join("broker.toml");
        let is_direct = self.is_direct;
        let text = format!(
            "[journal]\nfile-bytes = 1048576\nfiles-count = 2\ndirect = {is_direct}\n\
             [disk]\nslow-below-bytes = {slow}\nrefuse-below-bytes = {refuse}\n"
        );
        std::fs::write(&config, text).unwrap();
        let metrics = free_address();
        let log = self.directory.0.join("log");
        let data = self.mount_point.join("data");
        let config = config.to_str().unwrap();
        let arguments = ["--cores", "2", "--metrics", &metrics, "--config", config];
        let mut command = support::command(&data, &arguments);
        command.stderr(std::fs::File::options().create(true).append(true).open(&log).unwrap());
        let broker = Broker::try_start(&mut command).unwrap_or_else(|why| {
            panic!("{why}; its log: {}", std::fs::read_to_string(&log).unwrap_or_default())
        });
        BrokerOnDisk { broker, metrics, log }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // A broker that was just killed may still be on its way out.
        let deadline = Instant::now() + Duration::from_secs(5);
        let at = self.mount_point.to_str().unwrap();
        while run("umount", &[at]).is_err() {
            if deadline < Instant::now() {
                let _ = run("umount", &["--lazy", at]);
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

pub(crate) struct BrokerOnDisk {
    pub(crate) broker: Broker,
    metrics: String,
    log: PathBuf,
}

impl BrokerOnDisk {
    pub(crate) fn metric(&self, name: &str) -> f64 {
        metric(&get(&self.metrics, "/metrics"), name, "")
    }

    /// Waits until the broker says that the disk is ok (0), that producers are slowed (1) or refused (2).
    pub(crate) fn wait_for_state(&self, state: u8, limit: Duration) {
        let begun = Instant::now();
        while self.metric("highwater_disk_state") != f64::from(state) {
            assert!(begun.elapsed() < limit, "the disk does not come to state {state}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// What it has said so far of the disk, of all lives of the broker.
    pub(crate) fn lines_of_the_disk(&self) -> Vec<&'static str> {
        const KINDS: [&str; 3] = ["nearly full", "is full", "room again"];
        let text = std::fs::read_to_string(&self.log).unwrap();
        let kind = |line: &str| KINDS.into_iter().find(|kind| line.contains(kind));
        text.lines().filter(|line| line.contains("the disk ")).filter_map(kind).collect()
    }

    /// Everything that it has said.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// `highwater topic …`
    pub(crate) fn topic(&self, words: &str) {
        let address = self.broker.address.to_string();
        let mut arguments = vec!["topic", "--bootstrap", &address];
        arguments.extend(words.split_whitespace());
        run(env!("CARGO_BIN_EXE_highwater"), &arguments).unwrap();
    }
}

/// What is free on the file system of a path.
fn free_bytes_of(path: &Path) -> u64 {
    let output = Command::new("df").args(["--output=avail", "-B1"]).arg(path).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().nth(1).unwrap().trim().parse().unwrap()
}

fn run(program: &str, arguments: &[&str]) -> Result<(), String> {
    let output = Command::new(program).args(arguments).output();
    let output = output.map_err(|error| format!("{program}: {error}"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!("{program}: {}", String::from_utf8_lossy(&output.stderr).trim())),
    }
}
