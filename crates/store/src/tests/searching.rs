//! Lists under filters: what a page holds, and that pages make up the list.

use proptest::prelude::*;

use super::requests::{query, settlement};
use super::*;
use crate::records::record::RequestRecord;
use crate::records::retention::Sweep;

const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;

/// Many different requests over some days, from the seed of a test.
pub(super) fn varied(seed: u64, count: usize) -> Vec<Settlement> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut many = Vec::new();
    for _ in 0..count {
        let mut one = settlement(NOW_MS - random.u64(0..4 * DAY_MS), "");
        let key = random.u8(0..5);
        one.subject.key = (key > 0).then_some(ResourceId([key; 16]));
        one.subject.key_name = format!("key-{key}").into();
        one.subject.environment = if random.u8(0..10) == 0 { "other".into() } else { "default".into() };
        one.subject.team = [None, Some("search".into()), Some("ads".into())][usize::from(key % 3)].clone();
        let tags: [&[&str]; 4] = [&[], &["blue"], &["blue", "red"], &["red \"x\""]];
        one.subject.cost_tags = random.choice(tags).unwrap().iter().map(|tag| Arc::from(*tag)).collect();
        one.subject.surface = random.choice(["openai.chat", "anthropic.messages"]).unwrap().into();
        one.subject.stream = random.bool();
        let model = *random.choice(&["gpt-4o", "gpt-4o-mini", "claude-sonnet", "llama"]).unwrap();
        one.model = Some(model.into());
        one.provider = random.choice([Some("openai".into()), Some("azure".into())]).unwrap();
        one.subject.requested_model = random.choice([model, "auto", "gpt-4o"]).unwrap().into();
        one.status = *random.choice(&[200, 200, 200, 400, 429, 503, 499]).unwrap();
        if one.status != 200 {
            one.outcome = *random.choice(&[Outcome::Failed, Outcome::Cancelled, Outcome::Refused]).unwrap();
            one.error_code = Some((*random.choice(&["rate_limited", "upstream_error"]).unwrap()).into());
            one.model = one.model.filter(|_| random.bool());
        }
        if random.bool() {
            let first = one.attempts[0].clone();
            one.attempts.push(first);
        }
        one.cost = (random.u8(0..8) > 0).then(|| NanoUsd(random.u64(0..1_000_000)));
        one.baseline_cost = (random.u8(0..8) > 0).then(|| NanoUsd(random.u64(0..1_000_000)));
        one.latency_us = random.u64(1..100_000_000);
        one.first_content_us = random.bool().then(|| random.u64(1..5_000_000));
        one.usage.input = random.u64(0..100_000);
        one.usage.audio_output = random.u64(0..9);
        many.push(one);
    }
    many
}

/// Every kind of condition, and some that nothing meets.
pub(super) fn filters(some: &Settlement) -> Vec<Filter> {
    let text = |text: &str| Some(text.to_owned());
    let id = some.subject.id.to_string();
    let cost = |least, most| Filter { min_cost: least, max_cost: most, ..Filter::default() };
    vec![
        Filter::default(),
        Filter { key: text("key-2"), ..Filter::default() },
        Filter { key: text("key-0"), ..Filter::default() },
        Filter { key: text(&ResourceId([3; 16]).to_string()), ..Filter::default() },
        Filter { key: text("nobody"), ..Filter::default() },
        Filter { visible_keys: Some(vec![ResourceId([1; 16]), ResourceId([2; 16])]), ..Filter::default() },
        Filter { visible_keys: Some(vec![]), ..Filter::default() },
        Filter { visible_keys: Some(vec![ResourceId([1; 16])]), key: text("key-2"), ..Filter::default() },
        Filter { team: text("search"), ..Filter::default() },
        Filter { model: text("gpt-4o"), ..Filter::default() },
        Filter { model: text("gpt-*"), ..status_of(&[(200, 299)]) },
        Filter { model: text("*nothing*"), ..Filter::default() },
        Filter { requested_model: text("auto"), ..Filter::default() },
        Filter { requested_model: text("gpt-4o*"), stream: Some(true), ..Filter::default() },
        Filter { provider: text("azure"), ..Filter::default() },
        Filter { provider: text("nowhere"), ..Filter::default() },
        status_of(&[(429, 429)]),
        status_of(&[(200, 200), (500, 599)]),
        status_of(&[(100, 199)]),
        Filter { outcomes: vec!["failed".into(), "refused".into()], ..Filter::default() },
        Filter { errors: vec!["rate_limited".into()], ..Filter::default() },
        Filter { surface: text("anthropic.messages"), ..Filter::default() },
        Filter { stream: Some(false), fallback: Some(true), ..Filter::default() },
        Filter { fallback: Some(false), ..Filter::default() },
        Filter { tag: text("blue"), ..Filter::default() },
        Filter { tag: text("red \"x\""), team: text("ads"), ..Filter::default() },
        Filter { tag: text("red"), key: text("key-4"), ..Filter::default() },
        Filter { from_ms: Some(NOW_MS - DAY_MS), ..Filter::default() },
        Filter { to_ms: Some(NOW_MS - DAY_MS), from_ms: Some(NOW_MS - 2 * DAY_MS), ..Filter::default() },
        Filter { from_ms: Some(u64::MAX), ..Filter::default() },
        cost(Some(NanoUsd(500_000)), None),
        cost(None, Some(NanoUsd(1_000))),
        cost(Some(NanoUsd(u64::MAX)), None),
        Filter { min_latency_us: Some(90_000_000), ..Filter::default() },
        Filter { max_latency_us: Some(1_000_000), model: text("llama"), ..Filter::default() },
        Filter { id: Some(id.clone()), ..Filter::default() },
        Filter { id: Some(id[20..30].to_uppercase()), ..Filter::default() },
        Filter { id: text("req_01"), ..Filter::default() },
        Filter { id: text("zz"), ..Filter::default() },
    ]
}

fn status_of(statuses: &[(u16, u16)]) -> Filter {
    Filter { statuses: statuses.to_vec(), ..Filter::default() }
}

/// Returns the ids of those that a filter means, newest first.
fn expected(all: &[Settlement], filter: &Filter) -> Vec<RequestId> {
    let records = all.iter().map(RequestRecord::of).filter(|record| record.environment == "default");
    let mut ids: Vec<_> = records.filter(|record| filter.matches(record)).map(|record| record.id).collect();
    ids.sort_unstable_by(|one, other| other.cmp(one));
    ids
}

/// Returns the ids of all pages.
fn paged(reader: &RecordsReader, filter: &Filter, limit: usize) -> Vec<RequestId> {
    let mut query = ListQuery { filter: filter.clone(), limit: Some(limit), ..query() };
    let mut seen = Vec::new();
    for _ in 0..10_000 {
        let page = reader.list(&query).unwrap();
        assert!(page.data.len() <= limit);
        assert!(page.data.len() == limit || page.next_cursor.is_some() == page.searched_back_to.is_some());
        seen.extend(page.data.iter().map(|record| record.id));
        query.cursor = page.next_cursor;
        if query.cursor.is_none() {
            return seen;
        }
    }
    panic!("the pages never end");
}

/// Folds everything that is over.
pub(super) fn fold_all(records: &mut Records, now_ms: u64) {
    while records.fold(now_ms).unwrap() {}
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    /// Whatever is folded and in whichever order records come, the pages of a filter hold what it means, once each.
    #[test]
    fn pages_partition_the_list_under_any_filter(
        seed in any::<u64>(), limit in 1usize..40, batch in 1usize..300, folded in 0u64..5,
    ) {
        let dir = Directory::new();
        let mut records = Records::open(&dir).unwrap();
        let all = varied(seed, 400);
        for some in all.chunks(batch) {
            records.commit(some, &[], &[]).unwrap();
            fold_all(&mut records, NOW_MS - (4 - folded) * DAY_MS);
        }
        let reader = RecordsReader::open(&dir).unwrap();
        for filter in filters(&all[7]) {
            prop_assert_eq!(paged(&reader, &filter, limit), expected(&all, &filter), "{:?}", filter);
        }
    }
}

/// Acceptance INJ-01.
#[test]
fn a_search_in_vain_ends_and_goes_on_with_the_next_page() {
    let dir = Directory::new();
    let mut records = Records::open(&dir).unwrap();
    // More rows than a page looks at, the one that is meant before all of them.
    let template = settlement(NOW_MS, "a");
    let mut wanted = template.clone();
    wanted.subject.id = RequestId::new(NOW_MS - 1_000);
    wanted.cost = Some(NanoUsd(999));
    records.commit(std::slice::from_ref(&wanted), &[], &[]).unwrap();
    for _ in 0..25 {
        let batch: Vec<_> = (0..10_000)
            .map(|n| Settlement {
                subject: Subject { id: RequestId::new(NOW_MS + n), ..template.subject.clone() },
                ..template.clone()
            })
            .collect();
        records.commit(&batch, &[], &[]).unwrap();
    }
    let reader = RecordsReader::open(&dir).unwrap();
    let filter = Filter { max_cost: Some(NanoUsd(1_000)), ..Filter::default() };
    let first = reader.list(&ListQuery { filter: filter.clone(), ..query() }).unwrap();
    assert_eq!(first.data, []);
    assert!(first.searched_back_to.is_some() && first.next_cursor.is_some());
    assert_eq!(paged(&reader, &filter, 50), [wanted.subject.id]);
}

#[test]
fn old_records_go_and_their_space_is_used_again() {
    let dir = Directory::new();
    let mut records = Records::open(&dir).unwrap();
    let all = varied(1, 3_000);
    records.commit(&all, &[], &[]).unwrap();
    let before = NOW_MS - 2 * DAY_MS;
    let sweep_all = |records: &mut Records, environment| {
        let mut sweep = Sweep::default();
        let mut deleted = 0;
        while let Some(some) = records.sweep(environment, before, &mut sweep).unwrap() {
            assert!(some <= 500);
            deleted += some;
        }
        deleted
    };
    let old = |environment: &str| {
        let old = all.iter().filter(|one| one.subject.id.unix_ms() < before);
        old.filter(|one| *one.subject.environment == *environment).count()
    };
    let pages = |sql| {
        let database = rusqlite::Connection::open(dir.join("records.db")).unwrap();
        database.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap()
    };
    let size = pages("SELECT page_count FROM pragma_page_count()");
    assert_eq!(sweep_all(&mut records, "default"), old("default"));
    assert!(pages("SELECT freelist_count FROM pragma_freelist_count()") > 0);
    let reader = RecordsReader::open(&dir).unwrap();
    let oldest = ListQuery { filter: Filter { to_ms: Some(before), ..Filter::default() }, ..query() };
    assert_eq!(reader.list(&oldest).unwrap().data, []);
    let other = ListQuery { environment: "other".into(), ..oldest };
    assert_eq!(reader.list(&other).unwrap().data.len(), 50, "another environment keeps its own");
    let count = reader.count("default", &Filter::default(), (0, NOW_MS + 1)).unwrap().count;
    let made = all.iter().filter(|one| *one.subject.environment == *"default").count();
    assert_eq!(count, made as u64, "the rollups survive");
    assert_eq!(sweep_all(&mut records, "other"), old("other"));
    let newer: Vec<_> = varied(2, 1_000);
    records.commit(&newer, &[], &[]).unwrap();
    assert!(pages("SELECT page_count FROM pragma_page_count()") <= size + 40, "it grows no more");
}
