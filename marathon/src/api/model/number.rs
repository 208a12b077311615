//! Numbers as clients expect them: `1`, not `1.0`.

use serde::Serializer;

/// Beyond this a double no longer tells whole numbers apart.
const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;

/// Writes a whole double without a fraction, as Marathon's decimals are.
pub(crate) fn natural<S: Serializer>(number: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    if number.fract() == 0.0 && number.abs() < WHOLE_MAX {
        serializer.serialize_i64(*number as i64)
    } else {
        serializer.serialize_f64(*number)
    }
}

#[cfg(test)]
mod tests {
    use serde::Serialize;

    #[derive(Serialize)]
    struct Holder(#[serde(serialize_with = "super::natural")] f64);

    #[test]
    fn whole_numbers_have_no_fraction_and_others_their_shortest() {
        for (number, text) in [
            (1.0, "1"),
            (0.0, "0"),
            (0.1, "0.1"),
            (1.15, "1.15"),
            (128.5, "128.5"),
            (1e300, "1e+300"),
        ] {
            let written = serde_json::to_string(&Holder(number)).expect("a number is JSON");
            assert_eq!(written, text);
        }
    }
}
