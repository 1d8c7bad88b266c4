//! Forbidden (I3, I4): numbers that do not follow, and an epoch that is over, are refused with the
//! code that clients know. That nothing of it was appended is for `no-phantom` to see.

use crate::history::History;

pub(super) fn check(history: &History) -> Result<(), String> {
    for forbidden in &history.forbidden {
        if forbidden.answer != Err(forbidden.expected) {
            return Err(format!(
                "{}: {:?} had to be refused with {} and was answered with {:?}",
                forbidden.partition, forbidden.sequence, forbidden.expected, forbidden.answer
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Story, check};
    use expect_test::expect;
    use model::Offset;
    use wire::ErrorCode;

    #[test]
    fn what_is_forbidden_is_refused() {
        let refused = Err(ErrorCode::InvalidProducerEpoch);
        check(super::check, &Story::new().forbidden(&[1], refused), expect!["ok"]);
        check(super::check, &Story::new().forbidden(&[1], Ok(Offset(3))), expect!["broken"]);
        let other = Err(ErrorCode::OutOfOrderSequenceNumber);
        check(super::check, &Story::new().forbidden(&[1], other), expect!["broken"]);
    }
}
