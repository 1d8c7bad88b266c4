//! Tests of the comparison of two runs of one scenario.

use super::*;
use crate::statistics::Ratio;

fn of(what: &str, agrees: Option<bool>) -> Pair {
    let (one, other) = ("1.50× (1.4–1.6)".to_owned(), "1.55× (1.45–1.7)".to_owned());
    Pair { what: what.to_owned(), one, other, agrees }
}

#[test]
fn what_disagrees_and_what_moved_is_told() {
    let moved = Ratio { value: 0.8, interval: Some((0.75, 0.85)), pairs: 6 };
    let same = Ratio { value: 1.01, interval: Some((0.95, 1.05)), pairs: 6 };
    let drift = |what: &str, ratio| Drift { what: what.to_owned(), ratio };
    let mut agreement = Agreement {
        ratios: vec![of("a", Some(true)), of("b", Some(true)), of("c", None)],
        drifts: vec![drift("slower", moved), drift("the same", same)],
    };
    assert!(agreement.is_full());
    let text = agreement.text();
    assert!(text.contains("2 of 3 ratios agree, 0 do not, 1 have no interval"), "{text}");
    assert!(text.contains("0.800× (0.750–0.850)") && !text.contains("the same"), "{text}");
    agreement.ratios.push(of("d", Some(false)));
    assert!(!agreement.is_full());
    assert!(agreement.text().contains("DISAGREE"));
}
