//! Which exposition a scraper gets.

/// An exposition format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// The classic text format, version 0.0.4.
    Text,
    /// OpenMetrics text 1.0.0: with exemplars.
    OpenMetrics,
    /// Delimited `io.prometheus.client.MetricFamily` messages: with native histograms.
    Protobuf,
}

/// Media ranges of one header that are looked at.
const MOST_RANGES: usize = 32;

impl Format {
    /// The value of `Content-Type`.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Protobuf => {
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
            }
        }
    }

    /// What the value of `Accept` asks for: the format with the greatest weight, of equal ones the first. Who asks for
    /// none of them, or for nothing, gets the classic text.
    #[must_use]
    pub fn negotiate(accept: Option<&str>) -> Self {
        let mut best = (0, Self::Text);
        for range in accept.unwrap_or_default().split(',').take(MOST_RANGES) {
            if let Some((format, weight)) = media_range(range)
                && weight > best.0
            {
                best = (weight, format);
            }
        }
        best.1
    }
}

/// The format of a media range, and its weight in thousandths.
fn media_range(range: &str) -> Option<(Format, u32)> {
    let mut parts = range.split(';').map(str::trim);
    let media = parts.next()?.to_ascii_lowercase();
    let mut weight = 1000;
    let (mut version, mut proto, mut encoding) = (None, None, None);
    for part in parts {
        let (name, value) = part.split_once('=')?;
        let value = value.trim().trim_matches('"');
        match name.trim().to_ascii_lowercase().as_str() {
            // RFC 9110 §12.4.2: at most 1, three digits.
            "q" => weight = thousandths(value)?,
            "version" => version = Some(value),
            "proto" => proto = Some(value),
            "encoding" => encoding = Some(value),
            _ => {}
        }
    }
    let format = match media.as_str() {
        "application/vnd.google.protobuf" => {
            let is_ours = proto == Some("io.prometheus.client.MetricFamily");
            (is_ours && encoding == Some("delimited")).then_some(Format::Protobuf)
        }
        "application/openmetrics-text" => {
            matches!(version, None | Some("0.0.1" | "1.0.0")).then_some(Format::OpenMetrics)
        }
        "text/plain" => matches!(version, None | Some("0.0.4")).then_some(Format::Text),
        "text/*" | "*/*" => Some(Format::Text),
        _ => None,
    };
    format.map(|format| (format, weight))
}

fn thousandths(text: &str) -> Option<u32> {
    let weight: f32 = text.parse().ok()?;
    (0.0..=1.0)
        .contains(&weight)
        .then_some((weight * 1000.0) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scraper_gets_what_it_asks_for() {
        let table = [
            // Prometheus 2.42, without and with native histograms; Prometheus 3; curl; a browser.
            (
                "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                Format::OpenMetrics,
            ),
            (
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited,application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                Format::Protobuf,
            ),
            (
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;version=1.0.0;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
                Format::Protobuf,
            ),
            ("*/*", Format::Text),
            (
                "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
                Format::Text,
            ),
            (
                "application/openmetrics-text;q=0.2, text/plain;q=0.3",
                Format::Text,
            ),
            ("application/openmetrics-text;q=0, */*;q=0.1", Format::Text),
            // Other protobufs than ours are not meant.
            ("application/vnd.google.protobuf", Format::Text),
            (
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=text",
                Format::Text,
            ),
            ("application/openmetrics-text;version=9", Format::Text),
            ("application/openmetrics-text;q=nonsense", Format::Text),
            ("application/openmetrics-text;q=9", Format::Text),
            ("", Format::Text),
            (";;;,,,=", Format::Text),
        ];
        for (accept, format) in table {
            assert_eq!(Format::negotiate(Some(accept)), format, "{accept}");
        }
        assert_eq!(Format::negotiate(None), Format::Text);
    }

    #[test]
    fn endless_header_is_not_read_to_its_end() {
        let accept = "x/y,".repeat(MOST_RANGES) + "application/openmetrics-text";
        assert_eq!(Format::negotiate(Some(&accept)), Format::Text);
    }
}
