//! Unix milliseconds as a date that people read and write. It knows the Gregorian calendar and no time zones.

/// Returns an instant as RFC 3339 text in UTC with milliseconds, such as `2026-11-18T09:06:40.123Z`.
pub fn rfc3339(unix_ms: u64) -> String {
    let (seconds, ms) = (unix_ms / 1_000, unix_ms % 1_000);
    let (days, second_of_day) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil_from_days(days);
    let (hour, minute, second) = (second_of_day / 3_600, second_of_day / 60 % 60, second_of_day % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
}

/// Reads a date as HTTP writes it (`Wed, 21 Oct 2026 07:28:00 GMT`, RFC 9110 section 5.6.7) as Unix milliseconds.
/// `None` for anything else, the two obsolete forms among it.
pub fn parse_http(text: &str) -> Option<u64> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (_, date) = text.trim().split_once(", ")?;
    let mut parts = date.split(' ');
    let (day, month, year, time) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let month = MONTHS.iter().position(|name| *name == month)? + 1;
    let whole = parts.next() == Some("GMT") && parts.next().is_none();
    parse_rfc3339(&format!("{year}-{month:02}-{day}T{time}Z")).filter(|_| whole)
}

/// Reads RFC 3339 text (`2026-11-18T09:06:40Z`, with a fraction or an offset if need be) as Unix milliseconds. `None`
/// for anything else, for dates that do not exist and for instants before 1970. A leap second is the second before it.
pub fn parse_rfc3339(text: &str) -> Option<u64> {
    let bytes = text.as_bytes();
    let number = |from: usize, to: usize| -> Option<u64> {
        let digits = text.get(from..to).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?;
        digits.parse().ok()
    };
    let is = |at: usize, expected: &[u8]| bytes.get(at).is_some_and(|byte| expected.contains(byte));
    let marks = is(4, b"-") && is(7, b"-") && is(10, b"Tt ") && is(13, b":") && is(16, b":");
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?.min(59));
    let days = days_from_civil(year, month, day).filter(|_| marks && hour < 24 && minute < 60)?;
    let rest = text.get(19..)?;
    let (fraction, zone) = match rest.strip_prefix('.') {
        Some(fraction) => fraction.split_at(fraction.find(|c: char| !c.is_ascii_digit())?),
        None => ("0", rest),
    };
    let ms = format!("{fraction:0<3}").get(..3).filter(|_| !fraction.is_empty())?.parse::<u64>().ok()?;
    let local = (days * 86_400 + hour * 3_600 + minute * 60 + second) * 1_000 + ms;
    match zone.as_bytes() {
        b"Z" | b"z" => Some(local),
        [sign @ (b'+' | b'-'), _, _, b':', _, _] => {
            let at = text.len() - 6;
            let (hours, minutes) = (number(at + 1, at + 3)?, number(at + 4, at + 6)?);
            let offset = Some((hours * 3_600 + minutes * 60) * 1_000).filter(|_| hours < 24 && minutes < 60)?;
            if *sign == b'+' { local.checked_sub(offset) } else { Some(local + offset) }
        }
        _ => None,
    }
}

/// Returns the days from 1970-01-01 to a date; `None` when it does not exist or lies before.
fn days_from_civil(year: u64, month: u64, day: u64) -> Option<u64> {
    let march_year = if month > 2 { year } else { year.checked_sub(1)? };
    let (era, year_of_era) = (march_year / 400, march_year % 400);
    let march_month = (month + 9) % 12;
    let day_of_year = (153 * march_month + 2) / 5 + day.checked_sub(1)?;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    let days = (era * 146_097 + day_of_era).checked_sub(719_468)?;
    (civil_from_days(days) == (year, month, day)).then_some(days)
}

/// Returns year, month and day of a number of days since 1970-01-01.
///
/// The calendar repeats every 400 years (146,097 days). Years are counted from March, so that the leap day is the last
/// day of a year.
fn civil_from_days(days: u64) -> (u64, u64, u64) {
    // 0000-03-01 lies 719,468 days before 1970-01-01.
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(unix_ms: u64, expect: &str) {
        assert_eq!(rfc3339(unix_ms), expect);
    }

    #[test]
    fn reads_the_dates_of_http() {
        let check = |text: &str, expect: Option<&str>| {
            assert_eq!(parse_http(text).map(rfc3339).as_deref(), expect, "{text}");
        };
        check("Sun, 06 Nov 1994 08:49:37 GMT", Some("1994-11-06T08:49:37.000Z"));
        check("Wed, 21 Oct 2026 07:28:00 GMT", Some("2026-10-21T07:28:00.000Z"));
        for no in
            ["", "3", "Wed, 21 Oct 2026 07:28:00", "Wed, 31 Feb 2026 07:28:00 GMT", "Wed, 21 okt 2026 07:28:00 GMT"]
        {
            check(no, None);
        }
    }

    #[test]
    fn prints_known_instants() {
        check(0, "1970-01-01T00:00:00.000Z");
        check(951_782_400_000, "2000-02-29T00:00:00.000Z");
        check(951_868_799_999, "2000-02-29T23:59:59.999Z");
        check(951_868_800_000, "2000-03-01T00:00:00.000Z");
        check(1_709_164_800_000, "2024-02-29T00:00:00.000Z");
        check(1_735_689_599_001, "2024-12-31T23:59:59.001Z");
        check(1_795_000_000_123, "2026-11-18T11:06:40.123Z");
        check(4_107_542_400_000, "2100-03-01T00:00:00.000Z");
    }

    #[test]
    fn reads_instants() {
        let check = |text: &str, expect: Option<u64>| assert_eq!(parse_rfc3339(text), expect, "{text}");
        check("1970-01-01T00:00:00Z", Some(0));
        check("2026-11-18T11:06:40.123Z", Some(1_795_000_000_123));
        check("2026-11-18T12:06:40.1234567+01:00", Some(1_795_000_000_123));
        check("2026-11-18 05:36:40.1-05:30", Some(1_795_000_000_100));
        check("2024-02-29t00:00:00z", Some(1_709_164_800_000));
        for text in [
            "",
            "2026",
            "2026-11-18",
            "2026-11-18T11:06:40",
            "2026-11-18T11:06:40.Z",
            "2026-11-18T11:06:40+1",
            "2026-02-30T00:00:00Z",
            "2023-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2026-01-00T00:00:00Z",
            "1969-12-31T23:59:59Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:60:00Z",
            "1970-01-01T00:00:00+01:00",
            "2026-11-18T11:06:40Zé",
            "é026-11-18T11:06:40Z",
        ] {
            check(text, None);
        }
    }

    #[test]
    fn what_is_printed_is_read() {
        for unix_ms in (0..4_107_542_400_000).step_by(86_399_999_999) {
            assert_eq!(parse_rfc3339(&rfc3339(unix_ms)), Some(unix_ms));
        }
    }

    #[test]
    fn every_day_follows_the_day_before() {
        let mut previous = civil_from_days(0);
        for days in 1..200_000 {
            let next = civil_from_days(days);
            let (year, month, day) = previous;
            let same_month = next == (year, month, day + 1);
            let next_month = day >= 28 && next == (year, month + 1, 1);
            let next_year = month == 12 && day == 31 && next == (year + 1, 1, 1);
            assert!(same_month || next_month || next_year, "{previous:?} {next:?}");
            previous = next;
        }
    }
}
