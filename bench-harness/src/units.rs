//! Numbers as reports show them. What the load generator has is used as it is.

pub use loadgen::units::{
    Rate, Size, Span, bytes_text, count_text, grouped, nanos, three_digits, time_text, whole,
};

/// A share of one processor, in per cent of it.
pub fn percent_text(share: f64) -> String {
    format!("{} %", three_digits(share * 100.0))
}

/// A name made of what file names are made of.
pub fn file_name(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let name: String = name.chars().map(plain).collect();
    let parts: Vec<&str> = name.split('-').filter(|part| !part.is_empty()).collect();
    parts.join("-")
}

/// The middle of some numbers, and the lowest and the highest; none of none.
pub fn median_min_max(numbers: &[f64]) -> Option<(f64, f64, f64)> {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (min, max) = (*sorted.first()?, *sorted.last()?);
    let middle = sorted.len() / 2;
    let median = if sorted.len().is_multiple_of(2) {
        f64::midpoint(sorted[middle - 1], sorted[middle])
    } else {
        sorted[middle]
    };
    Some((median, min, max))
}

#[cfg(test)]
mod tests;
