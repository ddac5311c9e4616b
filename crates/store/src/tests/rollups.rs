//! Sums from the rollups are the sums of the records.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::requests::settlement;
use super::searching::{filters, fold_all, varied};
use super::*;
use crate::records::record::RequestRecord;
use crate::records::usage::{Dimension, Figures, UsageQuery};
use crate::records::zone::{Unit, Zone};

const MINUTE_MS: u64 = 60_000;
const DAY_MS: u64 = 86_400_000;

/// Requests, errors, fallbacks, input and output tokens, cost, requests without one, baseline cost, saved.
type Summed = [i128; 9];

fn summed<'a>(records: impl Iterator<Item = &'a RequestRecord>) -> Summed {
    let mut sums = Summed::default();
    for record in records {
        let cost = record.cost_usd.map(|cost| i128::from(cost.0));
        let baseline = record.baseline_cost_usd.map(|cost| i128::from(cost.0));
        let saved = cost.zip(baseline).map_or(0, |(cost, baseline)| baseline - cost);
        let one = [
            1,
            i128::from(record.status >= 400),
            i128::from(record.attempts.len() > 1),
            record.usage.input_tokens.into(),
            record.usage.output_tokens.into(),
            cost.unwrap_or(0),
            i128::from(cost.is_none()),
            baseline.unwrap_or(0),
            saved,
        ];
        sums.iter_mut().zip(one).for_each(|(sum, one)| *sum += one);
    }
    sums
}

fn of(figures: &Figures) -> Summed {
    let sums = &figures.sums;
    [
        sums.requests.into(),
        figures.errors().into(),
        figures.fallbacks.into(),
        sums.usage.input_tokens().into(),
        sums.usage.output_tokens().into(),
        sums.cost_nanos.into(),
        sums.unknown_cost.into(),
        sums.baseline_cost_nanos.into(),
        sums.saved_nanos.into(),
    ]
}

fn ask(from_ms: u64, to_ms: u64) -> UsageQuery {
    UsageQuery { environment: "default".into(), from_ms, to_ms, ..UsageQuery::default() }
}

fn value(dimension: Dimension, record: &RequestRecord, zone: &Zone, from_ms: u64) -> Vec<Option<String>> {
    let one = |text: Option<&str>| vec![text.map(str::to_owned)];
    match dimension {
        Dimension::Model => one(record.model.as_deref()),
        Dimension::Provider => one(record.provider.as_deref()),
        Dimension::Key => one(Some(&record.key.name)),
        Dimension::Team => one(record.team.as_deref()),
        Dimension::Tag if record.cost_tags.is_empty() => one(None),
        Dimension::Tag => record.cost_tags.iter().cloned().map(Some).collect(),
        Dimension::Status => one(Some(match record.status {
            429 => "429",
            400..500 => "4xx",
            500.. => "5xx",
            _ => "2xx",
        })),
        Dimension::Outcome => one(Some(&record.outcome)),
        Dimension::Error => one(record.error.as_ref().and_then(|error| error.code.as_deref())),
        Dimension::Surface => one(Some(&record.surface)),
        Dimension::Stream => one(Some(if record.stream { "true" } else { "false" })),
        Dimension::Time(unit) => one(Some(&zone.rfc3339(zone.start(unit, record.id.unix_ms()).max(from_ms)))),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    /// In any order, delivered again, folded at any time, late or not, over any span and zone.
    #[test]
    fn sums_are_those_of_the_records(
        seed in any::<u64>(), batch in 1usize..300, again in 0usize..5, folded in 0u64..6,
        from in 0u64..4 * DAY_MS, length in 1u64..5 * DAY_MS, aligned in any::<bool>(), zone in 0usize..4,
    ) {
        let dir = Directory::new();
        let mut records = Records::open(&dir).unwrap();
        let all = varied(seed, 500);
        for (number, some) in all.chunks(batch).enumerate() {
            records.commit(some, &[], &[]).unwrap();
            if number % 5 == again {
                prop_assert_eq!(records.commit(some, &[], &[]).unwrap().len(), some.len());
            }
            fold_all(&mut records, NOW_MS - 4 * DAY_MS + folded * DAY_MS);
        }
        let reader = RecordsReader::open(&dir).unwrap();
        let zone = Zone::parse(["UTC", "Asia/Kolkata", "America/St_Johns", "-03:00"][zone]).unwrap();
        let mut from_ms = NOW_MS - 4 * DAY_MS + from;
        let mut to_ms = from_ms + length;
        if aligned {
            (from_ms, to_ms) = (from_ms / MINUTE_MS * MINUTE_MS, to_ms / MINUTE_MS * MINUTE_MS + MINUTE_MS);
        }
        let shown: Vec<_> = all.iter().map(RequestRecord::of).filter(|one| one.environment == "default").collect();
        let within = |record: &&RequestRecord| (from_ms..to_ms).contains(&record.id.unix_ms());
        for filter in filters(&all[7]) {
            let meant: Vec<_> = shown.iter().filter(within).filter(|one| {
                Filter { from_ms: None, to_ms: None, ..filter.clone() }.matches(one)
            }).collect();
            let query = UsageQuery { filter: filter.clone(), zone: zone.clone(), ..ask(from_ms, to_ms) };
            prop_assert_eq!(of(&reader.usage(&query).unwrap().total), summed(meant.iter().copied()), "{:?}", &filter);
            let count = reader.count("default", &filter, (from_ms, to_ms)).unwrap();
            prop_assert_eq!((count.count, count.complete_from_ms), (meant.len() as u64, None), "{:?}", &filter);
            let bars = reader.bars("default", &filter, (from_ms, to_ms), 7_200_000, &zone).unwrap().bars;
            for bar in &bars {
                let inside = meant.iter().copied().filter(|one| (bar.start_ms..bar.end_ms).contains(&one.id.unix_ms()));
                prop_assert_eq!(of(&bar.figures), summed(inside), "{:?} {:?}", &filter, bar);
            }
            prop_assert_eq!(bars.iter().map(|bar| bar.figures.sums.requests).sum::<u64>(), meant.len() as u64);
        }
        let meant: Vec<_> = shown.iter().filter(within).collect();
        for (name, by) in Dimension::NAMES.into_iter().filter(|(name, _)| *name != "minute") {
            let query = UsageQuery { group_by: vec![by], zone: zone.clone(), ..ask(from_ms, to_ms) };
            let rows = reader.usage(&query).unwrap().rows;
            let mut expect: BTreeMap<Option<String>, Vec<&RequestRecord>> = BTreeMap::new();
            for record in &meant {
                for value in value(by, record, &zone, from_ms) {
                    expect.entry(value).or_default().push(record);
                }
            }
            let found: BTreeMap<_, _> = rows.iter().map(|row| (row.group[0].1.clone(), of(&row.figures))).collect();
            let expect: BTreeMap<_, _> = expect.into_iter().map(|(k, v)| (k, summed(v.into_iter()))).collect();
            prop_assert_eq!(&found, &expect, "by {}", name);
            prop_assert_eq!(found.len(), rows.len(), "by {}", name);
        }
    }
}

#[test]
fn quantiles_are_those_of_all_requests_of_a_group() {
    let dir = Directory::new();
    let mut records = Records::open(&dir).unwrap();
    let mut batch: Vec<_> = (0..100).map(|n| settlement(NOW_MS + n * 1_000, "a")).collect();
    for (n, one) in (1..).zip(&mut batch) {
        one.latency_us = n * 10_000;
        one.first_content_us = (n == 1).then_some(14);
    }
    batch.chunks(7).for_each(|some| drop(records.commit(some, &[], &[]).unwrap()));
    let usage = RecordsReader::open(&dir).unwrap().usage(&ask(NOW_MS, NOW_MS + 100_000)).unwrap();
    let shown = serde_json::to_value(&usage.total).unwrap();
    for (name, expect) in [("p50", 500.0), ("p95", 950.0), ("p99", 990.0)] {
        let ms = shown["latency_ms"][name].as_f64().unwrap();
        assert!((ms - expect).abs() <= expect * 0.033, "{name} is {ms}");
    }
    assert_eq!(shown["time_to_first_content_ms"]["p99"], 0.014);
    assert_eq!(shown["requests"], 100);
    assert_eq!(shown["saved_usd"].to_string(), "0.00775");
}

#[test]
fn a_failed_commit_is_not_summed() {
    let dir = Directory::new();
    let mut records = Records::open(&dir).unwrap();
    let one = settlement(NOW_MS, "a");
    let database = rusqlite::Connection::open(dir.join("records.db")).unwrap();
    database
        .execute_batch("CREATE TRIGGER full BEFORE INSERT ON caller_totals BEGIN SELECT RAISE(ABORT, 'full'); END")
        .unwrap();
    records.commit(std::slice::from_ref(&one), &[([1; 16], 5)], &[]).unwrap_err();
    assert_eq!(records.watermarks().unwrap(), []);
    database.execute_batch("DROP TRIGGER full").unwrap();
    records.commit(std::slice::from_ref(&one), &[], &[]).unwrap();
    let usage = RecordsReader::open(&dir).unwrap().usage(&ask(NOW_MS - 1, NOW_MS + 1)).unwrap();
    assert_eq!(usage.total.sums.requests, 1);
}

#[test]
fn old_rollups_become_coarser_and_days_stay() {
    let dir = Directory::new();
    let mut records = Records::open(&dir).unwrap();
    records.commit(&varied(3, 300), &[], &[]).unwrap();
    let later = NOW_MS + 200 * DAY_MS;
    fold_all(&mut records, later);
    let database = rusqlite::Connection::open(dir.join("records.db")).unwrap();
    let rows = |level: i64| {
        let sql = "SELECT count(*) FROM rollups WHERE place >> 58 = ?1";
        database.query_row(sql, [level], |row| row.get::<_, i64>(0)).unwrap()
    };
    assert_eq!([rows(0), rows(1), rows(2)], [0, 0, 0]);
    assert!((4..=5).contains(&rows(3)), "{}", rows(3));
    // One that comes half a year late is in the day all the same.
    let late = settlement(NOW_MS - DAY_MS, "late");
    records.commit(std::slice::from_ref(&late), &[], &[]).unwrap();
    assert_eq!(rows(0), 0);
    let reader = RecordsReader::open(&dir).unwrap();
    let query = UsageQuery { group_by: vec![Dimension::Time(Unit::Day)], ..ask(NOW_MS - 10 * DAY_MS, NOW_MS + DAY_MS) };
    let usage = reader.usage(&query).unwrap();
    let made = varied(3, 300).iter().filter(|one| *one.subject.environment == *"default").count();
    assert_eq!(usage.total.sums.requests, made as u64 + 1);
    let hours = UsageQuery { group_by: vec![Dimension::Time(Unit::Hour)], ..query };
    assert!(matches!(reader.usage(&hours).unwrap_err(), StoreError::TooBroad(_)));
}

#[test]
fn totals_of_keys_are_read_at_once() {
    let dir = Directory::new();
    let mut records = Records::open(&dir).unwrap();
    let keys = [ResourceId([1; 16]), ResourceId([2; 16]), ResourceId([3; 16])];
    let mut batch: Vec<_> = (0..5).map(|n| settlement(NOW_MS + n, "a")).collect();
    for (n, one) in batch.iter_mut().enumerate() {
        one.subject.key = Some(keys[n % 2]);
    }
    batch[0].subject.team = Some("before it moved".into());
    batch[4].cost = None;
    records.commit(&batch, &[], &[]).unwrap();
    records.commit(&batch, &[], &[]).unwrap();
    let reader = RecordsReader::open(&dir).unwrap();
    let mut totals = reader.totals(&keys).unwrap();
    totals.sort_by_key(|(id, _)| *id);
    let shown: Vec<_> = totals.iter().map(|(id, one)| (*id, serde_json::to_string(one).unwrap())).collect();
    let expect = |requests: u64, cost: &str, unknown: u64, last: u64| {
        format!(
            r#"{{"requests":{requests},"input_tokens":{},"output_tokens":{},"cost_usd":{cost},"unknown_cost_requests":{unknown},"last_used_ms":{last}}}"#,
            requests * 15,
            requests * 10
        )
    };
    assert_eq!(
        shown,
        [(keys[0], expect(3, "0.000245", 1, NOW_MS + 4)), (keys[1], expect(2, "0.000245", 0, NOW_MS + 3))]
    );
    assert_eq!(reader.totals(&[ResourceId([9; 16])]).unwrap(), []);
}
