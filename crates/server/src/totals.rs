//! What keys have used, for whoever lists keys: read from the records, not counted again.

use std::collections::BTreeMap;
use std::path::PathBuf;

use control::plane::{KeyTotal, KeyTotals};
use store::records::read::RecordsReader;

/// Returns what reads the totals of keys. Where the records cannot be read, no key has any, and the log says why.
pub fn key_totals(data_dir: PathBuf) -> Box<KeyTotals> {
    Box::new(move |keys| {
        let read = RecordsReader::open(&data_dir).and_then(|reader| reader.totals(keys));
        let totals = read.unwrap_or_else(|error| {
            tracing::warn!(component = "admin", error = %error, "The totals of keys cannot be read");
            Vec::new()
        });
        let shown = totals.into_iter().map(|(id, totals)| {
            let total = KeyTotal {
                last_used_at_ms: Some(totals.last_used_ms),
                requests: totals.requests,
                input_tokens: totals.input_tokens,
                output_tokens: totals.output_tokens,
                spend: totals.cost_usd,
            };
            (id, total)
        });
        shown.collect::<BTreeMap<_, _>>()
    })
}
