//! The two text formats. They differ in how a counter's family is called, in the spelling of bounds, and in that only
//! OpenMetrics has units and exemplars.

use std::fmt::Write as _;

use super::catalogue::{Description, Family};
use super::histogram::{Exemplar, Histogram};
use super::series::{Table, Value};

/// Writes all series.
pub(super) fn encode(table: &Table, open_metrics: bool) -> String {
    let mut text = Text {
        to: String::new(),
        open_metrics,
    };
    for family in Family::ALL {
        let description = family.description();
        let mut series = table.of(*family).peekable();
        if series.peek().is_some() {
            text.head(&description);
        }
        for (labels, value) in series {
            match value {
                Value::Number(number) => {
                    text.name(&description, "", labels, None);
                    text.number(*number);
                    text.to.push('\n');
                }
                Value::Histogram(histogram) => text.histogram(&description, labels, histogram),
            }
        }
    }
    if open_metrics {
        text.to.push_str("# EOF\n");
    }
    text.to
}

struct Text {
    to: String,
    open_metrics: bool,
}

impl Text {
    fn head(&mut self, description: &Description) {
        let Description { name, kind, .. } = description;
        // OpenMetrics names the family, and its counters get `_total` as samples.
        let name = match self.open_metrics {
            true => name.strip_suffix("_total").unwrap_or(name),
            false => name,
        };
        self.to.push_str("# HELP ");
        self.to.push_str(name);
        self.to.push(' ');
        let quotes = self.open_metrics;
        escape(&mut self.to, description.help, quotes);
        // Writing to a string cannot fail.
        let _ = write!(self.to, "\n# TYPE {name} {}\n", kind.name());
        let unit = description.unit();
        if self.open_metrics && !unit.is_empty() {
            let _ = writeln!(self.to, "# UNIT {name} {unit}");
        }
    }

    /// `name_suffix{label="value",le="1"} `
    fn name(
        &mut self,
        description: &Description,
        suffix: &str,
        labels: &[Box<str>],
        bound: Option<f64>,
    ) {
        self.to.push_str(description.name);
        self.to.push_str(suffix);
        let mut opened = false;
        let given = description.labels.iter().zip(labels);
        // An empty label is the same as none.
        for (name, value) in given.filter(|(_, value)| !value.is_empty()) {
            self.to.push(if opened { ',' } else { '{' });
            opened = true;
            self.to.push_str(name);
            self.to.push_str("=\"");
            escape(&mut self.to, value, true);
            self.to.push('"');
        }
        if let Some(bound) = bound {
            self.to.push(if opened { ',' } else { '{' });
            opened = true;
            self.to.push_str("le=\"");
            self.bound(bound);
            self.to.push('"');
        }
        self.to.push_str(if opened { "} " } else { " " });
    }

    fn histogram(&mut self, description: &Description, labels: &[Box<str>], histogram: &Histogram) {
        for (bound, count, exemplar) in histogram.cumulative() {
            self.name(description, "_bucket", labels, Some(bound));
            let _ = write!(self.to, "{count}");
            if let Some(exemplar) = exemplar.filter(|_| self.open_metrics) {
                self.exemplar(exemplar);
            }
            self.to.push('\n');
        }
        self.name(description, "_sum", labels, None);
        self.number(histogram.sum());
        self.to.push('\n');
        self.name(description, "_count", labels, None);
        let _ = writeln!(self.to, "{}", histogram.count());
    }

    fn exemplar(&mut self, exemplar: &Exemplar) {
        let Exemplar { run, value, at } = exemplar;
        self.to.push_str(" # {run_id=\"");
        escape(&mut self.to, run, true);
        let at = at.as_millisecond();
        let _ = write!(
            self.to,
            "\"}} {value} {}.{:03}",
            at.div_euclid(1000),
            at.rem_euclid(1000)
        );
    }

    fn bound(&mut self, bound: f64) {
        let _ = match bound {
            bound if bound.is_infinite() => write!(self.to, "+Inf"),
            // OpenMetrics wants a float to look like one.
            bound if self.open_metrics => write!(self.to, "{bound:?}"),
            bound => write!(self.to, "{bound}"),
        };
    }

    fn number(&mut self, number: f64) {
        let _ = write!(self.to, "{number}");
    }
}

fn escape(to: &mut String, text: &str, quotes: bool) {
    for character in text.chars() {
        match character {
            '\\' => to.push_str("\\\\"),
            '\n' => to.push_str("\\n"),
            '"' if quotes => to.push_str("\\\""),
            other => to.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn table() -> Table {
        let mut table = Table::new(100);
        table.add(Family::Runs, &["mail \"flow\" \\"], 2.0);
        table.set(Family::StoreSize, &[], 4096.0);
        table.set(Family::CheckSuccess, &["flow", "names", "", ""], 1.0);
        let exemplar = Exemplar {
            run: "01RUN".to_owned(),
            value: 1.5,
            at: Timestamp::from_millisecond(1_790_000_000_007).expect("a time"),
        };
        let labels = ["flow", "primary", "mx1.example.net", "2001:db8::1"];
        table.observe(Family::DeliveryDuration, &labels, 1.5, Some(exemplar));
        table
    }

    #[test]
    fn classic_text_is_as_the_format_says() {
        let text = encode(&table(), false);
        for line in [
            "# TYPE postrider_runs_total counter",
            r#"postrider_runs_total{scenario="mail \"flow\" \\"} 2"#,
            "postrider_store_size_bytes 4096",
            r#"postrider_check_success{scenario="flow",step="names"} 1"#,
            r#"postrider_delivery_duration_seconds_bucket{scenario="flow",step="primary",mx="mx1.example.net",address="2001:db8::1",le="1"} 0"#,
            r#"postrider_delivery_duration_seconds_bucket{scenario="flow",step="primary",mx="mx1.example.net",address="2001:db8::1",le="2"} 1"#,
            r#"postrider_delivery_duration_seconds_bucket{scenario="flow",step="primary",mx="mx1.example.net",address="2001:db8::1",le="+Inf"} 1"#,
            r#"postrider_delivery_duration_seconds_sum{scenario="flow",step="primary",mx="mx1.example.net",address="2001:db8::1"} 1.5"#,
            r#"postrider_delivery_duration_seconds_count{scenario="flow",step="primary",mx="mx1.example.net",address="2001:db8::1"} 1"#,
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
        }
        assert!(!text.contains("# UNIT") && !text.contains("# EOF") && !text.contains("run_id"));
        // What nobody has told anything of is not there.
        assert!(!text.contains("postrider_vantage_up"));
    }

    #[test]
    fn open_metrics_has_units_exemplars_and_an_end() {
        let text = encode(&table(), true);
        for line in [
            "# TYPE postrider_runs counter",
            r#"postrider_runs_total{scenario="mail \"flow\" \\"} 2"#,
            "# UNIT postrider_store_size_bytes bytes",
            r#"postrider_delivery_duration_seconds_bucket{scenario="flow",step="primary",mx="mx1.example.net",address="2001:db8::1",le="2.0"} 1 # {run_id="01RUN"} 1.5 1790000000.007"#,
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
        }
        assert!(text.ends_with("\n# EOF\n"));
    }
}
