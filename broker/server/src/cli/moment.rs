//! Times as users write them: moments of RFC 3339, durations of ISO 8601 and short ones.
//!
//! Guarantees: what is not understood is told with an example of what is. Does not know: any clock;
//! months and years, which have no length of their own.

use std::time::Duration;

use model::Timestamp;

const SECOND_MS: u64 = 1000;
const MINUTE_MS: u64 = 60 * SECOND_MS;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const DAY_MS: u64 = 24 * HOUR_MS;
const DAY_SECONDS: i64 = 86_400;

/// A moment of RFC 3339, to the millisecond: `2026-11-28T09:30:00.5+02:00`.
pub(super) fn rfc3339(text: &str) -> Result<Timestamp, String> {
    read_moment(text).map(Timestamp).ok_or_else(|| {
        "write a date, a time and a zone, for example 2026-11-28T09:30:00Z or \
         2026-11-28T09:30:00+02:00"
            .to_owned()
    })
}

/// `500ms`, `30s`, `10m`, `2h`, `1d`; or as ISO 8601 has it, `PT10M`, `P1DT2H`, `P2W`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let ms = match text.strip_prefix(['P', 'p']) {
        Some(rest) => read_iso8601(rest),
        None => read_short(text),
    };
    ms.map(Duration::from_millis).ok_or_else(|| {
        "write a time of days or less, for example 30s, 10m, 2h, 1d, PT10M or P1DT2H".to_owned()
    })
}

fn read_moment(text: &str) -> Option<i64> {
    let mut rest = text;
    let year = number(&mut rest, 4)?;
    expect(&mut rest, &["-"])?;
    let month = number(&mut rest, 2)?;
    expect(&mut rest, &["-"])?;
    let day = number(&mut rest, 2)?;
    expect(&mut rest, &["T", "t", " "])?;
    let hour = number(&mut rest, 2)?;
    expect(&mut rest, &[":"])?;
    let minute = number(&mut rest, 2)?;
    expect(&mut rest, &[":"])?;
    let second = number(&mut rest, 2)?;
    let mut ms = 0;
    if expect(&mut rest, &["."]).is_some() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (fraction, after) = rest.split_at(digits);
        let three: String = fraction.chars().chain("000".chars()).take(3).collect();
        ms = if fraction.is_empty() { return None } else { three.parse().ok()? };
        rest = after;
    }
    let zone_seconds = zone(rest)?;
    let is_date = (1..=12).contains(&month) && (1..=days_of(year, month)).contains(&day);
    // A leap second counts as the second after it.
    if !is_date || 23 < hour || 59 < minute || 60 < second {
        return None;
    }
    let seconds =
        days_since_epoch(year, month, day) * DAY_SECONDS + (hour * 60 + minute) * 60 + second
            - zone_seconds;
    Some(seconds * 1000 + ms)
}

/// Seconds east of Greenwich.
fn zone(text: &str) -> Option<i64> {
    if text.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let mut rest = text;
    let sign = match expect(&mut rest, &["+", "-"])? {
        "+" => 1,
        _ => -1,
    };
    let hours = number(&mut rest, 2)?;
    expect(&mut rest, &[":"])?;
    let minutes = number(&mut rest, 2)?;
    let is_zone = rest.is_empty() && hours <= 23 && minutes <= 59;
    is_zone.then_some(sign * (hours * 60 + minutes) * 60)
}

/// Exactly so many digits.
fn number(rest: &mut &str, digits: usize) -> Option<i64> {
    let (first, after) = rest.split_at_checked(digits)?;
    let value = first.bytes().all(|byte| byte.is_ascii_digit()).then(|| first.parse().ok());
    *rest = after;
    value.flatten()
}

/// One of these, and which.
fn expect<'a>(rest: &mut &str, any: &[&'a str]) -> Option<&'a str> {
    let found = any.iter().find(|it| rest.starts_with(**it))?;
    *rest = &rest[found.len()..];
    Some(found)
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_of(year: i64, month: i64) -> i64 {
    match month {
        2 => 28 + i64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Of the Gregorian calendar, from 1970-01-01.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let leap_days = |year: i64| year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    let before_year = (year - 1970) * 365 + leap_days(year - 1) - leap_days(1969);
    let before_month: i64 = (1..month).map(|month| days_of(year, month)).sum();
    before_year + before_month + day - 1
}

fn read_short(text: &str) -> Option<u64> {
    const UNITS: [(&str, u64); 5] =
        [("ms", 1), ("s", SECOND_MS), ("m", MINUTE_MS), ("h", HOUR_MS), ("d", DAY_MS)];
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (count, unit) = text.split_at(digits);
    let (_, unit_ms) = UNITS.iter().find(|(name, _)| *name == unit)?;
    count.parse::<u64>().ok()?.checked_mul(*unit_ms).filter(|ms| *ms <= i64::MAX as u64)
}

/// What stands behind the `P`: whole numbers, each with its unit, in the order of the units.
fn read_iso8601(text: &str) -> Option<u64> {
    const UNITS: [(bool, char, u64); 5] = [
        (false, 'W', 7 * DAY_MS),
        (false, 'D', DAY_MS),
        (true, 'H', HOUR_MS),
        (true, 'M', MINUTE_MS),
        (true, 'S', SECOND_MS),
    ];
    let mut units = UNITS.iter();
    let mut is_time = false;
    let mut total_ms: u64 = 0;
    let mut rest = text;
    let mut is_last_t = false;
    while !rest.is_empty() {
        if !is_time && let Some(after) = rest.strip_prefix(['T', 't']) {
            (is_time, is_last_t, rest) = (true, true, after);
            continue;
        }
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let count: u64 = rest[..digits].parse().ok()?;
        let unit = rest[digits..].chars().next()?;
        let (_, _, unit_ms) = units
            .find(|(of_time, name, _)| *of_time == is_time && name.eq_ignore_ascii_case(&unit))?;
        total_ms = total_ms.checked_add(count.checked_mul(*unit_ms)?)?;
        is_last_t = false;
        rest = &rest[digits + unit.len_utf8()..];
    }
    (!text.is_empty() && !is_last_t && total_ms <= i64::MAX as u64).then_some(total_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_to_the_millisecond_in_any_zone() {
        let moments = [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-03-01T00:00:00Z", 951_868_800_000),
            ("2026-11-28T09:30:00Z", 1_795_858_200_000),
            ("2026-11-28T11:30:00.5+02:00", 1_795_858_200_500),
            ("2026-11-28 04:00:00.123456-05:30", 1_795_858_200_123),
            ("1969-12-31t23:59:59.999z", -1),
            ("2024-02-29T12:00:00Z", 1_709_208_000_000),
            ("2016-12-31T23:59:60Z", 1_483_228_800_000),
        ];
        for (text, ms) in moments {
            assert_eq!(rfc3339(text), Ok(Timestamp(ms)), "{text}");
        }
    }

    #[test]
    fn what_is_no_moment_is_told() {
        let texts = [
            "",
            "yesterday",
            "2026-11-28",
            "2026-11-28T09:30:00",
            "2026-11-28T09:30Z",
            "2026-13-01T00:00:00Z",
            "2025-02-29T00:00:00Z",
            "2026-11-28T24:00:00Z",
            "2026-11-28T09:30:00.Z",
            "2026-11-28T09:30:00Zz",
            "2026-11-28T09:30:00+2:00",
            "2026-11-2ÄT09:30:00Z",
            "+026-11-28T09:30:00Z",
        ];
        for text in texts {
            let error = rfc3339(text).unwrap_err();
            assert!(error.contains("for example 2026-11-28T09:30:00Z"), "{text}: {error}");
        }
    }

    #[test]
    fn durations_are_short_or_of_iso_8601() {
        let durations = [
            ("500ms", 500),
            ("30s", 30_000),
            ("10m", 600_000),
            ("2h", 7_200_000),
            ("1d", 86_400_000),
            ("PT10M", 600_000),
            ("P1DT2H3M4S", 93_784_000),
            ("P2W", 1_209_600_000),
            ("pt0s", 0),
        ];
        for (text, ms) in durations {
            assert_eq!(duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        let wrong = [
            "",
            "10",
            "m",
            "-1m",
            "P",
            "PT",
            "P1",
            "P1M",
            "P1Y",
            "PT1S1M",
            "P1H",
            "PT1D",
            "P1DT",
            "99999999999999999999s",
            "P999999999999999999D",
        ];
        for text in wrong {
            assert!(duration(text).unwrap_err().contains("for example 30s"), "{text}");
        }
    }
}
