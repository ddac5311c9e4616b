//! The `error` member of a reply or of an event: <https://docs.claude.com/en/api/errors>.

use ir::report::Report;

use crate::json::{each_member, string};

/// Reads the value of an `error` member: an object with `type` and `message`, or, from vendors, a text.
pub(super) fn read(error: &[u8]) -> Report {
    let mut report = Report { message: string(error), ..Report::default() };
    // Whatever stands before the place where it cannot be read counts.
    let _ = each_member(error, 0..error.len(), |name, value| {
        let text = || string(error.get(value).unwrap_or_default()).filter(|text| !text.is_empty());
        match name {
            b"message" => report.message = text(),
            b"type" => report.code = text(),
            _ => {}
        }
        Ok(())
    });
    report
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(error: &str, code: Option<&str>, message: Option<&str>) {
        let report = read(error.as_bytes());
        assert_eq!((report.code.as_deref(), report.message.as_deref()), (code, message), "{error}");
    }

    #[test]
    fn errors_are_read() {
        check(
            r#"{"type":"overloaded_error","message":"Over\nloaded"}"#,
            Some("overloaded_error"),
            Some("Over\nloaded"),
        );
        check(r#"{"details":null,"message":"m","type":7}"#, None, Some("m"));
        check(r#""m""#, None, Some("m"));
        check("{}", None, None);
        check("3", None, None);
    }
}
