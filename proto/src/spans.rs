//! Spans of time as Mesos writes them in flags and environments: `250ms`, `5secs`, `15mins`.

use std::time::Duration;

/// The units and their nanoseconds, greatest first; each under Mesos's name, then under a short one.
const UNITS: [(&str, &str, u64); 8] = [
    ("weeks", "w", 7 * 86_400 * 1_000_000_000),
    ("days", "d", 86_400 * 1_000_000_000),
    ("hrs", "h", 3_600 * 1_000_000_000),
    ("mins", "m", 60 * 1_000_000_000),
    ("secs", "s", 1_000_000_000),
    ("ms", "ms", 1_000_000),
    ("us", "us", 1_000),
    ("ns", "ns", 1),
];

/// Why a text is no span.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpanError {
    /// There is a number, or nothing at all, and no unit.
    #[error("'{0}' has no unit: write it as in 500ms, 15secs or 10mins")]
    NoUnit(String),
    /// The unit is none that Mesos has.
    #[error("'{0}' is no unit: use ns, us, ms, secs, mins, hrs, days or weeks")]
    Unit(String),
    /// What stands before the unit isn't a number.
    #[error("'{0}' is no number: write a span as in 500ms, 15secs or 10mins")]
    Number(String),
    /// It is below nothing.
    #[error("'{0}' is negative")]
    Negative(String),
    /// It is beyond 584 years.
    #[error("'{0}' is too long")]
    TooLong(String),
}

/// Reads a number, which may have a fraction, and its unit.
///
/// # Errors
/// See [`SpanError`].
pub fn parse(text: &str) -> Result<Duration, SpanError> {
    let text = text.trim();
    let unit_at = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    if unit.is_empty() {
        return Err(SpanError::NoUnit(text.to_owned()));
    }
    let (.., nanos) = UNITS
        .iter()
        .find(|(name, short, _)| *name == unit || *short == unit)
        .ok_or_else(|| SpanError::Unit(unit.to_owned()))?;
    let number = number.trim();
    let count: f64 = number.parse().map_err(|_| SpanError::Number(number.to_owned()))?;
    let span = count * *nanos as f64;
    if span < 0.0 {
        return Err(SpanError::Negative(text.to_owned()));
    }
    if span >= u64::MAX as f64 {
        return Err(SpanError::TooLong(text.to_owned()));
    }
    Ok(Duration::from_nanos(span as u64))
}

/// A span in the greatest unit of which it is a whole number: `90secs`, `2mins`.
pub fn text(span: Duration) -> String {
    let nanos = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
    let fits = |(.., unit): &&(&str, &str, u64)| nanos >= *unit && nanos.is_multiple_of(*unit);
    match UNITS.iter().find(fits) {
        Some((name, _, unit)) => format!("{}{name}", nanos / unit),
        None => "0ns".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_written_as_mesos_does() {
        for (span, written) in [
            ("5secs", "5secs"),
            ("900secs", "15mins"),
            ("1.5secs", "1500ms"),
            ("1weeks", "1weeks"),
            ("0ns", "0ns"),
            ("36hrs", "36hrs"),
        ] {
            assert_eq!(text(parse(span).expect(span)), written, "{span}");
        }
    }

    #[test]
    fn a_span_is_a_number_and_a_unit() {
        for (text, span) in [
            ("15secs", Duration::from_secs(15)),
            ("1.5secs", Duration::from_millis(1_500)),
            ("250ms", Duration::from_millis(250)),
            ("10 mins", Duration::from_secs(600)),
            ("1weeks", Duration::from_secs(604_800)),
            ("2h", Duration::from_secs(7_200)),
            (" 3d ", Duration::from_secs(259_200)),
        ] {
            assert_eq!(parse(text), Ok(span), "{text}");
        }
    }

    #[test]
    fn what_is_no_span_is_told_by_what_is_wrong_with_it() {
        let own = str::to_owned;
        for (text, error) in [
            ("", SpanError::NoUnit(own(""))),
            ("15", SpanError::NoUnit(own("15"))),
            ("secs", SpanError::Number(own(""))),
            ("1.2.3secs", SpanError::Number(own("1.2.3"))),
            ("5min", SpanError::Unit(own("min"))),
            ("5fortnights", SpanError::Unit(own("fortnights"))),
            ("1e9secs", SpanError::Unit(own("e9secs"))),
            ("1e300weeks", SpanError::Unit(own("e300weeks"))),
            ("-1secs", SpanError::Negative(own("-1secs"))),
            ("99999weeks", SpanError::TooLong(own("99999weeks"))),
        ] {
            assert_eq!(parse(text), Err(error), "{text}");
        }
    }
}
