//! Answers: nobody is told what makes no sense, such as UNKNOWN_SERVER_ERROR, or that a topic that
//! was made does not exist.

use crate::history::History;

pub(super) fn check(history: &History) -> Result<(), String> {
    match history.absurd.first() {
        None => Ok(()),
        Some(first) => Err(format!("{first} (and {} more)", history.absurd.len() - 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Story, check};
    use expect_test::expect;

    #[test]
    fn answers_make_sense() {
        let mut story = Story::new();
        check(super::check, &story, expect!["ok"]);
        story.history.absurd.push("a fetch was answered with something".to_owned());
        check(super::check, &story, expect!["broken"]);
    }
}
