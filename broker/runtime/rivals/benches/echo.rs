//! Requests and answers of 64 bytes over loopback: on one connection, and on 64 at once.

use std::path::Path;

use criterion::Bencher;
use rivals::{ANSWERING, Client, table};

fn main() {
    let output = Path::new(env!("CARGO_TARGET_TMPDIR")).join("echo");
    let mut criterion = table::criterion(&output);
    for (name, connections_count) in [("echo-1-connection", 1), ("echo-64-connections", 64)] {
        let start = |rival: &_| Client::new(rival, connections_count);
        let measure = |client: &mut Client, bencher: &mut Bencher<'_>| {
            bencher.iter(|| client.round());
        };
        table::compare(
            &mut criterion,
            &output.join(name),
            &ANSWERING,
            start,
            measure,
            Client::finish,
        );
    }
}
