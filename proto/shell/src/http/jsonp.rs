//! JSON for pages of another origin, as browsers once needed it.

/// Wraps JSON in a call of `callback`, for browsers that load it as a script.
///
/// `None` when `callback` isn't the name of a function: it would be a way to inject a script.
pub fn jsonp(callback: &str, json: &[u8]) -> Option<Vec<u8>> {
    let named = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '$' | '.');
    if !callback.chars().all(named) {
        return None;
    }
    Some([callback.as_bytes(), b"(", json, b");"].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callback_is_a_name_or_nothing() {
        assert_eq!(
            jsonp("angular.callbacks._0", b"{}").as_deref(),
            Some(&b"angular.callbacks._0({});"[..])
        );
        assert_eq!(jsonp("alert(1)//", b"{}"), None);
    }
}
