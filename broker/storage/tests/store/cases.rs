//! The situations in which crashes have found holes in earlier drafts of the protocol. The rules in
//! the names are those of `FORMAT.md`: without the rule the test fails.

use std::time::Duration;

use runtime::Rng;
use runtime::sim::{Crash, Disk, Fate, Fault, OperationKind};
use storage::FlushMethod;

use crate::crashes::{begin, epilogue, options, sweep, sweep_flushing, thoroughness};
use crate::ghost::Ghost;
use crate::script::{GROUPED, Step};
use Step::*;

/// Appends that are flushed one by one.
fn appends(number: i32, count: usize, size_bytes: usize) -> Vec<Step> {
    (0..count).flat_map(|_| [Append(number, size_bytes), Flushed(number)]).collect()
}

fn script(parts: impl IntoIterator<Item = Vec<Step>>) -> Vec<Step> {
    [Create].into_iter().chain(parts.into_iter().flatten()).collect()
}

/// W2, with each way to flush; 6.2: what is read at a start is flushed before (cases 1 and 2).
#[test]
fn w2_what_was_reported_flushed_survives() {
    for flush_method in [FlushMethod::WriteDurably, FlushMethod::WriteThenFlush] {
        sweep_flushing("w2", flush_method, |_| flushed_now_and_then());
    }
}

fn flushed_now_and_then() -> Vec<Step> {
    script((0..6).map(|n| {
        vec![
            Append(0, 100),
            Append(1, 3000),
            Append(2, 700),
            Append(0, 2500),
            SleepMicros(n * 60),
            Flushed(2),
            Commit,
        ]
    }))
}

/// W3, W7; 6.6 (case 13).
#[test]
fn w3_a_vote_is_complete_before_its_epoch_is_used() {
    sweep("w3", |_| {
        script((0..5).map(|n| {
            vec![
                AskVote(GROUPED),
                // Admitted only when the vote is complete.
                Append(GROUPED, 300),
                AskVote(0),
                Append(0, 300),
                SleepMicros(n * 40),
                Vote(1),
                Append(1, 300),
            ]
        }))
    });
}

/// W5; 6.8.
#[test]
fn w5_a_truncation_survives_and_what_it_cut_does_not() {
    sweep("w5", |_| {
        script((0..5).map(|n| {
            vec![
                Append(GROUPED, 500),
                Append(GROUPED, 500),
                Flushed(GROUPED),
                Append(GROUPED, 2000),
                Truncate(2),
                Vote(GROUPED),
                Append(GROUPED, 100),
                SleepMicros(n * 50),
                Append(GROUPED, 100),
                Flushed(GROUPED),
                Commit,
                BeginCheckpoint,
                Truncate(1),
            ]
        }))
    });
}

/// W6; 4.1 (case 9); 6.10.
#[test]
fn w6_segments_hold_whole_committed_blocks_while_pieces_are_in_flight() {
    sweep("w6", |_| {
        script((0..3).map(|_| {
            vec![
                Append(0, 3500),
                Append(0, 3500),
                Append(GROUPED, 3500),
                Append(GROUPED, 3500),
                Flushed(0),
                BeginCheckpoint,
                Append(0, 3500),
                Flushed(GROUPED),
                Commit,
                BeginCheckpoint,
                Append(0, 3500),
                Append(GROUPED, 100),
                SleepMicros(300),
                Flushed(0),
            ]
        }))
    });
}

/// W10.
#[test]
fn w10_the_last_commit_is_sealed_when_it_is_quiet() {
    sweep("w10", |_| {
        script((0..4).map(|_| {
            vec![Append(0, 500), Flushed(0), SleepMicros(120_000), Append(1, 10), Flushed(1)]
        }))
    });
}

/// S1, S2, S3: the relaxed stream fills its files without a reserve; 4.5, 4.6.
#[test]
fn s1_s2_files_are_reused_only_when_nothing_needs_them() {
    sweep("s1", |_| {
        script((0..30).map(|n| {
            let mut steps = appends(0, 2, 3000);
            steps.extend(appends(1, 2, 3500));
            if n % 4 == 3 {
                steps.push(BeginCheckpoint);
            }
            steps
        }))
    });
}

/// 4.1, 4.2, 4.3, 4.4, 4.5, 4.6, 4.7 (cases 9 and 18).
#[test]
fn checkpoint_1_to_7_every_step_may_be_the_last() {
    sweep("checkpoint", |_| {
        script((0..3).map(|n| {
            vec![
                Append(0, 3000),
                Append(1, 3000),
                Append(2, 3000),
                Flushed(0),
                Flushed(1),
                Flushed(2),
                Commit,
                Append(2, 200),
                BeginCheckpoint,
                Append(0, 1000),
                Append(1, 1000),
                SleepMicros(100 * n),
                Append(0, 1000),
                Checkpoint,
                Append(1, 100),
            ]
        }))
    });
}

/// 4.2 (case 10).
#[test]
fn checkpoint_2_the_directory_of_a_new_segment_is_flushed() {
    // Segments hold 20,000 bytes.
    sweep("segments", |_| {
        script((0..5).map(|_| {
            let mut steps = appends(0, 5, 3000);
            steps.extend([Append(1, 3900), Append(1, 3900), BeginCheckpoint, Append(0, 3000)]);
            steps.extend([SleepMicros(400), Checkpoint]);
            steps
        }))
    });
}

/// 4.4, W4 (case 14).
#[test]
fn checkpoint_4_the_carry_is_gathered_from_memory_as_it_is_at_that_moment() {
    sweep("carry", |_| {
        script((0..4).map(|_| {
            vec![
                Append(GROUPED, 1000),
                Append(GROUPED, 1000),
                Append(GROUPED, 1000),
                Flushed(GROUPED),
                BeginCheckpoint,
                Truncate(1),
                Append(GROUPED, 400),
                SleepMicros(100),
                Truncate(1),
                Append(GROUPED, 500),
                SleepMicros(150),
                Truncate(1),
                Append(GROUPED, 600),
                Vote(GROUPED),
                Append(GROUPED, 700),
                Flushed(GROUPED),
                Commit,
            ]
        }))
    });
}

/// C1, C2; 6.7, 6.8, 6.9 (cases 6, 7 and 8).
#[test]
fn c1_c2_a_change_of_level_leaves_no_gap() {
    sweep("levels", |_| {
        script((0..3).map(|_| {
            vec![
                Append(1, 500),
                Append(1, 500),
                Switch(1),
                Append(1, 500),
                Flushed(1),
                Append(1, 500),
                Switch(1),
                Append(1, 500),
                Append(GROUPED, 500),
                Append(GROUPED, 500),
                Switch(GROUPED),
                Truncate(1),
                Append(GROUPED, 500),
                Switch(GROUPED),
                Append(GROUPED, 500),
                Flushed(1),
                BeginCheckpoint,
                Switch(0),
                Append(0, 500),
                Switch(0),
                Append(0, 500),
            ]
        }))
    });
}

/// C4; 4.7 (case 11).
#[test]
fn c4_segments_below_the_log_start_go_only_after_the_checkpoint() {
    sweep("log start", |_| {
        script((0..3).map(|_| {
            let mut steps = appends(0, 12, 3000);
            steps.extend([LogStart(0), Flushed(0), Append(0, 100), BeginCheckpoint]);
            steps.extend([Append(0, 100), SleepMicros(500), Checkpoint, Append(0, 100)]);
            steps
        }))
    });
}

/// C4; 4.7: a segment that ends by its age goes whole, and leaves an empty one behind.
#[test]
fn c4_the_segment_that_takes_the_appends_can_end_and_go() {
    sweep("log start at the end", |_| {
        script((0..3).map(|_| {
            let mut steps = appends(0, 3, 3000);
            steps.extend([Flushed(0), Roll(0), LogStart(0), Flushed(0), BeginCheckpoint]);
            steps.extend([Roll(0), SleepMicros(300), Checkpoint, Append(0, 100), Roll(0)]);
            steps
        }))
    });
}

/// K1, K2: what compaction has made of some segments is there wholly or not at all, and what the
/// base on the medium names is not touched.
#[test]
fn k2_a_compacted_segment_is_there_wholly_or_not_at_all() {
    let counts = sweep("compaction", |_| {
        script((0..3).map(|n| {
            let mut steps = appends(0, 7, 3000);
            steps.extend([Roll(0), Append(0, 500), Roll(0), Append(0, 700), Flushed(0), Roll(0)]);
            // The segments are sealed with this, and not needed any more.
            steps.extend([Checkpoint, Append(0, 900), Flushed(0), Compact(0)]);
            if n == 2 {
                steps.extend([LogStart(0), Flushed(0), BeginCompact(0), Checkpoint]);
            }
            steps
        }))
    });
    assert!(1 < counts.compactions, "{counts:?}");
}

/// K1, with everything under way at once.
#[test]
fn k1_segments_that_the_base_names_are_not_compacted() {
    let counts = sweep("compaction beside checkpoints", |_| {
        script((0..4).map(|n| {
            let mut steps = appends(0, 3, 2500);
            steps.extend([Roll(0), BeginCheckpoint, SleepMicros(n * 150), BeginCompact(0)]);
            steps.extend(appends(0, 2, 1200));
            steps.extend([Roll(0), SleepMicros(n * 70), Compact(0), Append(0, 100), Flushed(0)]);
            steps
        }))
    });
    assert!(1 < counts.compactions, "{counts:?}");
}

/// 6.12, 6.13: creation and the first start record.
#[test]
fn start_12_the_first_start_is_crashed_like_any_other() {
    let steps = std::rc::Rc::new(vec![Create, Append(0, 100), Flushed(0)]);
    let mut recoveries_count = 0;
    for seed in 0..3 {
        let mut life = begin(seed, Disk::new(), options(1), &Ghost::default(), &steps);
        let mut operations_seen = 0;
        while !life.handle.is_ready() {
            assert!(life.simulation.step());
            let operations = life.simulation.operations_count();
            if operations == operations_seen {
                continue;
            }
            operations_seen = operations;
            for (crash, boot) in [(Crash::Kill, 1), (Crash::PowerLoss, 2)] {
                for mut fate in [Fate::nothing(), Fate::everything(), Fate::random(operations)] {
                    let disk = life.simulation.disk_after(life.process, crash, &mut fate);
                    let mut ghost = life.ghost.borrow().clone();
                    if crash == Crash::PowerLoss {
                        ghost.lose_power();
                    }
                    let mut next = begin(seed, disk, options(boot), &ghost, &epilogue());
                    next.simulation.run_until(|| next.handle.is_ready());
                    assert_eq!(next.handle.take().unwrap(), Ok(()), "{seed} {operations} {fate:?}");
                    recoveries_count += 1;
                }
            }
        }
    }
    assert!(200 < recoveries_count, "{recoveries_count}");
}

/// 6.11, S2 (case 4).
#[test]
fn start_11_carries_whose_superblock_was_never_written_do_not_eat_the_reserve() {
    // Each life is killed when its carry is complete and its superblock is not, again and again.
    for seed in 0..2 * thoroughness() {
        let mut disk = Disk::new();
        let mut ghost = Ghost::default();
        let mut steps = vec![Create];
        for life_number in 0..60u64 {
            steps.extend([Append(0, 2000), Append(1, 2000), Flushed(0), Flushed(1), Checkpoint]);
            let all = std::rc::Rc::new(std::mem::take(&mut steps));
            let mut life = begin(seed, disk, options(1), &ghost, &all);
            // The superblock that follows a carry is the third that a life writes.
            let written = std::rc::Rc::new(std::cell::Cell::new(0));
            let seen = written.clone();
            life.simulation.inject(move |operation| {
                let is_superblock = operation.path.ends_with("superblock")
                    && operation.kind == runtime::sim::OperationKind::Write;
                seen.set(seen.get() + u64::from(is_superblock));
                runtime::sim::Fault::None
            });
            // The first life creates the journal, which writes it as well.
            let wanted = if life_number == 0 { 5 } else { 3 };
            while written.get() < wanted {
                assert!(!life.handle.is_ready(), "the checkpoint writes its superblock");
                assert!(life.simulation.step(), "seed {seed}, life {life_number}: stuck");
            }
            let crash = Crash::Kill;
            disk = life.simulation.disk_after(life.process, crash, &mut Fate::nothing());
            ghost = life.ghost.borrow().clone();
        }
    }
}

/// 7 (case 12).
#[test]
fn a_clean_stop_keeps_the_relaxed_stream_through_a_loss_of_power() {
    // The end of the script is crashed as well: after the clean stop everything must be there.
    sweep("clean stop", |_| {
        let mut steps = script([appends(0, 3, 500), appends(1, 6, 700)]);
        steps.extend([Append(1, 100), Close]);
        steps
    });
}

/// 7, 6.12, 6.3 (cases 3 and 12).
#[test]
fn a_clean_stop_is_not_taken_for_one_after_the_next_start() {
    for seed in 0..20 * thoroughness() {
        let first = std::rc::Rc::new(vec![Create, Append(1, 500), Flushed(1), Close]);
        let mut life = begin(seed, Disk::new(), options(1), &Ghost::default(), &first);
        life.simulation.run_until(|| life.handle.is_ready());
        assert_eq!(life.handle.take().unwrap(), Ok(()));
        let disk = life.simulation.disk_after(life.process, Crash::Kill, &mut Fate::everything());
        let ghost = life.ghost.borrow().clone();
        // Relaxed appends after the start are lost with the power, and nothing is damaged by it.
        let second = std::rc::Rc::new(vec![
            Append(1, 500),
            Append(1, 3000),
            Flushed(1),
            Append(1, 3000),
            Flushed(1),
        ]);
        let mut life = begin(seed, disk, options(1), &ghost, &second);
        life.simulation.run_until(|| life.handle.is_ready());
        assert_eq!(life.handle.take().unwrap(), Ok(()));
        for bits in 0..32 {
            let mut fate = Fate::subset(bits * 0x0123_4567_89ab);
            let disk = life.simulation.disk_after(life.process, Crash::PowerLoss, &mut fate);
            let mut ghost = life.ghost.borrow().clone();
            ghost.lose_power();
            let mut next = begin(seed, disk, options(2), &ghost, &epilogue());
            next.simulation.run_until(|| next.handle.is_ready());
            assert_eq!(next.handle.take().unwrap(), Ok(()), "seed {seed}, bits {bits}");
        }
    }
}

/// 7: what the relaxed stream wrote after the mark of the last checkpoint is flushed, too.
#[test]
fn a_clean_stop_flushes_what_came_after_the_last_mark() {
    let steps = std::rc::Rc::new(vec![
        Create,
        Append(1, 500),
        SleepMicros(500),
        // Waits behind the first one, and so beyond the checkpoint that the stop makes.
        Append(1, 500),
        Close,
    ]);
    for seed in 0..10 {
        let mut life = begin(seed, Disk::new(), options(1), &Ghost::default(), &steps);
        life.simulation.inject(|operation| {
            let is_relaxed = operation.path.to_string_lossy().contains("relaxed-");
            match operation.kind {
                OperationKind::Write if is_relaxed => Fault::Slow(Duration::from_millis(20)),
                _ => Fault::None,
            }
        });
        life.simulation.run_until(|| life.handle.is_ready());
        assert_eq!(life.handle.take().unwrap(), Ok(()));
        for mut fate in [Fate::nothing(), Fate::random(seed)] {
            let disk = life.simulation.disk_after(life.process, Crash::PowerLoss, &mut fate);
            let ghost = life.ghost.borrow().clone();
            let mut next = begin(seed, disk, options(2), &ghost, &epilogue());
            next.simulation.run_until(|| next.handle.is_ready());
            assert_eq!(next.handle.take().unwrap(), Ok(()), "seed {seed}, {fate:?}");
        }
    }
}

/// Whatever comes, in any order.
fn random_script(seed: u64, steps_count: usize) -> Vec<Step> {
    let mut rng = Rng::from_seed(seed ^ 0x5ca1_ab1e);
    let mut steps = vec![Create];
    let largest = if rng.one_in(2) { 3900 } else { 700 };
    for _ in 0..steps_count {
        let number = i32::try_from(rng.below(3)).unwrap();
        let size_bytes = 8 + rng.index(largest - 8);
        steps.push(match rng.below(27) {
            0..=11 => Append(number, size_bytes),
            12 | 13 => Flushed(number),
            14 => Vote(number),
            15 => AskVote(number),
            16 | 17 => Commit,
            18 => Truncate(1 + rng.below(3)),
            19 => LogStart(number % 2),
            20 => Switch(number),
            21 => Checkpoint,
            22 => BeginCheckpoint,
            23 => Roll(number),
            24 => Compact(number),
            25 => BeginCompact(number),
            _ => SleepMicros(rng.below(400)),
        });
    }
    steps
}

/// All of them together; 6.4 (case 5).
#[test]
fn random_scripts_survive_any_crash() {
    for script_seed in 0..6 {
        sweep("random", |seed| random_script(seed << 32 | script_seed, 120));
    }
}
