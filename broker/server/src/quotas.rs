//! What clients may use at most: counted for all connections that share a quota, and enforced by not
//! reading from whoever goes beyond it (KIP-219).
//!
//! Connections are on every core, so each quota is counted on one of them, which its sharers' names
//! choose. Whoever is not limited pays for none of it. A connection that has to wait is answered at
//! once, told for how long, and then not served until that has passed.
//!
//! Users are all the same one, as nobody has to say who they are yet.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::time::Duration;

use coordinator::group::Moment;
use coordinator::quota::{Meter, Quota, Rate, Sharers};
use runtime::{CoreId, Instant};

use crate::call::{CoreAnswer, CoreRequest};
use crate::core::Core;

/// Kafka's name of whoever does not say who they are.
const USER: &str = "ANONYMOUS";
/// However far beyond its quota a client is, its next request is served after so long. What it owes
/// is not forgotten.
const WAIT_MAX: Duration = Duration::from_secs(30);
/// Meters of clients that use nothing are looked for when there are so many, and twice as many.
const METERS_PURGED_FROM: usize = 1024;

/// Something that was used of a quota.
#[derive(Debug)]
pub(crate) struct Charge {
    quota: Quota,
    sharers: Sharers,
    rate: Rate,
    amount: f64,
}

/// Until when a connection is not served, and what it has used that is not counted yet.
#[derive(Default)]
pub(crate) struct Throttle {
    until: Cell<Option<Instant>>,
    busy: Cell<Duration>,
}

/// How much was used of the quotas that are counted on this core.
#[derive(Default)]
pub(crate) struct Meters(RefCell<BTreeMap<(Quota, Sharers), (Meter, Rate)>>);

impl Throttle {
    /// Waits until the connection may be served again.
    pub(crate) async fn pass(&self) {
        if let Some(until) = self.until.take() {
            runtime::sleep_until(until).await;
        }
    }

    /// Counts so many bytes of a quota, and the processor time since it was counted last. Returns for
    /// how long the connection is not served.
    pub(crate) async fn charge(
        &self,
        core: &Core,
        client: &str,
        bytes: &[(Quota, usize)],
    ) -> Duration {
        let image = core.image();
        if image.quotas.is_empty() {
            return Duration::ZERO;
        }
        let bytes = bytes.iter().map(|(quota, bytes)| (*quota, *bytes as f64));
        let hundredths = 100.0 * self.busy.take().as_secs_f64();
        let mut by_core: BTreeMap<CoreId, Vec<Charge>> = BTreeMap::new();
        for (quota, amount) in bytes.chain([(Quota::RequestTime, hundredths)]) {
            if let Some((sharers, rate)) = image.quotas.limit(quota, USER, client) {
                let home = home_of(&sharers, core.cores_count);
                by_core.entry(home).or_default().push(Charge { quota, sharers, rate, amount });
            }
        }
        let mut wait = Duration::ZERO;
        for (home, charges) in by_core {
            // A core that is stopping limits nobody.
            if let CoreAnswer::Wait(longer) = core.call(home, CoreRequest::Charge(charges)).await {
                wait = wait.max(longer);
            }
        }
        let wait = wait.min(WAIT_MAX);
        if !wait.is_zero() {
            let until = runtime::now() + wait;
            self.until.set(self.until.get().max(Some(until)));
        }
        wait
    }

    /// Counts what a future takes of the processor, where anybody is limited.
    pub(crate) async fn timed<F: Future>(&self, core: &Core, future: F) -> F::Output {
        if core.image().quotas.is_empty() {
            return future.await;
        }
        let mut future = pin!(future);
        poll_fn(|context| {
            let begun = runtime::now();
            let polled = future.as_mut().poll(context);
            self.busy.set(self.busy.get() + runtime::now().since(begun));
            polled
        })
        .await
    }
}

/// The core on which it is counted what these use.
fn home_of(sharers: &Sharers, cores_count: u16) -> CoreId {
    let names = [&sharers.user, &sharers.client].into_iter().flatten();
    let bytes = names.flat_map(|name| name.bytes());
    let hash = bytes.fold(0_u32, |hash, byte| hash.wrapping_mul(31).wrapping_add(byte.into()));
    let core = hash % u32::from(cores_count);
    CoreId(u16::try_from(core).expect("a remainder is smaller"))
}

impl Meters {
    /// Counts, and says for how long whoever has used it has to wait.
    pub(crate) fn charge(&self, charges: Vec<Charge>) -> Duration {
        let now = Moment(runtime::now().as_nanos() / 1_000_000);
        let mut meters = self.0.borrow_mut();
        if METERS_PURGED_FROM <= meters.len() && meters.len().is_power_of_two() {
            meters.retain(|_, (meter, rate)| !meter.is_full(now, *rate));
        }
        let waits = charges.into_iter().map(|Charge { quota, sharers, rate, amount }| {
            let known = meters.entry((quota, sharers));
            let (meter, last_rate) = known.or_insert_with(|| (Meter::new(now, rate), rate));
            *last_rate = rate;
            meter.charge(now, amount, rate)
        });
        waits.max().unwrap_or_default()
    }
}
