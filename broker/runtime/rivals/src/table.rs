//! The interleaved order of a comparison, and its results as a table.

use std::path::Path;
use std::time::Duration;

use criterion::{Bencher, BenchmarkId, Criterion};

use crate::Rival;

/// How often each rival has its turn: A B C D, A B C D, and so on.
const TURNS_COUNT: usize = 9;

/// Criterion as all comparisons use it: short turns, because there are many.
pub fn criterion(output: &Path) -> Criterion {
    // What an earlier run has left would be read as this one's.
    let _ = std::fs::remove_dir_all(output);
    Criterion::default()
        .without_plots()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(600))
        .nresamples(10_000)
        .output_directory(output)
        .configure_from_args()
}

/// Gives each rival its turns at one thing, and prints the table. `output` is Criterion's directory
/// and the thing's name; `finish` yields the processor time of one iteration.
pub fn compare<S>(
    criterion: &mut Criterion,
    output: &Path,
    rivals: &[Rival],
    start: impl Fn(&Rival) -> S,
    measure: impl Fn(&mut S, &mut Bencher<'_>),
    finish: impl Fn(S) -> Duration,
) {
    let name = output.file_name().and_then(|name| name.to_str()).expect("a name of ours");
    let mut processor_times = vec![Vec::new(); rivals.len()];
    let mut group = criterion.benchmark_group(name);
    for turn in 0..TURNS_COUNT {
        for (rival, processor_times) in rivals.iter().zip(&mut processor_times) {
            // Criterion calls for each sample anew; one start serves the whole turn.
            let mut started = None;
            group.bench_function(BenchmarkId::new(rival.name, turn), |bencher| {
                measure(started.get_or_insert_with(|| start(rival)), bencher);
            });
            processor_times.extend(started.map(|started| finish(started).as_secs_f64() * 1e6));
        }
    }
    group.finish();
    print(output, name, rivals, processor_times);
}

/// Of each rival the median of its turns' medians, their quartiles and the least; how it compares
/// with the first; and the median of its processor times. Nothing where nothing was measured.
fn print(output: &Path, name: &str, rivals: &[Rival], processor_times: Vec<Vec<f64>>) {
    let mut first = None;
    for (rival, mut processor_times) in rivals.iter().zip(processor_times) {
        let of_turn = |turn: usize| {
            let place = output.join(rival.name).join(turn.to_string());
            let text = std::fs::read_to_string(place.join("new/estimates.json")).ok()?;
            let estimates: serde_json::Value = serde_json::from_str(&text).ok()?;
            Some(estimates["median"]["point_estimate"].as_f64()? / 1e3)
        };
        let mut times: Vec<f64> = (0..TURNS_COUNT).filter_map(of_turn).collect();
        if times.len() < TURNS_COUNT {
            continue;
        }
        times.sort_by(f64::total_cmp);
        processor_times.sort_by(f64::total_cmp);
        if first.is_none() {
            println!("| {name} | median | quartiles | least | to ours | processor time |");
            println!("|---|---|---|---|---|---|");
        }
        let [least, low, median, high] =
            [0, 1, 2, 3].map(|quarter| times[quarter * TURNS_COUNT / 4]);
        let to_first = median / *first.get_or_insert(median);
        let processor_time = processor_times[TURNS_COUNT / 2];
        println!(
            "| {} | {median:.1} | {low:.1}-{high:.1} | {least:.1} | {to_first:.2} | {processor_time:.1} |",
            rival.name,
        );
    }
    println!();
}
