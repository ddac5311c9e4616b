//! Time zones: where days, hours and minutes begin.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::{Offset, TimeZone};

/// Nobody can say when days begin in a zone of this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown time zone {name:?}: give `UTC`, an offset such as `+05:30`, or a name such as `Europe/Berlin`; names need the \
     system's time zone files (package tzdata)"
)]
pub struct UnknownZone {
    name: String,
}

/// A time zone.
#[derive(Clone, Debug, PartialEq)]
pub struct Zone(TimeZone);

/// What time is cut into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Sixty seconds.
    Minute,
    /// Sixty minutes, beginning with the hours of the zone.
    Hour,
    /// From midnight to midnight, 23 to 25 hours.
    Day,
}

impl Default for Zone {
    fn default() -> Self {
        Self(TimeZone::UTC)
    }
}

impl Zone {
    /// Returns the zone of a name (`Europe/Berlin`), an offset (`+05:30`), or `UTC`.
    ///
    /// # Errors
    /// When there is none, or the system has no time zone files.
    pub fn parse(name: &str) -> Result<Self, UnknownZone> {
        if matches!(name, "UTC" | "Z" | "utc" | "z") {
            return Ok(Self::default());
        }
        let unknown = || UnknownZone { name: name.chars().take(64).collect() };
        if name.starts_with(['+', '-']) {
            let offset = offset(name).and_then(|seconds| Offset::from_seconds(seconds).ok());
            return Ok(Self(offset.ok_or_else(unknown)?.to_time_zone()));
        }
        // Anything else in a name would be a path.
        if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/_+-".contains(&byte)) || name.starts_with('/') {
            return Err(unknown());
        }
        TimeZone::get(name).map(Self).map_err(|_| unknown())
    }

    /// Returns how far the zone is ahead of UTC at an instant, in seconds.
    pub fn offset_seconds(&self, unix_ms: u64) -> i64 {
        self.0.to_offset(timestamp(unix_ms)).seconds().into()
    }

    /// Returns an instant as RFC 3339 with the zone's offset, in whole seconds.
    pub fn rfc3339(&self, unix_ms: u64) -> String {
        let timestamp = timestamp(unix_ms);
        timestamp.display_with_offset(self.0.to_offset(timestamp)).to_string()
    }

    /// Returns the beginning of the unit that an instant is in.
    pub fn start(&self, unit: Unit, unix_ms: u64) -> u64 {
        let local = timestamp(unix_ms).to_zoned(self.0.clone());
        match unit {
            Unit::Day => self.midnight(local.date()).unwrap_or(unix_ms),
            Unit::Minute => self.floor(unix_ms, 60_000),
            Unit::Hour => self.floor(unix_ms, 3_600_000),
        }
    }

    /// Returns the beginning of the unit that follows the one an instant is in; always later than the instant.
    pub fn next(&self, unit: Unit, unix_ms: u64) -> u64 {
        let width = match unit {
            Unit::Minute => 60_000,
            Unit::Hour => 3_600_000,
            Unit::Day => {
                let local = timestamp(unix_ms).to_zoned(self.0.clone());
                let next = local.date().tomorrow().ok().and_then(|date| self.midnight(date));
                return next.filter(|next| *next > unix_ms).unwrap_or(unix_ms.saturating_add(86_400_000));
            }
        };
        let next = self.floor(unix_ms, width).saturating_add(width);
        // The clocks may have been changed in between.
        let aligned = self.floor(next, width);
        if aligned > unix_ms { aligned } else { next.max(unix_ms + 1) }
    }

    /// Returns the month that an instant is in, as `2026-11`.
    pub fn month_of(&self, unix_ms: u64) -> String {
        let date = timestamp(unix_ms).to_zoned(self.0.clone()).date();
        format!("{:04}-{:02}", date.year(), date.month())
    }

    /// Returns the first instant of a month that is written like `2026-11`, and that behind it.
    pub fn month(&self, written: &str) -> Option<(u64, u64)> {
        let (year, month) = written.split_once('-').filter(|(year, month)| year.len() == 4 && month.len() == 2)?;
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let first =
            Date::new(year.parse().ok()?, month.parse().ok()?, 1).ok().filter(|_| digits(year) && digits(month))?;
        let next = if first.month() == 12 { (first.year() + 1, 1) } else { (first.year(), first.month() + 1) };
        Some((self.midnight(first)?, self.midnight(Date::new(next.0, next.1, 1).ok()?)?))
    }

    fn midnight(&self, date: Date) -> Option<u64> {
        let start = date.to_zoned(self.0.clone()).ok()?;
        u64::try_from(start.timestamp().as_millisecond()).ok()
    }

    fn floor(&self, unix_ms: u64, width: u64) -> u64 {
        let offset_ms = self.offset_seconds(unix_ms) * 1_000;
        let into = unix_ms.saturating_add_signed(offset_ms) % width;
        unix_ms.saturating_sub(into)
    }
}

/// Returns the seconds of an offset such as `+05:30` or `-08`.
fn offset(text: &str) -> Option<i32> {
    let (sign, digits) = text.split_at_checked(1)?;
    let (hours, minutes) = digits.split_once(':').unwrap_or((digits, "00"));
    let number = |text: &str| (text.len() == 2).then(|| text.parse::<u8>().ok()).flatten();
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    let seconds = (hours <= 15 && minutes < 60).then(|| i32::from(hours) * 3_600 + i32::from(minutes) * 60)?;
    Some(if sign == "-" { -seconds } else { seconds })
}

/// Instants that no calendar has are its last.
fn timestamp(unix_ms: u64) -> Timestamp {
    i64::try_from(unix_ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok()).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(text: &str) -> u64 {
        u64::try_from(text.parse::<Timestamp>().unwrap().as_millisecond()).unwrap()
    }

    #[test]
    fn zones_are_names_and_offsets() {
        let check = |name: &str, expect: Option<&str>| {
            let shown = Zone::parse(name).ok().map(|zone| zone.rfc3339(ms("2026-01-15T00:00:00Z")));
            assert_eq!(shown.as_deref(), expect, "{name}");
        };
        check("UTC", Some("2026-01-15T00:00:00+00:00"));
        check("+05:30", Some("2026-01-15T05:30:00+05:30"));
        check("-08", Some("2026-01-14T16:00:00-08:00"));
        check("Asia/Kolkata", Some("2026-01-15T05:30:00+05:30"));
        for wrong in ["", "+5", "+16:00", "+05:60", "Nowhere/Else", "../../etc/passwd", "/etc/localtime", "+é"] {
            check(wrong, None);
        }
    }

    #[test]
    fn days_are_as_long_as_the_zone_makes_them() {
        let check = |zone: &str, inside: &str, start: &str, end: &str| {
            let zone = Zone::parse(zone).unwrap();
            assert_eq!(zone.start(Unit::Day, ms(inside)), ms(start), "{inside}");
            assert_eq!(zone.next(Unit::Day, ms(inside)), ms(end), "{inside}");
        };
        check("UTC", "2026-11-21T10:00:00Z", "2026-11-21T00:00:00Z", "2026-11-22T00:00:00Z");
        check("Asia/Kolkata", "2026-11-21T18:29:59Z", "2026-11-20T18:30:00Z", "2026-11-21T18:30:00Z");
        check("America/St_Johns", "2026-11-01T10:00:00Z", "2026-11-01T02:30:00Z", "2026-11-02T03:30:00Z");
        check("Europe/Berlin", "2026-03-29T10:00:00Z", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z");
    }

    #[test]
    fn months_are_written_as_people_write_them() {
        let check = |zone: &str, month: &str, start: &str, end: &str| {
            let zone = Zone::parse(zone).unwrap();
            assert_eq!(zone.month(month), Some((ms(start), ms(end))), "{month}");
            assert_eq!((zone.month_of(ms(start)), zone.month_of(ms(end) - 1)), (month.to_owned(), month.to_owned()));
        };
        check("UTC", "2026-12", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z");
        check("Europe/Berlin", "2026-03", "2026-02-28T23:00:00Z", "2026-03-31T22:00:00Z");
        for wrong in
            ["", "2026", "2026-13", "2026-00", "2026-1", "26-01", "+026-01", "2026-+1", "2026-01-01", "9999-12"]
        {
            assert_eq!(Zone::default().month(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn units_follow_each_other_without_gaps() {
        for name in ["UTC", "Asia/Kolkata", "America/St_Johns", "Australia/Lord_Howe", "Asia/Kathmandu"] {
            let zone = Zone::parse(name).unwrap();
            for unit in [Unit::Hour, Unit::Day] {
                let mut at = zone.start(unit, ms("2026-03-25T00:00:00Z"));
                while at < ms("2026-04-10T00:00:00Z") {
                    let next = zone.next(unit, at);
                    assert!(next > at && next - at <= 25 * 3_600_000, "{name} {at}");
                    assert_eq!(zone.next(unit, next - 1), next, "{name} {at}");
                    assert_eq!(next % 900_000, 0, "{name} {at}");
                    at = next;
                }
            }
        }
    }
}
