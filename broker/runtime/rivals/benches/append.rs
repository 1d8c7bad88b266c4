//! Durable appends of 4 KiB: each for itself, and 32 that are written at once and flushed together.

use std::path::Path;

use criterion::Bencher;
use rivals::{APPENDING, Appender, prepare_file, table};

fn main() {
    let temporary = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let (output, file) = (temporary.join("append"), temporary.join("append.log"));
    let mut criterion = table::criterion(&output);
    prepare_file(&file);
    for (name, group_count) in [("append-1", 1), ("append-32", 32)] {
        let start = |rival: &_| Appender::new(rival, &file, group_count);
        let measure = |appender: &mut Appender, bencher: &mut Bencher<'_>| {
            bencher.iter_custom(|groups_count| appender.append(groups_count));
        };
        table::compare(
            &mut criterion,
            &output.join(name),
            &APPENDING,
            start,
            measure,
            Appender::finish,
        );
    }
    std::fs::remove_file(&file).expect("it was written above");
}
