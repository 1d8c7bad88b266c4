//! Tests of numbers.

use super::*;

#[test]
fn a_median_comes_with_its_spread() {
    assert_eq!(median_min_max(&[]), None);
    assert_eq!(median_min_max(&[3.0]), Some((3.0, 3.0, 3.0)));
    assert_eq!(median_min_max(&[9.0, 1.0, 5.0]), Some((5.0, 1.0, 9.0)));
    assert_eq!(median_min_max(&[4.0, 1.0, 2.0, 9.0]), Some((3.0, 1.0, 9.0)));
    assert_eq!(percent_text(0.1234), "12.3 %");
}
