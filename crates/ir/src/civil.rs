//! Unix milliseconds as a date that people read. It knows UTC and the Gregorian calendar, and nothing else.

/// Returns an instant as RFC 3339 text in UTC with milliseconds, such as `2026-11-18T09:06:40.123Z`.
pub fn rfc3339(unix_ms: u64) -> String {
    let (seconds, ms) = (unix_ms / 1_000, unix_ms % 1_000);
    let (days, second_of_day) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil_from_days(days);
    let (hour, minute, second) = (second_of_day / 3_600, second_of_day / 60 % 60, second_of_day % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
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
