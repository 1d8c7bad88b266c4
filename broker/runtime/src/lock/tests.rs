use super::*;

fn directory(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("runtime-lock-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&path).unwrap();
    path
}

#[test]
fn a_directory_in_use_by_a_living_process_is_refused_with_its_pid() {
    let path = directory("living");
    let _held = DirectoryLock::acquire(&path, |_| ()).unwrap();
    let refused = DirectoryLock::acquire(&path, |_| ()).unwrap_err();
    let text = refused.to_string();
    assert!(text.contains(&format!("in use by process {}", std::process::id())), "{text}");
    assert!(text.contains("--data-dir"), "{text}");
}

#[test]
fn a_lock_that_a_dead_process_left_behind_is_waited_for() {
    let path = directory("dead");
    // The lock is held here in the name of a process that does not exist, as the kernel holds it
    // for the ring of a killed process.
    let ghost = OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(path.join("lock"))
        .unwrap();
    assert!(try_lock(&ghost).unwrap());
    Holder { pid: u32::MAX, started_ticks: 1 }.write(&ghost).unwrap();
    let (told, hears) = std::sync::mpsc::channel();
    let waiter = std::thread::spawn(move || {
        DirectoryLock::acquire(&path, move |pid| told.send(pid).unwrap()).map(|_| ())
    });
    assert_eq!(hears.recv().unwrap(), u32::MAX);
    drop(ghost);
    waiter.join().unwrap().unwrap();
}

/// On a full disk a block once given back may be had by nobody.
#[test]
fn a_lock_file_keeps_the_bytes_that_it_has() {
    let path = directory("bytes");
    std::fs::write(path.join("lock"), [b' '; 4096]).unwrap();
    let held = DirectoryLock::acquire(&path, |_| ()).unwrap();
    assert_eq!(held.file.metadata().unwrap().len(), 4096);
    let refused = DirectoryLock::acquire(&path, |_| ()).unwrap_err();
    assert!(matches!(refused, LockError::InUse { pid, .. } if pid == std::process::id()));
}

#[test]
fn a_process_id_that_was_given_to_another_process_is_not_the_holder() {
    let this = Holder::this_process();
    assert!(this.is_alive());
    assert!(!Holder { started_ticks: this.started_ticks + 1, ..this }.is_alive());
}
