//! tokio: one thread with epoll; files on threads beside it, one hand-over for each group of
//! appends. (`tokio::fs` would hand over every write and copy it, to memory that is not aligned.)
//! A thread can wait for one direct write at a time only; so it also takes part with the page cache.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::sync::Arc;
use std::sync::mpsc::SyncSender;

use ::tokio::io::{AsyncReadExt, AsyncWriteExt};
use ::tokio::net::{TcpListener, TcpStream};
use ::tokio::runtime::{Builder, Runtime};
use ::tokio::task::{spawn, spawn_blocking};

use crate::{Appends, REQUEST_BYTES, Rival, aligned_block};

pub(crate) const RIVAL: Rival = Rival { name: "tokio", echo, append };
/// The same through the page cache, which `O_DSYNC` or the flush of the group then writes out.
pub(crate) const RIVAL_CACHED: Rival =
    Rival { name: "tokio, page cache", echo, append: append_cached };

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_io().build().expect("epoll is everywhere")
}

fn echo(connections_count: usize, address: SyncSender<SocketAddr>) {
    runtime().block_on(async move {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let bound = listener.local_addr().expect("it is bound");
        address.send(bound).expect("the client waits for it");
        let mut connections = Vec::new();
        for _ in 0..connections_count {
            let (connection, _) = listener.accept().await.expect("the client connects");
            connection.set_nodelay(true).expect("a fresh connection");
            connections.push(spawn(echo_on(connection)));
        }
        for connection in connections {
            connection.await.expect("nobody aborts it");
        }
    });
}

async fn echo_on(mut connection: TcpStream) {
    let mut buf = [0; REQUEST_BYTES];
    loop {
        let received = connection.read(&mut buf).await.expect("the client is on this machine");
        if received == 0 {
            return;
        }
        connection.write_all(&buf[..received]).await.expect("it reads");
    }
}

fn append(appends: Appends) {
    let flags = appends.open_flags();
    append_through(appends, flags);
}

fn append_cached(appends: Appends) {
    let flags = appends.open_flags() & !nix::libc::O_DIRECT;
    append_through(appends, flags);
}

fn append_through(appends: Appends, flags: i32) {
    runtime().block_on(async move {
        let mut options = std::fs::OpenOptions::new();
        options.write(true).custom_flags(flags);
        let file = Arc::new(options.open(&appends.path).expect("the file is there"));
        let block = aligned_block();
        let append_group = async |position| {
            let (file, block) = (file.clone(), block.clone());
            let positions = appends.positions(position);
            let is_group = 1 < appends.group_count;
            let written = spawn_blocking(move || {
                for position in positions {
                    file.write_all_at(&block, position)?;
                }
                if is_group { file.sync_data() } else { Ok(()) }
            });
            written.await.expect("nobody aborts it").expect("the disk works");
        };
        appends.follow(append_group).await;
    });
}
