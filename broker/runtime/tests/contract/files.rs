//! Files and directories.

use std::io::ErrorKind;

use bytes::Bytes;
use runtime::{AlignedBuf, File, OpenOptions, WriteMode};

use super::on_both_machines;

fn pattern(size_bytes: usize) -> AlignedBuf {
    let mut buf = AlignedBuf::with_capacity(size_bytes);
    for n in 0..size_bytes.div_ceil(4) {
        buf.extend_from_slice(&u32::try_from(n).unwrap().to_le_bytes());
    }
    buf.truncate(size_bytes);
    buf
}

#[test]
fn what_was_written_is_read_back_direct_and_cached() {
    on_both_machines(|directory| async move {
        for (direct, mode) in [
            (false, WriteMode::Cached),
            (false, WriteMode::Durable),
            (true, WriteMode::Cached),
            (true, WriteMode::Durable),
        ] {
            let path = directory.join(format!("file-{direct}-{mode:?}"));
            let file = File::open(&path, OpenOptions::CREATE.direct(direct)).await.unwrap();
            let data = pattern(5 * 4096).freeze();
            let background = OpenOptions::WRITE.direct(direct).background();
            let background = File::open(&path, background).await.unwrap();
            background.write_all_at(data.slice(8192..), 8192, mode).await.unwrap();
            file.write_all_at(data.slice(..8192), 0, mode).await.unwrap();
            assert_eq!(file.size_bytes().await.unwrap(), 5 * 4096);
            file.sync_data().await.unwrap();
            file.close().await.unwrap();

            let options = OpenOptions::READ.direct(direct).background();
            let file = File::open(&path, options).await.unwrap();
            assert_eq!(&file.read_exact_at(4096, 8192).await.unwrap()[..], &data[4096..12288]);
            let file = File::open(&path, OpenOptions::READ).await.unwrap();
            let read = file.read_exact_at(100, 1000).await.unwrap();
            assert_eq!(&read[..], &data[100..1100]);
            let read = file.read_up_to(4 * 4096, 3 * 4096).await.unwrap();
            assert_eq!(&read[..], &data[4 * 4096..], "reading stops at the end of the file");
            let beyond = file.read_exact_at(5 * 4096, 1).await.unwrap_err();
            assert_eq!(beyond.kind(), ErrorKind::UnexpectedEof);
        }
    });
}

#[test]
fn direct_io_refuses_what_is_not_in_whole_blocks() {
    on_both_machines(|directory| async move {
        let path = directory.join("file");
        let file = File::open(&path, OpenOptions::CREATE.direct(true)).await.unwrap();
        let data = pattern(4096).freeze();
        for (position, size_bytes) in [(100, 4096), (0, 100)] {
            let written =
                file.write_all_at(data.slice(..size_bytes), position, WriteMode::Cached).await;
            assert_eq!(written.unwrap_err().kind(), ErrorKind::InvalidInput);
        }
    });
}

#[test]
fn sizes_change_by_allocation_and_truncation() {
    on_both_machines(|directory| async move {
        let file = File::open(directory.join("file"), OpenOptions::CREATE).await.unwrap();
        file.allocate(0, 65_536).await.unwrap();
        assert_eq!(file.size_bytes().await.unwrap(), 65_536);
        file.write_all_at(Bytes::from_static(b"abc"), 10, WriteMode::Cached).await.unwrap();
        assert_eq!(file.size_bytes().await.unwrap(), 65_536);
        file.truncate(12).await.unwrap();
        let read = file.read_up_to(8, 100).await.unwrap();
        assert_eq!(&read[..], b"\0\0ab");
    });
}

#[test]
fn names_are_created_listed_renamed_and_removed() {
    on_both_machines(|directory| async move {
        let inner = directory.join("a/b");
        runtime::create_dir_durably(&inner).await.unwrap();
        runtime::create_dir_durably(&inner).await.unwrap();
        for name in ["2", "10", "1"] {
            File::open(inner.join(name), OpenOptions::CREATE).await.unwrap();
        }
        runtime::rename(inner.join("2"), inner.join("3")).await.unwrap();
        runtime::sync_dir(&inner).await.unwrap();
        let names = |entries: Vec<runtime::DirEntry>| {
            entries.into_iter().map(|entry| entry.name).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(names(runtime::read_dir(&inner).await.unwrap()), "1 10 3");
        assert!(runtime::read_dir(directory.join("a")).await.unwrap()[0].is_dir);
        let full = runtime::remove_dir(&inner).await.unwrap_err();
        assert_eq!(full.kind(), ErrorKind::DirectoryNotEmpty);
        for name in ["1", "3", "10"] {
            runtime::remove_file(inner.join(name)).await.unwrap();
        }
        runtime::remove_dir(&inner).await.unwrap();
        let gone = runtime::read_dir(&inner).await.unwrap_err();
        assert_eq!(gone.kind(), ErrorKind::NotFound);
    });
}

#[test]
fn opening_says_what_is_wrong() {
    on_both_machines(|directory| async move {
        let path = directory.join("file");
        let kind = |opened: std::io::Result<File>| opened.map(|_| ()).unwrap_err().kind();
        assert_eq!(kind(File::open(&path, OpenOptions::WRITE).await), ErrorKind::NotFound);
        File::open(&path, OpenOptions::CREATE_NEW).await.unwrap();
        assert_eq!(
            kind(File::open(&path, OpenOptions::CREATE_NEW).await),
            ErrorKind::AlreadyExists
        );
        let below_a_file = path.join("x");
        assert_eq!(
            kind(File::open(below_a_file, OpenOptions::CREATE).await),
            ErrorKind::NotADirectory
        );
    });
}

#[test]
fn a_removed_file_is_read_by_those_who_have_it_open() {
    on_both_machines(|directory| async move {
        let path = directory.join("file");
        let file = File::open(&path, OpenOptions::CREATE).await.unwrap();
        file.write_all_at(Bytes::from_static(b"abc"), 0, WriteMode::Cached).await.unwrap();
        runtime::remove_file(&path).await.unwrap();
        assert_eq!(&file.read_exact_at(0, 3).await.unwrap()[..], b"abc");
    });
}

#[test]
fn a_dropped_read_leaves_its_buffer_to_the_machine() {
    on_both_machines(|directory| async move {
        let file = File::open(directory.join("file"), OpenOptions::CREATE).await.unwrap();
        let data = pattern(1 << 20).freeze();
        file.write_all_at(data.clone(), 0, WriteMode::Cached).await.unwrap();
        for _ in 0..50 {
            let buf = AlignedBuf::for_reading(1 << 20);
            let mut read = Box::pin(file.read_at(buf, 0));
            // Submitted by the first poll, then dropped.
            let polled = std::future::poll_fn(|context| {
                std::task::Poll::Ready(read.as_mut().poll(context).is_ready())
            });
            polled.await;
            drop(read);
            // Memory that was still being read into would show here.
            let clean = AlignedBuf::zeroed(1 << 20);
            runtime::yield_now().await;
            assert!(clean.iter().all(|byte| *byte == 0));
        }
        assert_eq!(&file.read_exact_at(0, 1 << 20).await.unwrap()[..], &data[..]);
    });
}

#[test]
fn space_is_told() {
    on_both_machines(|directory| async move {
        let space = runtime::space(directory).await.unwrap();
        assert!(0 < space.free_bytes && space.free_bytes <= space.total_bytes);
    });
}

#[test]
fn a_range_that_is_given_back_reads_as_zeros() {
    on_both_machines(|directory| async move {
        let path = directory.join("punched");
        let file = File::open(&path, OpenOptions::CREATE).await.unwrap();
        let data = pattern(6 * 4096).freeze();
        file.write_all_at(data.clone(), 0, WriteMode::Cached).await.unwrap();
        file.sync_data().await.unwrap();
        file.punch(4096, 3 * 4096).await.unwrap();
        assert_eq!(file.size_bytes().await.unwrap(), 6 * 4096);
        let read = file.read_exact_at(0, 6 * 4096).await.unwrap();
        assert_eq!(&read[..4096], &data[..4096]);
        assert!(read[4096..4 * 4096].iter().all(|byte| *byte == 0));
        assert_eq!(&read[4 * 4096..], &data[4 * 4096..]);
        file.write_all_at(data.slice(4096..8192), 4096, WriteMode::Cached).await.unwrap();
        assert_eq!(&file.read_exact_at(4096, 4096).await.unwrap()[..], &data[4096..8192]);
    });
}
