//! Where days and months begin: the time zone of an environment, from the system's IANA database.

use std::fmt;
use std::sync::Arc;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};

use super::Window;
use super::period::{Calendar, Period};
use super::rule::Span;

/// The first instant after every period that can be computed: the year 9999.
const END_MS: u64 = 253_402_207_200_000;

/// A day, where the calendar cannot say how long one is.
const DAY_MS: u64 = 86_400_000;

/// A time zone, and the day of the month on which billing periods begin. Zones of one name and day are equal.
#[derive(Clone)]
pub struct Zone {
    name: Arc<str>,
    rules: TimeZone,
    billing_day: u8,
}

impl Zone {
    /// Returns a zone by its IANA name; `None` when the system knows none of that name.
    pub fn named(name: &str) -> Option<Self> {
        let rules = if name == "UTC" { TimeZone::UTC } else { TimeZone::get(name).ok()? };
        Some(Self { name: name.into(), rules, billing_day: 1 })
    }

    /// Returns the same zone with billing periods that begin on a day of the month, 1 to 28.
    #[must_use]
    pub fn with_billing_day(self, day: u8) -> Self {
        Self { billing_day: day.clamp(1, 28), ..self }
    }

    /// Returns its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns what clocks and calendars show here.
    pub fn civil(&self, unix_ms: u64) -> Civil {
        let ms = i64::try_from(unix_ms.min(END_MS)).unwrap_or(i64::MAX);
        let Ok(at) = Timestamp::from_millisecond(ms) else { return Civil::default() };
        let here = self.rules.to_datetime(at);
        Civil {
            year: here.year(),
            month: here.month(),
            day: here.day(),
            hour: here.hour(),
            minute: here.minute(),
            weekday: here.weekday().to_monday_one_offset(),
        }
    }

    /// Returns the window that a span means here.
    pub fn window(&self, span: Span) -> Window {
        match span {
            Span::Rolling(length) => Window::Rolling(length),
            Span::Day => self.calendar(|date| date, |date| date.tomorrow().ok()),
            Span::Month => self.calendar(Date::first_of_month, |date| date.last_of_month().tomorrow().ok()),
            Span::BillingPeriod => {
                let day = self.billing_day;
                // Every month has the day, so that a month later is the same day again.
                self.calendar(move |date| billing_start(date, day), |date| date.checked_add(1.month()).ok())
            }
            Span::Total => Window::Total,
        }
    }

    fn calendar(&self, first: impl Fn(Date) -> Date + Send + Sync + 'static, next: fn(Date) -> Option<Date>) -> Window {
        let zone = self.clone();
        Window::Calendar(Calendar::new(move |unix_ms| zone.period(unix_ms, &first, next)))
    }

    /// Returns the period that holds an instant: from the start of one date to the start of another. A day starts at
    /// its first instant, which is not midnight where the clocks go forward at midnight.
    fn period(&self, unix_ms: u64, first: &dyn Fn(Date) -> Date, next: fn(Date) -> Option<Date>) -> Period {
        let date = first(self.date(unix_ms));
        let start_ms = self.start(date);
        let end_ms = next(date).map_or(END_MS, |date| self.start(date));
        if (start_ms..end_ms).contains(&unix_ms) {
            return Period { start_ms, end_ms };
        }
        // Only beyond the year 9999.
        Period { start_ms: unix_ms - unix_ms % DAY_MS, end_ms: unix_ms - unix_ms % DAY_MS + DAY_MS }
    }

    fn date(&self, unix_ms: u64) -> Date {
        let ms = i64::try_from(unix_ms.min(END_MS)).unwrap_or(i64::MAX);
        Timestamp::from_millisecond(ms).map_or(Date::MAX, |at| self.rules.to_datetime(at).date())
    }

    fn start(&self, date: Date) -> u64 {
        let start = date.at(0, 0, 0, 0).to_zoned(self.rules.clone()).and_then(|midnight| midnight.start_of_day());
        let start = start.map_or(i64::MAX, |start| start.timestamp().as_millisecond());
        u64::try_from(start.max(0)).unwrap_or(0).min(END_MS)
    }
}

/// Returns the first day of the billing period that holds a date.
fn billing_start(date: Date, day: u8) -> Date {
    let of_month = date.first_of_month().checked_add(i64::from(day - 1).days()).unwrap_or(date);
    if date >= of_month { of_month } else { of_month.checked_sub(1.month()).unwrap_or(of_month) }
}

/// What clocks and calendars show in a zone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Civil {
    /// The year.
    pub year: i16,
    /// The month, 1 to 12.
    pub month: i8,
    /// The day of the month, 1 to 31.
    pub day: i8,
    /// The hour, 0 to 23.
    pub hour: i8,
    /// The minute, 0 to 59.
    pub minute: i8,
    /// The day of the week: 1 is Monday, 7 is Sunday (ISO 8601).
    pub weekday: i8,
}

impl Default for Zone {
    /// UTC, and the first of the month.
    fn default() -> Self {
        Self { name: "UTC".into(), rules: TimeZone::UTC, billing_day: 1 }
    }
}

impl PartialEq for Zone {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, self.billing_day) == (&other.name, other.billing_day)
    }
}

impl Eq for Zone {}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Zone").field(&self.name).finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Ahead and behind, whole and broken offsets, clocks that change at midnight and by half an hour, a skipped date.
    const ZONES: [&str; 14] = [
        "UTC",
        "Europe/Berlin",
        "America/New_York",
        "Asia/Kolkata",
        "Asia/Kathmandu",
        "Pacific/Kiritimati",
        "Etc/GMT+12",
        "America/Sao_Paulo",
        "Asia/Beirut",
        "America/Havana",
        "Australia/Lord_Howe",
        "America/St_Johns",
        "Africa/Cairo",
        "Pacific/Apia",
    ];

    fn ms(text: &str) -> u64 {
        u64::try_from(text.parse::<Timestamp>().unwrap().as_millisecond()).unwrap()
    }

    fn period(zone: &str, span: Span, unix_ms: u64) -> Period {
        match Zone::named(zone).unwrap().window(span) {
            Window::Calendar(calendar) => calendar.period(unix_ms),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn periods_are_those_of_the_calendar() {
        let check = |zone: &str, span, inside: &str, start: &str, end: &str| {
            let expect = Period { start_ms: ms(start), end_ms: ms(end) };
            assert_eq!(period(zone, span, ms(inside)), expect, "{zone} {inside}");
        };
        check("UTC", Span::Day, "2026-11-21T10:00:00Z", "2026-11-21T00:00:00Z", "2026-11-22T00:00:00Z");
        check("UTC", Span::Month, "2028-02-29T23:59:59Z", "2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z");
        check("UTC", Span::Month, "2026-12-31T23:59:59Z", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z");
        check("Asia/Kolkata", Span::Day, "2026-11-21T18:29:59Z", "2026-11-20T18:30:00Z", "2026-11-21T18:30:00Z");
        check(
            "Pacific/Kiritimati",
            Span::Month,
            "2026-12-31T10:00:00Z",
            "2026-12-31T10:00:00Z",
            "2027-01-31T10:00:00Z",
        );
        check("Etc/GMT+12", Span::Month, "2027-01-01T11:59:59Z", "2026-12-01T12:00:00Z", "2027-01-01T12:00:00Z");
        // 23 and 25 hours.
        check("Europe/Berlin", Span::Day, "2026-03-29T10:00:00Z", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z");
        check("Europe/Berlin", Span::Day, "2026-10-25T10:00:00Z", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z");
        check("Europe/Berlin", Span::Month, "2026-03-31T21:59:59Z", "2026-02-28T23:00:00Z", "2026-03-31T22:00:00Z");
        // There was no midnight: the day starts at one o'clock.
        check("America/Sao_Paulo", Span::Day, "2018-11-04T12:00:00Z", "2018-11-04T03:00:00Z", "2018-11-05T02:00:00Z");
        // The 30th of December 2011 did not happen.
        check("Pacific/Apia", Span::Day, "2011-12-31T00:00:00Z", "2011-12-30T10:00:00Z", "2011-12-31T10:00:00Z");
    }

    #[test]
    fn billing_periods_begin_on_their_day() {
        let check = |zone: &str, day: u8, inside: &str, start: &str, end: &str| {
            let zone = Zone::named(zone).unwrap().with_billing_day(day);
            let Window::Calendar(calendar) = zone.window(Span::BillingPeriod) else { panic!("{zone:?}") };
            let expect = Period { start_ms: ms(start), end_ms: ms(end) };
            assert_eq!(calendar.period(ms(inside)), expect, "{day} {inside}");
        };
        check("UTC", 1, "2026-11-21T10:00:00Z", "2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z");
        check("UTC", 15, "2026-11-14T23:59:59Z", "2026-10-15T00:00:00Z", "2026-11-15T00:00:00Z");
        check("UTC", 15, "2026-11-15T00:00:00Z", "2026-11-15T00:00:00Z", "2026-12-15T00:00:00Z");
        check("UTC", 28, "2028-02-29T10:00:00Z", "2028-02-28T00:00:00Z", "2028-03-28T00:00:00Z");
        check("UTC", 20, "2027-01-19T10:00:00Z", "2026-12-20T00:00:00Z", "2027-01-20T00:00:00Z");
        check("Europe/Berlin", 10, "2026-04-09T21:59:59Z", "2026-03-09T23:00:00Z", "2026-04-09T22:00:00Z");
        assert_eq!(Zone::default().with_billing_day(0), Zone::default());
        assert_ne!(Zone::default().with_billing_day(2), Zone::default());
    }

    #[test]
    fn zones_have_names() {
        assert!(Zone::named("Nowhere/Else").is_none());
        assert!(Zone::named("../../etc/passwd").is_none());
        assert_eq!(Zone::named("Europe/Berlin").unwrap().name(), "Europe/Berlin");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        /// CLOCK-01: over ten years every instant lies in exactly one period, and periods follow each other.
        #[test]
        fn every_instant_lies_in_one_period(
            zone in 0..ZONES.len(), at in 1_735_689_600_000u64..2_051_222_400_000, span in 0..3, billing_day in 1..=28u8,
        ) {
            let day = span == 0;
            let span = [Span::Day, Span::Month, Span::BillingPeriod][span as usize];
            let zone = Zone::named(ZONES[zone]).unwrap().with_billing_day(billing_day);
            let period = |at| match zone.window(span) {
                Window::Calendar(calendar) => calendar.period(at),
                other => panic!("{other:?}"),
            };
            let found = period(at);
            prop_assert!(found.holds(at));
            prop_assert_eq!(period(found.start_ms), found);
            prop_assert_eq!(period(found.end_ms - 1), found);
            let (next, before) = (period(found.end_ms), period(found.start_ms - 1));
            prop_assert_eq!((before.end_ms, next.start_ms), (found.start_ms, found.end_ms));
            let hours = (found.end_ms - found.start_ms) / 3_600_000;
            prop_assert!(if day { (23..=25).contains(&hours) } else { (27 * 24..=31 * 24 + 1).contains(&hours) }, "{hours}");
        }

        /// CLOCK-04: no instant is too far away.
        #[test]
        fn no_instant_panics(at: u64, day: bool) {
            let at = at.min(u64::MAX - DAY_MS);
            let found = period("Europe/Berlin", if day { Span::Day } else { Span::Month }, at);
            prop_assert!(found.holds(at), "{found:?}");
        }
    }
}
