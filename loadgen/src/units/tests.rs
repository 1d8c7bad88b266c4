//! Tests of units.

use super::*;

#[test]
fn what_is_displayed_is_read_back() {
    for text in ["20s", "500ms", "1500us", "0s"] {
        assert_eq!(text.parse::<Span>().unwrap().to_string(), text);
    }
    for text in ["2000/s", "0.5/s"] {
        assert_eq!(text.parse::<Rate>().unwrap().to_string(), text);
    }
    for text in ["0", "100", "1KiB", "1000", "64MiB", "3GiB"] {
        assert_eq!(text.parse::<Size>().unwrap().to_string(), text);
    }
}

#[test]
fn a_size_is_shown_with_its_unit() {
    let text = |size: &str| size.parse::<Size>().unwrap().text();
    assert_eq!((text("100"), text("64KiB")), ("100 B".to_owned(), "64 KiB".to_owned()));
}

#[test]
fn units_mean_what_they_say() {
    assert_eq!("2m".parse(), Ok(Span(Duration::from_secs(120))));
    assert_eq!("1.5s".parse(), Ok(Span(Duration::from_millis(1500))));
    assert_eq!("20k/s".parse(), Ok(Rate(20_000.0)));
    assert_eq!("1.5M".parse(), Ok(Rate(1_500_000.0)));
    assert_eq!("1.5KiB".parse(), Ok(Size(1536)));
    assert_eq!("2 MB".parse(), Ok(Size(2_000_000)));
}

#[test]
fn what_is_no_quantity_says_what_is() {
    let message = |error: UnitError| error.to_string();
    assert_eq!(
        message("20".parse::<Span>().unwrap_err()),
        "`20` is not a duration such as 500ms, 20s or 2m"
    );
    assert_eq!(
        message("-1/s".parse::<Rate>().unwrap_err()),
        "`-1/s` is not a rate such as 2000/s, 20k/s or 1.5M/s"
    );
    assert_eq!(
        message("1.5B".parse::<Size>().unwrap_err()),
        "`1.5B` is not a size such as 100, 1KiB or 64MiB"
    );
    assert!("".parse::<Size>().is_err());
    assert!("1e9999s".parse::<Span>().is_err());
}

#[test]
fn numbers_are_shown_with_three_digits() {
    let shown = [
        time_text(999),
        time_text(85_249),
        time_text(1_270_000),
        time_text(999_960_000),
        count_text(20_000.0),
        bytes_text(1_048_576.0),
        grouped(1_234_567),
        three_digits(9.996),
    ];
    assert_eq!(
        shown,
        [
            "999 ns",
            "85.2 µs",
            "1.27 ms",
            "1000 ms",
            "20.0 k",
            "1.05 MB",
            "1\u{202f}234\u{202f}567",
            "10.0"
        ]
    );
}
