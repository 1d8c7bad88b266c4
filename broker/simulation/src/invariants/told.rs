//! Told: a partition refuses appends or reads, or gives bytes whose checksum does not hold, only if
//! the disk was damaged; no consumer gets such bytes otherwise.

use wire::ErrorCode;

use crate::history::History;

pub(super) fn check(history: &History) -> Result<(), String> {
    if let Some(fetch) = history.fetches.iter().find(|fetch| fetch.is_damaged) {
        return Err(format!("{}: a fetch gave bytes that are no batch", fetch.partition));
    }
    if history.has_rotted {
        return Ok(());
    }
    for (partition, log) in &history.finals {
        if log.is_damaged {
            return Err(format!("{partition}: the last reader got bytes that are no batch"));
        }
        let refusals = [log.append.filter(|code| code.is_error()), log.refused];
        if let Some(code) = refusals.into_iter().flatten().next() {
            let code: ErrorCode = code;
            return Err(format!("{partition} is refused at the end with {code}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Story, check};
    use expect_test::expect;

    #[test]
    fn only_a_damaged_disk_is_a_reason() {
        check(super::check, &Story::new().end("durable", &[1]), expect!["ok"]);
        check(super::check, &Story::new().refused_end("durable", &[1]), expect!["broken"]);
        check(super::check, &Story::new().rot().refused_end("durable", &[1]), expect!["ok"]);
        let mut story = Story::new().fetch("durable", 0, &[1]).rot();
        story.history.fetches[0].is_damaged = true;
        check(super::check, &story, expect!["broken"]);
    }
}
