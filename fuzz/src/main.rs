//! Writes the made-up inputs of every target below a directory: `cargo run -p fuzz -- fuzz/corpus`.

#![forbid(unsafe_code)]

use std::path::PathBuf;

fn main() -> std::io::Result<()> {
    let into =
        std::env::args_os().nth(1).map_or_else(|| PathBuf::from("fuzz/corpus"), PathBuf::from);
    for target in fuzz::TARGETS {
        let directory = into.join(target.name);
        std::fs::create_dir_all(&directory)?;
        for (number, seed) in fuzz::seeds::of(target.name).iter().enumerate() {
            std::fs::write(directory.join(format!("seed-{number:03}")), seed)?;
        }
    }
    Ok(())
}
