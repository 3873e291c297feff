//! What a test says of a zone, and the text of its zone file.

use std::fmt::Write as _;

/// Whether and how a zone is signed. Its parent vouches for it with a DS record unless it is [`Signing::None`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Signing {
    /// Not at all, and the parent proves that: insecure.
    #[default]
    None,
    /// As it should be, with NSEC: secure.
    Good,
    /// As it should be, with NSEC3: secure.
    Nsec3,
    /// The signatures ended in 2021: bogus.
    Expired,
    /// The parent's DS record is for another key: bogus.
    WrongDs,
    /// The zone has keys, and no signature but that of the keys: bogus.
    MissingSignatures,
    /// The first character of every TXT record was changed after signing: bogus for these, secure for the rest.
    ChangedTexts,
}

/// A zone of a laboratory: its own records, and which servers are its name servers.
#[derive(Debug, Clone)]
pub struct Zone {
    pub(super) origin: String,
    pub(super) records: String,
    pub(super) serial: u32,
    pub(super) signing: Signing,
    /// What the second server has, when the zone is there: the serial and the records.
    pub(super) second: Option<(u32, String)>,
    pub(super) lame: bool,
    pub(super) loads: bool,
}

impl Zone {
    /// An unsigned zone with `records` in the notation of zone files, on the first server alone. Records without a time
    /// to live have 60 seconds; SOA and NS are added, as is the delegation in the zone above.
    #[must_use]
    pub fn new(origin: &str, records: &str) -> Self {
        Self {
            origin: origin.trim_end_matches('.').to_owned(),
            records: records.to_owned(),
            serial: 1,
            signing: Signing::None,
            second: None,
            lame: false,
            loads: true,
        }
    }

    /// Signs it.
    #[must_use]
    pub fn signed(self) -> Self {
        self.signing(Signing::Good)
    }

    /// Signs it in this way.
    #[must_use]
    pub fn signing(mut self, signing: Signing) -> Self {
        self.signing = signing;
        self
    }

    /// The serial of its SOA; 1 otherwise.
    #[must_use]
    pub fn serial(mut self, serial: u32) -> Self {
        self.serial = serial;
        self
    }

    /// The second server is a name server of it too, with the same contents.
    #[must_use]
    pub fn also_on_second(self) -> Self {
        let (serial, records) = (self.serial, self.records.clone());
        self.on_second(serial, &records)
    }

    /// The second server is a name server of it too, and has this serial and these records.
    #[must_use]
    pub fn on_second(mut self, serial: u32, records: &str) -> Self {
        self.second = Some((serial, records.to_owned()));
        self
    }

    /// The lame server is a name server of it too, and knows nothing of it.
    #[must_use]
    pub fn also_on_lame(mut self) -> Self {
        self.lame = true;
        self
    }

    /// The first server cannot load it: every question about it is answered SERVFAIL.
    #[must_use]
    pub fn not_loaded(mut self) -> Self {
        self.loads = false;
        self
    }

    /// The names of its name servers.
    fn servers(&self) -> Vec<&'static str> {
        [
            Some("ns1"),
            self.second.as_ref().map(|_| "ns2"),
            self.lame.then_some("ns3"),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// The NS records, as the zone itself and the one above have them.
    pub(super) fn delegation(&self) -> String {
        self.servers()
            .iter()
            .fold(String::new(), |mut text, server| {
                let _infallible =
                    writeln!(text, "{} 60 IN NS {server}.names.test.", self.absolute());
                text
            })
    }

    /// The zone file's text before it is signed.
    pub(super) fn text(&self, serial: u32, records: &str) -> String {
        format!(
            "$ORIGIN {origin}\n$TTL 60\n\
             @ IN SOA ns1.names.test. hostmaster.names.test. {serial} 3600 600 86400 60\n\
             {}{records}\n",
            self.delegation(),
            origin = self.absolute(),
        )
    }

    /// The origin with its final dot.
    pub(super) fn absolute(&self) -> String {
        format!("{}.", self.origin)
    }

    pub(super) fn file(&self) -> String {
        match self.origin.as_str() {
            "" => "root.zone".to_owned(),
            origin => format!("{}.zone", origin.replace('/', "-")),
        }
    }

    /// How many labels its origin has.
    pub(super) fn depth(&self) -> usize {
        self.origin
            .split('.')
            .filter(|label| !label.is_empty())
            .count()
    }

    /// Whether it is somewhere above `other`.
    pub(super) fn is_above(&self, other: &Self) -> bool {
        self.origin.is_empty() && !other.origin.is_empty()
            || other.origin.ends_with(&format!(".{}", self.origin))
    }
}
