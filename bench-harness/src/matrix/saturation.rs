//! What a broker takes at most, for peaks that are a share of it.

use loadgen::saturation;
use loadgen::settings::{Base, Load};
use serde::{Deserialize, Serialize};

use super::cell::Cell;
use super::contenders::Contenders;
use super::quiet::settle;
use super::store::run_name;
use super::{Bench, MatrixError};
use crate::units::{Rate, count_text, median_min_max};

/// The median of so many measurements counts.
const TIMES: u32 = 3;

/// What was found.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Found {
    records_per_s: Vec<f64>,
    /// Why it may have been the generator's limit.
    client_bound: Vec<String>,
}

/// Records per second that a broker takes of a cell's kind, while they are consumed, in a closed
/// loop with full batches. It is measured once for all cells that differ in nothing that matters to
/// it, and kept.
pub(super) fn of(
    bench: &Bench<'_>,
    contenders: &mut Contenders<'_>,
    cell: &Cell,
    index: usize,
    name: &str,
    say: &mut dyn FnMut(&str),
) -> Result<Rate, MatrixError> {
    let promise = cell.durability.of(index);
    let parts = [
        "saturation",
        name,
        promise.name(),
        &format!("acks {}", cell.acks.name()),
        &cell.record_size.text(),
        &format!("{} partitions", cell.partitions),
        &format!("{} connections", cell.connections),
        cell.layout.name(),
    ];
    let file = run_name(&parts, "json");
    let found = match bench.store.get::<Found>(&file)? {
        Some(found) => found,
        None => {
            contenders.ready(index, say)?;
            let pids = contenders.pids();
            let broker = contenders.ready(index, say)?;
            let client = &bench.placement.client;
            let mut settings = cell.settings(&broker.address, client, promise, Rate(1.0))?;
            settings.readers.clear();
            let Load::Open(open) = &mut settings.load else {
                unreachable!("a closed loop has no peak")
            };
            open.base = Base::Auto { share: 1.0 };
            let mut found = Found { records_per_s: Vec::new(), client_bound: Vec::new() };
            for _ in 0..TIMES {
                settle(&pids);
                let failed = |source| MatrixError::Run {
                    what: "measuring what the broker takes",
                    source: Box::new(source),
                };
                let measured = saturation::measure(&settings).map_err(failed)?;
                let Some(measured) = measured else { continue };
                if let Load::Open(open) = &measured.settings.load {
                    found.records_per_s.extend(open.base.per_s());
                }
                found.client_bound.extend(measured.client_bound);
            }
            bench.store.put(&file, &found)?;
            found
        }
    };
    let (median, min, max) = median_min_max(&found.records_per_s)
        .filter(|(median, ..)| 0.0 < *median)
        .ok_or_else(|| MatrixError::NothingTaken { broker: name.to_owned() })?;
    let [middle, least, most] = [median, min, max].map(count_text);
    let bound = if found.client_bound.is_empty() { "" } else { ", client-bound" };
    say(&format!("  {name} takes {middle} records/s ({least}–{most}{bound})"));
    Ok(Rate(median))
}
