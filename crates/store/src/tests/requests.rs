//! The records.

use super::*;
use crate::records::record::RequestRecord;

pub(crate) fn settlement(unix_ms: u64, key_name: &str) -> Settlement {
    Settlement {
        subject: Subject {
            id: RequestId::new(unix_ms),
            admitted_unix_ms: unix_ms,
            environment: "default".into(),
            key: None,
            key_name: key_name.into(),
            team: None,
            cost_tags: Arc::from([]),
            surface: "openai.chat".into(),
            requested_model: "gpt-4o-mini".into(),
            stream: true,
        },
        outcome: Outcome::Succeeded,
        status: 200,
        error_code: None,
        error_detail: None,
        model: Some("gpt-4o-mini".into()),
        provider: Some("openai".into()),
        upstream_id: Some("chatcmpl-1".into()),
        finish_reason: Some("stop".into()),
        usage: Usage { input: 10, cached_input: 5, output: 7, reasoning: 3, ..Usage::default() },
        usage_origin: UsageOrigin::Reported,
        cost: Some(NanoUsd(122_500)),
        baseline: Some("gpt-4o".into()),
        baseline_cost: Some(NanoUsd(200_000)),
        latency_us: 12_345,
        first_content_us: Some(4_000),
        attempts: vec![AttemptRecord {
            provider: "openai".into(),
            model: "gpt-4o-mini".into(),
            reason: Arc::from("requested \"model\""),
            status: Some(200),
            error: None,
            duration_us: 11_001,
        }],
        charge: None,
        parties: Vec::new(),
        held: None,
        asked: 1,
    }
}

pub(super) fn query() -> ListQuery {
    ListQuery { environment: "default".into(), ..ListQuery::default() }
}

#[test]
fn a_record_reads_as_the_api_shows_it() {
    let dir = Directory::new();
    let mut given = settlement(NOW_MS, "ci");
    given.subject.key = Some(ResourceId([1; 16]));
    given.subject.team = Some("search".into());
    given.subject.cost_tags = Arc::from([Arc::from("a"), Arc::from("b \"c\"")]);
    Records::open(&dir).unwrap().commit(&[given.clone()], &[], &[]).unwrap();
    let reader = RecordsReader::open(&dir).unwrap();
    let record = reader.get("default", given.subject.id).unwrap().unwrap();
    let expect = format!(
        concat!(
            r#"{{"id":"{}","created_at":"2026-11-18T11:06:40.123Z","environment":"default","#,
            r#""key":{{"id":"res_01010101010101010101010101010101","name":"ci"}},"team":"search","#,
            r#""cost_tags":["a","b \"c\""],"surface":"openai.chat","#,
            r#""requested_model":"gpt-4o-mini","model":"gpt-4o-mini","provider":"openai","stream":true,"status":200,"#,
            r#""outcome":"succeeded","error":null,"finish_reason":"stop","upstream_id":"chatcmpl-1","#,
            r#""usage":{{"input_tokens":15,"cached_input_tokens":5,"cache_write_tokens":0,"output_tokens":10,"#,
            r#""reasoning_tokens":3,"audio_input_tokens":0,"audio_output_tokens":0,"origin":"reported"}},"#,
            r#""cost_usd":0.0001225,"charged_usd":null,"baseline":"gpt-4o","baseline_cost_usd":0.0002,"saved_pct":38.8,"#,
            r#""latency_ms":12.345,"time_to_first_content_ms":4.0,"attempts":[{{"provider":"openai","#,
            r#""model":"gpt-4o-mini","reason":"requested \"model\"","status":200,"error":null,"duration_ms":11.001,"cost_usd":0.0001225}}]}}"#
        ),
        given.subject.id
    );
    assert_eq!(serde_json::to_string(&record).unwrap(), expect);
    assert_eq!(reader.get("other", given.subject.id).unwrap(), None);
    assert_eq!(RequestRecord::of(&given), record, "the live tail shows the same");
}

#[test]
fn an_error_and_unknown_costs_are_shown() {
    let dir = Directory::new();
    let given = Settlement {
        outcome: Outcome::Failed,
        error_code: Some("upstream_error".into()),
        error_detail: None,
        cost: None,
        attempts: Vec::new(),
        ..settlement(NOW_MS, "ci")
    };
    Records::open(&dir).unwrap().commit(std::slice::from_ref(&given), &[], &[]).unwrap();
    let record = RecordsReader::open(&dir).unwrap().get("default", given.subject.id).unwrap().unwrap();
    assert_eq!(record.error.unwrap().code.as_deref(), Some("upstream_error"));
    assert_eq!((record.cost_usd, record.saved_pct, record.attempts), (None, None, Vec::new()));
}

#[test]
fn delivering_twice_changes_nothing() {
    let dir = Directory::new();
    let mut records = Records::open(&dir).unwrap();
    let batch = [settlement(1, "a"), settlement(2, "a")];
    let ids: Vec<_> = batch.iter().map(|one| one.subject.id).collect();
    assert!(records.commit(&batch, &[([1; 16], 100), ([2; 16], 5)], &[]).unwrap().is_empty());
    assert_eq!(records.commit(&batch, &[([1; 16], 90)], &[[2; 16]]).unwrap(), [0, 1]);
    assert_eq!(records.watermarks().unwrap(), [([1; 16], 100)]);
    records.forget_durably(&[[1; 16]]).unwrap();
    assert_eq!(records.watermarks().unwrap(), []);
    assert_eq!(RecordsReader::open(&dir).unwrap().list(&query()).unwrap().data.len(), 2);
    let found = records.contains(&[ids[0], ids[1], RequestId::new(3)]).unwrap();
    assert_eq!(found, ids.into_iter().collect());
}

/// The ids differ behind the bits that make their places only.
#[test]
fn requests_that_want_one_place_are_all_kept_once() {
    let dir = Directory::new();
    let mut records = Records::open(&dir).unwrap();
    let mut batch: Vec<_> = (0..20).map(|_| settlement(NOW_MS, "a")).collect();
    let first = batch[0].subject.id;
    for (n, one) in (1..).zip(&mut batch) {
        one.subject.id = first;
        one.subject.id.0[15] = n;
    }
    records.commit(&batch[..10], &[], &[]).unwrap();
    records.commit(&batch, &[], &[]).unwrap();
    let ids: Vec<_> = batch.iter().map(|one| one.subject.id).collect();
    assert_eq!(records.contains(&ids).unwrap().len(), 20);
    let reader = RecordsReader::open(&dir).unwrap();
    let first_page = reader.list(&ListQuery { limit: Some(15), ..query() }).unwrap();
    let second_page = reader.list(&ListQuery { limit: Some(15), cursor: first_page.next_cursor, ..query() }).unwrap();
    let seen: Vec<_> = first_page.data.iter().chain(&second_page.data).map(|one| one.id).collect();
    assert_eq!((seen.len(), seen.iter().collect::<std::collections::HashSet<_>>().len()), (20, 20));
    assert!(ids.iter().all(|id| reader.get("default", *id).unwrap().unwrap().id == *id));
}

#[test]
fn what_a_failed_commit_added_is_added_again() {
    let dir = Directory::new();
    let mut records = Records::open(&dir).unwrap();
    let one = settlement(NOW_MS, "a");
    let database = rusqlite::Connection::open(dir.join("records.db")).unwrap();
    let trigger = "CREATE TRIGGER full BEFORE INSERT ON requests BEGIN SELECT RAISE(ABORT, 'full'); END";
    database.execute_batch(trigger).unwrap();
    records.commit(std::slice::from_ref(&one), &[], &[]).unwrap_err();
    database.execute_batch("DROP TRIGGER full").unwrap();
    records.commit(std::slice::from_ref(&one), &[], &[]).unwrap();
    let record = RecordsReader::open(&dir).unwrap().get("default", one.subject.id).unwrap().unwrap();
    assert_eq!((record.key.name.as_str(), record.surface.as_str()), ("a", "openai.chat"));
}

#[test]
fn pages_follow_each_other() {
    let dir = Directory::new();
    let batch: Vec<_> = (0..7).map(|n| settlement(NOW_MS + n, "a")).collect();
    Records::open(&dir).unwrap().commit(&batch, &[], &[]).unwrap();
    let reader = RecordsReader::open(&dir).unwrap();
    let mut seen = Vec::new();
    let mut cursor = None;
    loop {
        let page = reader.list(&ListQuery { limit: Some(3), cursor, ..query() }).unwrap();
        seen.extend(page.data.into_iter().map(|record| record.id));
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen, batch.iter().rev().map(|one| one.subject.id).collect::<Vec<_>>());
    for wrong in [
        "",
        "req_1",
        "c1_",
        "c1_00000000000000g0",
        "c1_+000000000000001",
        "c1_00000000000000000",
        "c2_0000000000000000",
    ] {
        let error = reader.list(&ListQuery { cursor: Some(wrong.into()), ..query() }).unwrap_err();
        assert!(matches!(error, StoreError::BadCursor), "{wrong}: {error}");
    }
}

#[test]
fn savings_are_signed_with_one_decimal() {
    let check = |cost, baseline, expect| {
        assert_eq!(crate::records::record::saved_pct(Some(NanoUsd(cost)), Some(NanoUsd(baseline))), expect);
    };
    check(0, 100, Some(100.0));
    check(100, 100, Some(0.0));
    check(250, 100, Some(-150.0));
    check(667, 1_000, Some(33.3));
    check(9_985, 10_000, Some(0.2));
    check(10_015, 10_000, Some(-0.2));
    check(1, 0, None);
}

#[test]
fn what_limits_count_beside_a_record_is_kept_as_long_as_the_record() {
    use ir::settlement::{Held, Party, PartyKind};

    let dir = Directory::new();
    let party = Party { kind: PartyKind::User, digest: [9; 16] };
    let plain = Settlement { asked: 0, ..settlement(NOW_MS, "ci") };
    let of_user = Settlement { parties: vec![party], ..settlement(NOW_MS + 1_000, "ci") };
    let held =
        Settlement { cost: None, held: Some(Held { output_tokens: 3, nanos: 7 }), ..settlement(NOW_MS + 2_000, "ci") };
    let mut tried = settlement(NOW_MS + 3_000, "ci");
    tried.attempts[0].error = Some("server: no".into());
    let unasked = Settlement { asked: 0, ..tried.clone() };
    let mut records = Records::open(&dir.0).unwrap();
    for _ in 0..2 {
        records.commit(&[plain.clone(), of_user.clone(), held.clone(), tried.clone()], &[], &[]).unwrap();
    }
    records.commit(&[Settlement { subject: settlement(NOW_MS + 4_000, "ci").subject, ..unasked }], &[], &[]).unwrap();
    let found = |from_ms| {
        let mut found = Vec::new();
        let reader = RecordsReader::open(&dir.0).unwrap();
        reader
            .beside("default", from_ms, |one| {
                found.push((one.at_ms - NOW_MS, one.parties.len(), one.held, one.tries.len()))
            })
            .unwrap();
        found
    };
    let all = [(1_000, 1, None, 0), (2_000, 0, held.held, 0), (3_000, 0, None, 1)];
    assert_eq!(found(NOW_MS), all, "once each, and nothing where the record says it all");
    assert_eq!(found(NOW_MS + 2_000), all[1..]);
    let mut sweep = crate::records::retention::Sweep::default();
    while records.sweep("default", NOW_MS + 2_500, &mut sweep).unwrap().is_some() {}
    assert_eq!(found(0), all[2..]);
}
