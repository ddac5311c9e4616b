//! Percentiles of recorded times.

/// Times in nanoseconds, reported in microseconds.
#[derive(Default)]
pub struct Times(Vec<u64>);

impl Times {
    pub fn push(&mut self, t: std::time::Duration) {
        self.0.push(t.as_nanos() as u64);
    }

    /// `{"n":…,"mean":…,"p50":…,"p90":…,"p99":…,"max":…}` in microseconds, or `null` when nothing was recorded.
    /// Nearest-rank percentiles over all samples: no buckets, no interpolation.
    pub fn json(&mut self) -> String {
        let n = self.0.len();
        if n == 0 {
            return "null".into();
        }
        self.0.sort_unstable();
        let us = |q: f64| self.0[((n as f64 * q).ceil() as usize).clamp(1, n) - 1] as f64 / 1e3;
        let mean = self.0.iter().map(|t| *t as f64).sum::<f64>() / n as f64 / 1e3;
        let (p50, p90, p99, max) = (us(0.5), us(0.9), us(0.99), us(1.0));
        format!(r#"{{"n":{n},"mean":{mean:.1},"p50":{p50:.1},"p90":{p90:.1},"p99":{p99:.1},"max":{max:.1}}}"#)
    }
}

#[cfg(test)]
mod tests {
    use super::Times;
    use std::time::Duration;

    #[test]
    fn nearest_rank() {
        let mut t = Times::default();
        (1..=100).for_each(|i| t.push(Duration::from_micros(i)));
        let s = t.json();
        assert!(s.contains("\"p50\":50.0") && s.contains("\"p99\":99.0") && s.contains("\"max\":100.0"), "{s}");
        assert_eq!(Times::default().json(), "null");
    }
}
