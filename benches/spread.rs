//! What many measurements of one thing say together.

use std::fmt;

/// Measurements, sorted. Never empty.
#[derive(Debug, Clone)]
pub(crate) struct Spread {
    sorted: Vec<f64>,
    unit: &'static str,
}

impl Spread {
    /// # Errors
    /// When there is no measurement, or one is not a number.
    pub(crate) fn of(
        values: impl IntoIterator<Item = f64>,
        unit: &'static str,
    ) -> anyhow::Result<Self> {
        let mut sorted: Vec<f64> = values.into_iter().collect();
        anyhow::ensure!(!sorted.is_empty(), "nothing was measured");
        anyhow::ensure!(sorted.iter().all(|value| value.is_finite()), "not a number");
        sorted.sort_by(f64::total_cmp);
        Ok(Self { sorted, unit })
    }

    /// The smallest measurement that `percent` of them do not exceed (nearest rank).
    pub(crate) fn percentile(&self, percent: usize) -> f64 {
        let rank = (self.sorted.len() * percent).div_ceil(100).max(1);
        self.sorted[rank.min(self.sorted.len()) - 1]
    }

    pub(crate) fn median(&self) -> f64 {
        self.percentile(50)
    }

    pub(crate) fn max(&self) -> f64 {
        self.percentile(100)
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "n {:>3}  median {:>9.3}  p95 {:>9.3}  p99 {:>9.3}  min {:>9.3}  max {:>9.3} {}",
            self.sorted.len(),
            self.median(),
            self.percentile(95),
            self.percentile(99),
            self.sorted[0],
            self.max(),
            self.unit,
        )
    }
}

/// A number against its target.
pub(crate) fn verdict(held: bool) -> &'static str {
    match held {
        true => "reached",
        false => "MISSED",
    }
}
