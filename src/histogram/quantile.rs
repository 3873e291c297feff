//! Percentiles, and how many samples each needs before it may be named.

/// A percentile that reports know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Quantile {
    /// The median.
    P50,
    /// Nineteen of twenty.
    P95,
    /// All but one of a hundred.
    P99,
    /// All but one of a thousand.
    P999,
}

impl Quantile {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::P50, Self::P95, Self::P99, Self::P999];

    /// The word used everywhere.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::P50 => "p50",
            Self::P95 => "p95",
            Self::P99 => "p99",
            Self::P999 => "p99.9",
        }
    }

    /// The share that does not exceed it.
    #[must_use]
    pub fn ratio(self) -> f64 {
        match self {
            Self::P50 => 0.5,
            Self::P95 => 0.95,
            Self::P99 => 0.99,
            Self::P999 => 0.999,
        }
    }

    /// With fewer samples it would only be another name for the longest of them.
    #[must_use]
    pub fn needs(self) -> u64 {
        match self {
            Self::P50 => 2,
            Self::P95 => 20,
            Self::P99 => 100,
            Self::P999 => 1000,
        }
    }
}
