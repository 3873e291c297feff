//! How long things took, over any period: HdrHistograms that are stored by series and hour and add up.
//! A percentile is given only when there are enough samples to carry it.

pub mod packed;
pub mod quantile;
pub mod series;
mod stored;
#[cfg(test)]
mod tests;

use std::time::Duration;

use hdrhistogram::Histogram as Counts;
use hdrhistogram::serialization::{Serializer as _, V2DeflateSerializer};
use thiserror::Error;

use quantile::Quantile;

/// Shorter times count as this or less.
pub const LOWEST: Duration = Duration::from_millis(1);
/// Longer times count as this.
pub const HIGHEST: Duration = Duration::from_secs(7 * 24 * 3600);
/// Significant decimal digits that are kept.
const DIGITS: u8 = 3;

/// Why something stored is not one of our histograms, or cannot become one.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct HistogramError(String);

/// How often which length of time was met, to three significant digits. It takes about 180 kB of memory, whatever it
/// holds: nobody keeps many.
#[derive(Debug, Clone, PartialEq)]
pub struct Histogram(Counts<u64>);

impl Histogram {
    /// An empty one.
    ///
    /// # Errors
    /// Never: the bounds are constants that the format can hold.
    pub fn new() -> Result<Self, HistogramError> {
        Counts::new_with_bounds(micros(LOWEST), micros(HIGHEST), DIGITS)
            .map(Self)
            .map_err(|error| HistogramError(error.to_string()))
    }

    /// Counts one length of time; beyond the bounds it counts as the bound.
    pub fn record(&mut self, took: Duration) {
        self.0.saturating_record(micros(took));
    }

    /// Adds all that another one counted.
    pub fn add(&mut self, other: &Self) {
        // Both have the same bounds, which is the one thing that could fail.
        let _ = self.0.add(&other.0);
    }

    /// Forgets everything; the memory is used again.
    pub fn reset(&mut self) {
        self.0.reset();
    }

    /// How many were counted.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.0.len()
    }

    /// Whether nothing was counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The longest, to three digits; `None` when nothing was counted.
    #[must_use]
    pub fn max(&self) -> Option<Duration> {
        (!self.is_empty()).then(|| self.middle(self.0.max()))
    }

    /// The time that this share of all did not exceed; `None` when there are too few to say so.
    #[must_use]
    pub fn quantile(&self, quantile: Quantile) -> Option<Duration> {
        let carried = self.len() >= quantile.needs();
        carried.then(|| {
            let value = self.0.value_at_quantile(quantile.ratio());
            self.middle(value.min(self.0.max()))
        })
    }

    /// The middle of a value's bucket: its upper edge would make short times up to half a millisecond longer.
    fn middle(&self, value: u64) -> Duration {
        Duration::from_micros(self.0.median_equivalent(value))
    }

    /// How many lie between two times, both included, to three digits; for charts.
    #[must_use]
    pub fn between(&self, from: Duration, to: Duration) -> u64 {
        self.0.count_between(micros(from), micros(to))
    }

    /// In HdrHistogram's format V2, deflated, as other programs read it.
    ///
    /// # Errors
    /// When it cannot be written, which the fixed bounds exclude.
    pub fn encode(&self, encoder: &mut Encoder) -> Result<Vec<u8>, HistogramError> {
        let mut bytes = Vec::new();
        encoder
            .0
            .serialize(&self.0, &mut bytes)
            .map_err(|error| HistogramError(error.to_string()))?;
        Ok(bytes)
    }

    /// Adds what [`encode`](Self::encode) wrote. Whatever the bytes are, it takes a bounded time and memory.
    ///
    /// # Errors
    /// When they are anything else; nothing is added then.
    pub fn add_encoded(&mut self, bytes: &[u8]) -> Result<(), HistogramError> {
        for (value, count) in stored::read(bytes)? {
            self.0.saturating_record_n(value, count);
        }
        Ok(())
    }
}

/// What encoding needs again and again.
#[derive(Default)]
pub struct Encoder(V2DeflateSerializer);

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Encoder")
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
