//! compio: io_uring, with the same set-up flags as ours, which it leaves off by default.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::mpsc::SyncSender;

use ::compio::BufResult;
use ::compio::driver::ProactorBuilder;
use ::compio::fs::OpenOptions;
use ::compio::io::{AsyncRead, AsyncWriteAt, AsyncWriteExt};
use ::compio::net::{TcpListener, TcpStream};
use ::compio::runtime::{Runtime, RuntimeBuilder, spawn};
use futures_util::future::join_all;

use crate::{APPEND_BYTES, Appends, REQUEST_BYTES, Rival, aligned_block};

pub(crate) const RIVAL: Rival = Rival { name: "compio", echo, append };

fn runtime() -> Runtime {
    let mut proactor = ProactorBuilder::new();
    proactor.single_issuer(true).defer_taskrun(true).coop_taskrun(true);
    let runtime = RuntimeBuilder::new().with_proactor(proactor).build();
    let runtime = runtime.expect("a kernel with io_uring");
    assert!(runtime.driver_type().is_iouring(), "not its fallback, which polls");
    runtime
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
        join_all(connections).await;
    });
}

async fn echo_on(mut connection: TcpStream) {
    let mut buf = Vec::with_capacity(REQUEST_BYTES);
    loop {
        buf.clear();
        let BufResult(received, filled) = connection.read(buf).await;
        if received.expect("the client is on this machine") == 0 {
            return;
        }
        let BufResult(sent, filled) = connection.write_all(filled).await;
        sent.expect("it reads");
        buf = filled;
    }
}

fn append(appends: Appends) {
    runtime().block_on(async move {
        let mut options = OpenOptions::new();
        options.write(true).custom_flags(appends.open_flags());
        let file = options.open(&appends.path).await.expect("the file is there");
        let block = aligned_block();
        let write = |position| {
            let (mut file, block) = (&file, block.clone());
            async move {
                let BufResult(written, _) = file.write_at(block, position).await;
                assert_eq!(written.expect("the disk works"), APPEND_BYTES, "blocks are whole");
            }
        };
        if appends.group_count == 1 {
            return appends.follow(async |position| write(position).await).await;
        }
        let append_group = async |position| {
            join_all(appends.positions(position).map(write)).await;
            file.sync_data().await.expect("the disk works");
        };
        appends.follow(append_group).await;
    });
}
