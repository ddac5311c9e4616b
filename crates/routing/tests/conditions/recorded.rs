//! Recorded traces: arrivals and latencies, read from compressed tables.

use std::path::Path;
use std::process::Command;

use super::traces::{Latency, Traces};

/// The endpoints of the recording, as `<name>_70b`.
const NAMES: [&str; 8] = ["anyscale", "bedrock", "fireworks", "groq", "lepton", "perplexity", "replicate", "together"];

/// Reads the recordings in a directory.
pub fn read(directory: &Path) -> Result<Traces, String> {
    let arrivals = rows(&directory.join("azure2023_conv.csv.gz"))?;
    let arrivals = arrivals.iter().filter_map(|row| row.first()?.parse().ok()).collect();
    let recorded = rows(&directory.join("llmperf_2023-12.csv.gz"))?;
    // endpoint, i, error_code, ttft_s, end_to_end_s, in_tok, out_tok
    let samples = |name: &&str| {
        let endpoint = format!("{name}_70b");
        let good =
            recorded.iter().filter(|row| row.first() == Some(&endpoint) && row.get(2).is_some_and(String::is_empty));
        Latency::new(good.filter_map(|row| row.get(3)?.parse().ok()).collect())
    };
    Ok(Traces { arrivals, latencies: NAMES.iter().map(samples).collect() })
}

/// Reads a compressed table without its heading.
fn rows(file: &Path) -> Result<Vec<Vec<String>>, String> {
    let output = Command::new("gzip").arg("-dc").arg(file).output().map_err(|error| format!("gzip: {error}"))?;
    if !output.status.success() {
        return Err(format!("{}: {}", file.display(), String::from_utf8_lossy(&output.stderr)));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().skip(1).map(|line| line.split(',').map(str::to_owned).collect()).collect())
}
