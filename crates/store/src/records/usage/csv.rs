//! Sums as CSV (RFC 4180), for spreadsheets.

use ir::money::NanoUsd;

use super::names::columns;
use super::row::{Figures, Quantiles, signed_dollars};
use super::{Dimension, Usage};

/// The columns behind the counts.
const MORE: [&str; 10] = [
    "cost_usd",
    "unknown_cost_requests",
    "baseline_cost_usd",
    "saved_usd",
    "latency_ms_p50",
    "latency_ms_p95",
    "latency_ms_p99",
    "time_to_first_content_ms_p50",
    "time_to_first_content_ms_p95",
    "time_to_first_content_ms_p99",
];

/// Returns a head line and a line for each row.
pub fn write(by: &[Dimension], usage: &Usage) -> String {
    let mut text = String::new();
    let counts = Figures::default().counts().map(|(name, _)| name);
    line(&mut text, columns(by).into_iter().chain(counts).chain(MORE).map(str::to_owned));
    for row in &usage.rows {
        let group = row.group.iter().map(|(_, value)| cell(value.as_deref().unwrap_or_default()));
        line(&mut text, group.chain(figures(&row.figures)));
    }
    text
}

fn figures(figures: &Figures) -> impl Iterator<Item = String> {
    let sums = &figures.sums;
    let durations = [&sums.latency, &sums.first_content].map(Quantiles::of);
    let durations = durations.into_iter().flat_map(|quantiles| [quantiles.p50, quantiles.p95, quantiles.p99]);
    let money = [
        NanoUsd(sums.cost_nanos).to_string(),
        sums.unknown_cost.to_string(),
        NanoUsd(sums.baseline_cost_nanos).to_string(),
        signed_dollars(sums.saved_nanos),
    ];
    let counts = figures.counts().map(|(_, count)| count.to_string());
    let shown = durations.map(|ms| ms.map(|ms| ms.to_string()).unwrap_or_default());
    counts.into_iter().chain(money).chain(shown)
}

fn line(text: &mut String, cells: impl Iterator<Item = String>) {
    for (index, cell) in cells.enumerate() {
        if index > 0 {
            text.push(',');
        }
        text.push_str(&cell);
    }
    text.push_str("\r\n");
}

/// Returns a name as a cell. What a spreadsheet would take for a formula, some in full width too, gets an apostrophe
/// before it.
pub(in crate::records) fn cell(value: &str) -> String {
    let formula = value.starts_with(['=', '+', '-', '@', '\t', '\r', '＝', '＋', '－', '＠']);
    let value = if formula { format!("'{value}") } else { value.to_owned() };
    if value.contains(['"', ',', '\r', '\n']) { format!("\"{}\"", value.replace('"', "\"\"")) } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::usage::UsageRow;

    /// Acceptance WEB-02.
    #[test]
    fn names_stay_in_their_cells() {
        let check = |value, expect: &str| assert_eq!(cell(value), expect);
        check("plain", "plain");
        check("a,b", "\"a,b\"");
        check("say \"hi\"\n", "\"say \"\"hi\"\"\n\"");
        check("=1+1", "'=1+1");
        check("@x,y", "\"'@x,y\"");
        check("＝1+1", "'＝1+1");
    }

    #[test]
    fn every_line_has_every_column() {
        let row = UsageRow { group: vec![("key", Some("a".into())), ("key_id", None)], figures: Figures::default() };
        let text = write(&[Dimension::Key], &Usage { rows: vec![row], total: Figures::default() });
        let lines: Vec<_> = text.lines().collect();
        assert!(lines[0].starts_with("key,key_id,requests,errors,"), "{text}");
        assert!(lines[1].starts_with("a,,0,0,"), "{text}");
        assert_eq!(lines[0].matches(',').count(), lines[1].matches(',').count(), "{text}");
    }
}
