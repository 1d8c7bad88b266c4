//! Understood (I5): an idempotent producer that sends its batches in order, each of them until it is
//! acknowledged, is never refused.
//!
//! A relaxed partition may have forgotten it with the machine.

use crate::history::History;

pub(super) fn check(history: &History) -> Result<(), String> {
    for refused in &history.misunderstood {
        if history.is_durable(refused.partition) || refused.session_era == refused.era {
            return Err(format!(
                "{}: {:?}, before which everything was acknowledged, was refused with {}",
                refused.partition, refused.sequence, refused.code
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Story, check};
    use expect_test::expect;

    #[test]
    fn only_a_loss_of_power_lets_a_relaxed_partition_forget() {
        check(super::check, &Story::new().misunderstood("relaxed", 0), expect!["broken"]);
        check(super::check, &Story::new().misunderstood("relaxed", 1), expect!["ok"]);
        check(super::check, &Story::new().misunderstood("durable", 1), expect!["broken"]);
    }
}
