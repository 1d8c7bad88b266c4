//! A calibration in plain text.

use std::fmt::Write;

use super::{TOO_FEW, aligned, row, summary_cells, summary_heading};
use crate::calibrate::{Calibration, Step};
use crate::outcome::LATENESS_SHARE_MAX;
use crate::schedule::RECORDS_MAX;
use crate::units::{bytes_text, count_text, grouped, three_digits, time_text, whole};

/// Floor, ceiling, and every rate that was tried.
pub fn calibration(calibration: &Calibration) -> String {
    let mut text = "against a broker that accepts everything and does nothing:\n\n".to_owned();
    let floor = &calibration.floor;
    let rows = [
        row("floor", summary_heading()),
        row("empty question", summary_cells(&calibration.ping)),
        row("one record", summary_cells(&floor.response)),
        row("sent late by", summary_cells(&floor.lateness)),
    ];
    text.push_str(&aligned(&rows));
    text.push('\n');
    let heading =
        ["ceiling", "records/s", "bytes/s", "CPU s/GB", "CPU", "p99", "late p99", "shows p99 from"];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    rows.push(step_cells("as fast as possible".to_owned(), &calibration.ceiling));
    for step in &calibration.steps {
        let asked = step.asked_per_s.unwrap_or_default();
        rows.push(step_cells(format!("at {}/s", count_text(asked)), step));
    }
    text.push_str(&aligned(&rows));
    for step in &calibration.steps {
        for limit in &step.limits {
            let asked = count_text(step.asked_per_s.unwrap_or_default());
            let _ = writeln!(text, "  not at {asked}/s: {limit}");
        }
    }
    if calibration.is_cut_short() {
        let _ = writeln!(
            text,
            "  no higher: a schedule holds at most {} records, and this is what fits into a step",
            grouped(whole(RECORDS_MAX))
        );
    }
    let _ = match calibration.open_ceiling() {
        Some(step) => writeln!(
            text,
            "\nthe generator keeps up with a schedule of {}{} records/s, {}/s",
            if calibration.is_cut_short() { "at least " } else { "" },
            count_text(step.asked_per_s.unwrap_or_default()),
            bytes_text(step.bytes_per_s)
        ),
        None => writeln!(text, "\nthe generator keeps up with none of these rates"),
    };
    text
}

fn step_cells(name: String, step: &Step) -> Vec<String> {
    let is_open = step.asked_per_s.is_some();
    let time = |time: Option<u64>| match time {
        Some(time) if is_open => time_text(time),
        Some(_) => "-".to_owned(),
        None => if is_open { TOO_FEW } else { "-" }.to_owned(),
    };
    // The rule by which a run is called client-bound.
    let shown = step.lateness.p99.map(|late| whole(late as f64 / LATENESS_SHARE_MAX));
    vec![
        name,
        count_text(step.records_per_s),
        bytes_text(step.bytes_per_s),
        three_digits(step.cpu_s_per_gb),
        format!("{} %", three_digits(step.cpu_share * 100.0)),
        time(step.response.p99),
        time(step.lateness.p99),
        time(shown),
    ]
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::measure::Summary;

    fn step(asked_per_s: Option<f64>, late: u64, limits: &[&str]) -> Step {
        let records_per_s = asked_per_s.unwrap_or(900_000.0);
        let times = |time| Summary { count: 20_000, p99: Some(time), ..Summary::default() };
        Step {
            asked_per_s,
            records_per_s,
            bytes_per_s: records_per_s * 1024.0,
            cpu_s_per_gb: 0.43,
            cpu_share: 0.397,
            response: times(2_000_000),
            lateness: times(late),
            limits: limits.iter().map(|&limit| limit.to_owned()).collect(),
        }
    }

    fn calibrated(steps: Vec<Step>) -> Calibration {
        Calibration {
            ping: Summary { count: 100, p50: Some(40_000), max: 90_000, ..Summary::default() },
            floor: step(Some(500.0), 40_000, &[]),
            ceiling: step(None, 0, &[]),
            steps,
        }
    }

    #[test]
    fn a_climb_that_ended_at_what_a_schedule_holds_says_so() {
        let cut_short = calibration(&calibrated(vec![step(Some(2e7), 50_000, &[])]));
        let ending = cut_short.split_once("  no higher").unwrap().1;
        expect![[r#"
            : a schedule holds at most 50 000 000 records, and this is what fits into a step

            the generator keeps up with a schedule of at least 20.0 M records/s, 20.5 GB/s
        "#]]
        .assert_eq(ending);
    }

    #[test]
    fn floor_ceiling_and_limits_are_told() {
        let calibrated =
            calibrated(vec![step(Some(1e4), 50_000, &[]), step(Some(2e4), 60_000, &["too much"])]);
        expect![[r#"
            against a broker that accepts everything and does nothing:

            floor           samples      p50      p90      p99    p99.9   p99.99      max
            empty question      100  40.0 µs  too few  too few  too few  too few  90.0 µs
            one record       20 000  too few  too few  2.00 ms  too few  too few     0 ns
            sent late by     20 000  too few  too few  40.0 µs  too few  too few     0 ns

            ceiling              records/s  bytes/s  CPU s/GB     CPU      p99  late p99  shows p99 from
            as fast as possible      900 k   922 MB     0.430  39.7 %        -         -               -
            at 10.0 k/s             10.0 k  10.2 MB     0.430  39.7 %  2.00 ms   50.0 µs          500 µs
            at 20.0 k/s             20.0 k  20.5 MB     0.430  39.7 %  2.00 ms   60.0 µs          600 µs
              not at 20.0 k/s: too much

            the generator keeps up with a schedule of 10.0 k records/s, 10.2 MB/s
        "#]]
        .assert_eq(&calibration(&calibrated));
    }
}
