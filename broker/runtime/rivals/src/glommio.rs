//! glommio: three io_urings without set-up flags. Sockets by `recv` and `send` and, where these
//! would wait, a poll through the ring; files by fixed buffers of its own.

use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::mpsc::SyncSender;

use ::glommio::io::OpenOptions;
use ::glommio::net::{TcpListener, TcpStream};
use ::glommio::{LocalExecutor, LocalExecutorBuilder, Placement, spawn_local};
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use futures_util::future::join_all;

use crate::{APPEND_BYTES, Appends, REQUEST_BYTES, Rival, SERVER_PROCESSOR};

pub(crate) const RIVAL: Rival = Rival { name: "glommio", echo, append };

fn executor() -> LocalExecutor {
    let builder = LocalExecutorBuilder::new(Placement::Fixed(SERVER_PROCESSOR));
    builder.make().expect("a kernel with io_uring, and 512 KiB of memory that may be locked")
}

fn echo(connections_count: usize, address: SyncSender<SocketAddr>) {
    executor().run(async move {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let bound = listener.local_addr().expect("it is bound");
        address.send(bound).expect("the client waits for it");
        let mut connections = Vec::new();
        for _ in 0..connections_count {
            let connection = listener.accept().await.expect("the client connects");
            connection.set_nodelay(true).expect("a fresh connection");
            connections.push(spawn_local(echo_on(connection)));
        }
        join_all(connections).await;
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
    executor().run(async move {
        let mut options = OpenOptions::new();
        // It adds O_DIRECT itself.
        options.read(true).write(true).custom_flags(appends.open_flags() & !nix::libc::O_DIRECT);
        let file = options.dma_open(&appends.path).await.expect("the file is there");
        let mut block = file.alloc_dma_buffer(APPEND_BYTES);
        block.as_bytes_mut().fill(7);
        let block = Rc::new(block);
        let write = |position| {
            let (file, block) = (&file, block.clone());
            async move {
                let written = file.write_rc_at(block, position).await.expect("the disk works");
                assert_eq!(written, APPEND_BYTES, "blocks are whole");
            }
        };
        if appends.group_count == 1 {
            appends.follow(async |position| write(position).await).await;
        } else {
            let append_group = async |position| {
                join_all(appends.positions(position).map(write)).await;
                file.fdatasync().await.expect("the disk works");
            };
            appends.follow(append_group).await;
        }
        file.close().await.expect("the disk works");
    });
}
