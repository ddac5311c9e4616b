//! What an unquoted YAML scalar is: the core schema of YAML 1.2.
//!
//! <https://yaml.org/spec/1.2.2/#1032-tag-resolution>

use super::node::Written;

/// Returns what an unquoted scalar stands for. Infinities and what is not a number stay text: no field takes them.
pub(super) fn resolve(text: &str) -> Written {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Written::Null,
        "true" | "True" | "TRUE" => Written::Bool(true),
        "false" | "False" | "FALSE" => Written::Bool(false),
        _ => number(text).unwrap_or_else(|| Written::Text(text.to_owned())),
    }
}

fn number(text: &str) -> Option<Written> {
    for (prefix, radix) in [("0o", 8), ("0x", 16)] {
        if let Some(digits) = text.strip_prefix(prefix).filter(|digits| !digits.starts_with('+')) {
            return i128::from_str_radix(digits, radix).ok().map(|number| Written::Integer(number.to_string()));
        }
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits(unsigned) {
        let number = text.parse::<i128>().ok()?;
        return Some(Written::Integer(number.to_string()));
    }
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let exponent_fits = exponent.is_none_or(|exponent| digits(exponent.strip_prefix(['-', '+']).unwrap_or(exponent)));
    let fits = all(whole) && all(fraction) && (!whole.is_empty() || !fraction.is_empty()) && exponent_fits;
    let finite = fits && text.parse::<f64>().is_ok_and(f64::is_finite);
    finite.then(|| Written::Decimal(text.strip_prefix('+').unwrap_or(text).to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: Written) {
        assert_eq!(resolve(text), expect, "{text}");
    }

    #[test]
    fn words_are_text_but_for_three() {
        for word in ["on", "off", "yes", "no", "y", "N", "Yes", "tRue", "nULL", "-", "."] {
            check(word, Written::Text(word.to_owned()));
        }
        check("", Written::Null);
        check("~", Written::Null);
        check("True", Written::Bool(true));
        check("FALSE", Written::Bool(false));
    }

    #[test]
    fn whole_numbers() {
        check("0", Written::Integer("0".to_owned()));
        check("-17", Written::Integer("-17".to_owned()));
        check("+17", Written::Integer("17".to_owned()));
        check("007", Written::Integer("7".to_owned()));
        check("0o17", Written::Integer("15".to_owned()));
        check("0xff", Written::Integer("255".to_owned()));
        check("1_000", Written::Text("1_000".to_owned()));
        check("0x", Written::Text("0x".to_owned()));
        check("0x+1", Written::Text("0x+1".to_owned()));
    }

    #[test]
    fn decimal_numbers_keep_their_text() {
        for text in ["0.1", "2.50", "1e3", ".5", "5.", "-0.30", "1.5E-7"] {
            check(text, Written::Decimal(text.to_owned()));
        }
        for text in [".inf", ".nan", "1.2.3", "1e", "e5", "1e999", "127.0.0.1", "2027-01-31", "12:30"] {
            check(text, Written::Text(text.to_owned()));
        }
    }
}
