//! The settings of an environment, good and faulty.

use crate::load::load_text;
use crate::problem::Severity;
use crate::snapshot::{Environment, LogContent, Retention, UnsupportedParams};

use super::*;

fn compiled(text: &str) -> Environment {
    load_text("crossway.toml", &format!("[environment]\n{text}"), &|_| None, false).unwrap().snapshot.environment
}

/// Checks the errors that a line of the table causes.
fn faulty(text: &str, expect: &[&str]) {
    let problems = load_text("c", &format!("[environment]\n{text}"), &|_| None, false).unwrap_err();
    let found: Vec<String> =
        problems.iter().filter(|problem| problem.severity == Severity::Error).map(ToString::to_string).collect();
    assert_eq!(found, expect, "{text}");
}

#[test]
fn nothing_need_be_said() {
    let environment = compiled("");
    assert_eq!(&*environment.name, "default");
    assert_eq!(environment.unsupported_params, UnsupportedParams::Drop);
    assert_eq!(environment.error_types, ErrorTypes::Computeboard);
    assert_eq!(environment.log_content, LogContent::Off);
    assert_eq!(environment.retention, Retention { content_days: 30, records_days: 396 });
    assert_eq!(&*environment.timezone, "UTC");
    assert!(!environment.billing.enabled);
}

#[test]
fn everything_can_be_said() {
    let environment = compiled(
        "unsupported_params = \"refuse\"\nerror_types = \"routerlink\"\nlog_content = \"redacted\"\n\
         timezone = \"America/Argentina/Buenos_Aires\"\nretention = { content_days = 7, records_months = 1 }\n\
         billing = { enabled = true, margin_percent = 5.5, status = \"suspended\" }\n",
    );
    assert_eq!(environment.unsupported_params, UnsupportedParams::Refuse);
    assert_eq!(environment.error_types, ErrorTypes::Routerlink { prefix: "crossway_".into() });
    assert_eq!(environment.log_content, LogContent::Redacted);
    assert_eq!(environment.retention, Retention { content_days: 7, records_days: 31 });
    assert_eq!(&*environment.timezone, "America/Argentina/Buenos_Aires");
    let billing = Billing { enabled: true, margin: Margin(55_000), status: AccountStatus::Suspended };
    assert_eq!(environment.billing, billing);
    let low = compiled("billing = { low_credits = [5, \"12.50\", 1_000, 5] }\n").low_credits;
    assert_eq!(low, [NanoUsd(1_000_000_000_000), NanoUsd(12_500_000_000), NanoUsd(5_000_000_000)]);
    let other = compiled("error_types = \"routerlink\"\nerror_type_prefix = \"routerlink_\"\n");
    assert_eq!(other.error_types, ErrorTypes::Routerlink { prefix: "routerlink_".into() });
    let bare = compiled("error_types = \"routerlink\"\nerror_type_prefix = \"\"\n");
    assert_eq!(bare.error_types, ErrorTypes::Routerlink { prefix: "".into() });
}

#[test]
fn faults_say_what_to_do() {
    let check = |text: &str, expect: &str| faulty(text, &[&format!("c:2: environment.{expect}")]);
    check("unsupported_params = \"drops\"", "unsupported_params: must be one of drop, refuse (did you mean drop?)");
    check(
        "error_types = \"router-link\"",
        "error_types: must be one of computeboard, routerlink (did you mean routerlink?)",
    );
    check(
        "billing = { margin_percent = \"-1\" }",
        "billing.margin_percent: not a percentage that is not negative (write a percentage such as 5.5)",
    );
    check(
        "billing = { status = \"suspend\" }",
        "billing.status: must be one of active, suspended (did you mean suspended?)",
    );
    for wrong in ["0", "-1", "\"a\"", "\"\"", "1e300", "0.0000000001"] {
        check(
            &format!("billing = {{ low_credits = [7, {wrong}] }}"),
            "billing.low_credits[1]: not an amount above 0 (US dollars, such as 50 or 12.50)",
        );
    }
    check("billing = { low_credits = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11] }", "billing.low_credits: at most 10 amounts");
    check("log_content = \"of\"", "log_content: must be one of off, redacted, full (did you mean off?)");
    check(
        "error_type_prefix = \"a b\"\nerror_types = \"routerlink\"",
        "error_type_prefix: not a prefix: at most 64 letters, digits, underscores, dashes or dots",
    );
}

#[test]
fn retention_has_bounds() {
    let check = |text: &str, expect: &str| {
        faulty(&format!("retention = {{ {text} }}"), &[&format!("c:2: environment.retention.{expect}")]);
    };
    check("content_days = 0", "content_days: must be from 1 to 36500");
    check("records_days = 36501", "records_days: must be from 1 to 36500");
    check("records_months = 1201", "records_months: must be from 1 to 1200");
    check("records_days = 90, records_months = 3", "records_months: say it once: in days or in months");
    check(
        "content_days = 397",
        "content_days: content cannot be kept longer than the record it belongs to, 396 days (raise \
         retention.records_days)",
    );
    assert_eq!(
        compiled("retention = { records_days = 10 }").retention,
        Retention { content_days: 10, records_days: 10 }
    );
    assert_eq!((days_of(1), days_of(12), days_of(13), days_of(1_200)), (31, 366, 396, 36_525));
}

#[test]
fn time_zones_have_a_form() {
    for good in ["UTC", "Europe/Berlin", "Etc/GMT+5", "America/North_Dakota/New_Salem", "GMT0"] {
        assert_eq!(&*compiled(&format!("timezone = \"{good}\"")).timezone, good);
    }
    for bad in ["", "+02:00", "Europe/", "/Berlin", "Europe/Berlin/", "a/b/c/d", "Europe Berlin", "../etc/passwd"] {
        let expect = "c:2: environment.timezone: not the name of an IANA time zone (such as Europe/Berlin, or UTC)";
        faulty(&format!("timezone = \"{bad}\""), &[expect]);
    }
    let expect = "c:2: environment.timezone: this system knows no time zone of this name (is the name right, and are \
                  the system's time zone files (package tzdata) installed?)";
    faulty("timezone = \"Europe/Nowhere\"", &[expect]);
}
