//! The broker's own reactor: io_uring with `SINGLE_ISSUER`, `DEFER_TASKRUN` and `COOP_TASKRUN`; a
//! durable write is one operation, with `RWF_DSYNC`.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::mpsc::SyncSender;

use bytes::BytesMut;
use futures_util::future::join_all;
use runtime::{File, OpenOptions, TcpListener, TcpStream, WriteMode, block_on, spawn};

use crate::{Appends, REQUEST_BYTES, Rival, aligned_block};

pub(crate) const RIVAL: Rival = Rival { name: "ours", echo, append };

fn echo(connections_count: usize, address: SyncSender<SocketAddr>) {
    let serve = async move {
        let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let listener = TcpListener::bind_alone(any_port).await.expect("a free port");
        let bound = listener.local_address().await.expect("it is bound");
        address.send(bound).expect("the client waits for it");
        let mut connections = Vec::new();
        for _ in 0..connections_count {
            let (connection, _) = listener.accept().await.expect("the client connects");
            connections.push(spawn(echo_on(connection)));
        }
        join_all(connections).await;
    };
    block_on(serve).expect("a kernel with io_uring");
}

async fn echo_on(connection: TcpStream) {
    let mut buf = BytesMut::new();
    loop {
        buf.reserve(REQUEST_BYTES);
        let (received, filled) = connection.receive(buf).await;
        buf = filled;
        match received.expect("the client is on this machine") {
            0 => return,
            _ => connection.send_all(vec![buf.split().freeze()]).await.expect("it reads"),
        }
    }
}

fn append(appends: Appends) {
    let run = async move {
        let options = OpenOptions::WRITE.direct(true);
        let file = File::open(&appends.path, options).await.expect("the file is there");
        let block = aligned_block();
        let write = |position, mode| {
            let written = file.write_all_at(block.clone(), position, mode);
            async { written.await.expect("the disk works") }
        };
        if appends.group_count == 1 {
            return appends
                .follow(async |position| write(position, WriteMode::Durable).await)
                .await;
        }
        let append_group = async |position| {
            let cached = |position| write(position, WriteMode::Cached);
            join_all(appends.positions(position).map(cached)).await;
            file.sync_data().await.expect("the disk works");
        };
        appends.follow(append_group).await;
    };
    block_on(run).expect("a kernel with io_uring");
}
