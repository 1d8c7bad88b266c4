//! Repeats (I2, I5): each of the last five batches of a producer, sent again, is answered with the
//! offset that it has, also after the broker was started again.

use crate::history::History;

pub(super) fn check(history: &History) -> Result<(), String> {
    for repeat in &history.repeats {
        if repeat.answer != Ok(repeat.first_answer) {
            return Err(format!(
                "{}: {:?} was at offset {}, and sent again it is answered with {:?}",
                repeat.partition, repeat.sequence, repeat.first_answer.0, repeat.answer
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
    fn a_repeated_batch_has_its_offset() {
        check(super::check, &Story::new().repeat(4, Ok(Offset(4))), expect!["ok"]);
        check(super::check, &Story::new().repeat(4, Ok(Offset(5))), expect!["broken"]);
        let refused = Err(ErrorCode::OutOfOrderSequenceNumber);
        check(super::check, &Story::new().repeat(4, refused), expect!["broken"]);
    }
}
