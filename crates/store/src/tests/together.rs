//! Batches of records: what one row holds is not seen in another.

use ir::money::{Charge, Margin};

use super::requests::settlement;
use super::*;
use crate::records::ledger::read::EntryQuery;
use crate::records::record::RequestRecord;

/// Returns settlements of which no two neighbours are alike; what varies has periods that do not divide one another.
fn varied(count: u64) -> Vec<Settlement> {
    let words: Vec<Arc<str>> = ["a", "b", "c", "d", "e"].map(Arc::from).into();
    let tags: Vec<Arc<[Arc<str>]>> = vec![Arc::from([]), Arc::from([words[0].clone()]), Arc::from([words[1].clone()])];
    let word = |n: u64, every: u64| words[(n % every) as usize % words.len()].clone();
    let some = |n: u64, every: u64| !n.is_multiple_of(every);
    (0..count)
        .map(|n| {
            let mut one = settlement(NOW_MS + n, "");
            // One name stands for several callers.
            one.subject.key_name = word(n, 2);
            one.subject.key = some(n, 5).then_some(ResourceId([(n % 3) as u8; 16]));
            one.subject.team = some(n, 7).then(|| word(n, 4));
            one.subject.cost_tags = tags[n as usize % 3].clone();
            one.subject.surface = if some(n, 3) { "openai.chat" } else { "anthropic.messages" }.into();
            one.outcome = Outcome::ALL[n as usize % Outcome::ALL.len()];
            one.usage_origin = if some(n, 4) { UsageOrigin::Reported } else { UsageOrigin::Estimated };
            one.model = some(n, 11).then(|| word(n, 5));
            one.provider = some(n, 2).then(|| word(n, 3));
            one.error_code = (!some(n, 3)).then(|| word(n, 4));
            one.baseline = some(n, 6).then(|| word(n, 5));
            one.baseline_cost = one.baseline.as_ref().map(|_| NanoUsd(n * 7));
            one.cost = some(n, 9).then_some(NanoUsd(n * 3));
            one.first_content_us = some(n, 8).then_some(n);
            one.charge = some(n, 2).then(|| Charge::of(NanoUsd(n * 3), Margin(55_000)));
            one.usage.cached_input = n % 13;
            one
        })
        .collect()
}

/// More than the statements write at once, and a rest.
#[test]
fn rows_of_a_batch_are_read_as_they_were_given() {
    for count in [1, 15, 16, 17, 103] {
        let dir = Directory::new();
        let given = varied(count);
        let mut records = Records::open(&dir).unwrap();
        // The second batch meets the statements as the first one left them.
        let (first, second) = given.split_at(given.len() / 3);
        records.commit(first, &[], &[]).unwrap();
        records.commit(second, &[], &[]).unwrap();
        let reader = RecordsReader::open(&dir).unwrap();
        for one in &given {
            let record = reader.get("default", one.subject.id).unwrap().unwrap();
            assert_eq!(record, RequestRecord::of(one));
        }
        let query = EntryQuery { environment: "default".into(), limit: Some(200), ..EntryQuery::default() };
        let charged = given.iter().filter(|one| one.charge.is_some_and(|charge| charge.total().0 > 0)).count();
        assert_eq!(reader.ledger_entries(&query).unwrap().data.len(), charged);
        let mut audit = reader.audit().unwrap();
        audit.tables().unwrap();
        assert_eq!(audit.verdict().faults, 0);
        assert_eq!(records.commit(&given, &[], &[]).unwrap().len(), given.len(), "all of them are known");
    }
}
