//! Tests of traces.

use super::*;

#[test]
fn a_trace_is_read_with_or_without_a_heading_from_any_second_on() {
    let expected = Trace {
        length: Duration::from_secs(40),
        points: vec![(0.0, 100.0), (0.25, 400.0), (1.0, 0.0)],
    };
    assert_eq!(Trace::parse("x", "0,100\n10,400\n40,0\n"), Ok(expected.clone()));
    let text = "\u{feff}second,rate\r\n1000, 100\r\n\r\n1010, 4e2\r\n1040, 0";
    assert_eq!(Trace::parse("x", text), Ok(expected));
}

#[test]
fn a_bad_line_is_named_with_its_value_and_the_fix() {
    let refusal = |text: &str| Trace::parse("day.csv", text).unwrap_err().to_string();
    assert_eq!(
        refusal("s,r\n1,2\n2;3"),
        "line 3 of trace day.csv is `2;3`: write the second and the rate with a comma between \
         them, for example 12.5,400"
    );
    assert_eq!(
        refusal("1,2\n\nx,3"),
        "line 3 of trace day.csv has the second `x`: write a number of seconds, for example 12.5"
    );
    assert_eq!(
        refusal("1,2\n2,-3"),
        "line 2 of trace day.csv has the rate `-3`: write a number that is at least 0, for \
         example 400"
    );
    assert!(refusal("1,2\n2,inf").contains("has the rate `inf`"));
    assert_eq!(
        refusal("5,2\n5,3"),
        "line 2 of trace day.csv has the second 5, and the line before it 5: seconds must rise, \
         so sort the lines and keep one for each second"
    );
    assert_eq!(
        refusal("second,rate\n5,2"),
        "trace day.csv has 1 points: it must have at least 2, a begin and an end"
    );
    assert!(refusal("0,1\n1e300,1").starts_with("trace day.csv is 1000"));
}
