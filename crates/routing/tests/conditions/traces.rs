//! When requests arrive and how long endpoints take.

/// How long one endpoint takes to the first content, in seconds.
#[derive(Clone, Debug)]
pub struct Latency {
    /// The samples.
    pub ttft: Vec<f64>,
    /// Their mean.
    pub mean: f64,
}

impl Latency {
    /// Returns the latencies of which these are samples.
    pub fn new(ttft: Vec<f64>) -> Self {
        let mean = ttft.iter().sum::<f64>() / ttft.len() as f64;
        Self { ttft, mean }
    }
}

/// What the world is made of.
#[derive(Clone, Debug)]
pub struct Traces {
    /// When requests arrive, in seconds.
    pub arrivals: Vec<f64>,
    /// One per endpoint.
    pub latencies: Vec<Latency>,
}
