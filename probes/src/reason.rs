//! The closed list of reason codes: why a check is not `pass`.

use crate::outcome::Status;

macro_rules! reasons {
    ($($variant:ident $code:literal $status:ident $summary:literal;)*) => {
        /// Why a check did not pass. Codes are stable: adding one is minor, renaming one is breaking.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Reason { $(#[doc = $summary] $variant,)* }

        impl Reason {
            /// Every reason, grouped by area.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The stable kebab-case code.
            #[must_use]
            pub fn code(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            /// The status that this reason gives by itself. A `prefer` or a `warn_after` lowers `fail` to `degraded`.
            #[must_use]
            pub fn status(self) -> Status {
                match self { $(Self::$variant => Status::$status,)* }
            }

            /// What the code means, in one sentence.
            #[must_use]
            pub fn summary(self) -> &'static str {
                match self { $(Self::$variant => $summary,)* }
            }
        }
    };
}

reasons! {
    DnsNxdomain "dns-nxdomain" Fail "The name or the record does not exist.";
    DnsServfail "dns-servfail" Fail "The name server answered that it failed.";
    DnsTimeout "dns-timeout" Fail "No name server answered in time.";
    DnsMismatch "dns-mismatch" Fail "The records are not the expected ones.";
    DnsLame "dns-lame" Fail "A name server of the zone does not hold the zone.";
    DnsDisagreement "dns-disagreement" Fail "The name servers of one zone do not say the same.";
    SpfMismatch "spf-mismatch" Fail "SPF gives another result than the expected one.";
    DkimMismatch "dkim-mismatch" Fail "The DKIM key record is missing, unusable or not the expected one.";
    DmarcMismatch "dmarc-mismatch" Fail "The DMARC record is missing, invalid or not the expected one.";
    TlsRptMismatch "tls-rpt-mismatch" Fail "The TLS-RPT record is missing, invalid or not the expected one.";
    PtrMismatch "ptr-mismatch" Fail "The reverse name of an address is missing, is another one, or does not lead back.";
    DnsblListed "dnsbl-listed" Fail "An address is on a block list.";
    DnsBogus "dns-bogus" Fail "The answer failed DNSSEC validation.";
    ConnectRefused "connect-refused" Fail "The address refused the connection.";
    ConnectTimeout "connect-timeout" Fail "The address did not answer the connection attempt in time.";
    ConnectReset "connect-reset" Fail "The connection was closed or reset in the middle of the dialogue.";
    BannerTimeout "banner-timeout" Fail "The server accepted the connection and sent no greeting in time.";
    GreetingRejected "greeting-rejected" Fail "The server refused the session in its greeting or refused EHLO.";
    Smtp4xx "smtp-4xx" Fail "The server refused for now (transient negative completion).";
    Smtp5xx "smtp-5xx" Fail "The server refused for good (permanent negative completion).";
    SmtpUnexpectedReply "smtp-unexpected-reply" Fail "The server's reply was not the expected one or not SMTP.";
    SmtpTimeout "smtp-timeout" Fail "The server did not reply to a command in time.";
    AuthFailed "auth-failed" Fail "The server refused the credentials.";
    ExtensionMissing "extension-missing" Fail "The server does not offer an extension that the check needs.";
    TlsNotOffered "tls-not-offered" Fail "TLS was required and the server did not offer it.";
    TlsHandshake "tls-handshake" Fail "The TLS handshake failed.";
    TlsCertificate "tls-certificate" Fail "The certificate is not valid for the name, the time or the trusted authorities.";
    TlsVersion "tls-version" Fail "The server speaks no TLS version or cipher suite that is acceptable.";
    TlsInjection "tls-injection" Fail "The server sent plain text between the STARTTLS reply and the handshake.";
    DaneMismatch "dane-mismatch" Fail "The certificate does not match the TLSA records.";
    MtaStsMismatch "mta-sts-mismatch" Fail "The MTA-STS policy is missing, invalid or does not cover an MX host.";
    NotDelivered "not-delivered" Fail "The message was accepted and did not become visible in time.";
    DeliveredLate "delivered-late" Fail "The message became visible after its time limit.";
    DeliveredTwice "delivered-twice" Fail "More copies than expected became visible.";
    DeliveredElsewhere "delivered-elsewhere" Fail "The message became visible in another folder than the expected one.";
    ContentAltered "content-altered" Fail "The message arrived with another content.";
    AuthResults "auth-results" Fail "The authentication results that the receiver recorded are not the expected ones.";
    AcceptedElsewhere "accepted-elsewhere" Fail "Another host than the expected one accepted the message.";
    WronglyAccepted "wrongly-accepted" Fail "The server accepted what it should have refused.";
    NotHeld "not-held" Fail "The message is not in the quarantine.";
    HeldWrongly "held-wrongly" Fail "An ordinary message is in the quarantine.";
    NoticeMissing "notice-missing" Fail "The quarantine notice did not arrive.";
    ReleaseNotDelivered "release-not-delivered" Fail "The released message did not arrive.";
    ImapUnavailable "imap-unavailable" Fail "The IMAP server cannot be reached or ended the session.";
    ImapLogin "imap-login" Fail "The IMAP server refused the login.";
    ImapProtocol "imap-protocol" Fail "The IMAP server broke the protocol.";
    HttpStatus "http-status" Fail "The HTTP status is not the expected one.";
    HttpTimeout "http-timeout" Fail "The web server did not answer in time.";
    WebLogin "web-login" Fail "The web login was refused.";
    WebContent "web-content" Fail "The page does not hold what was expected.";
    CaldavProtocol "caldav-protocol" Fail "The calendar server broke the protocol.";
    CaldavMismatch "caldav-mismatch" Fail "The calendar object read is not the one written.";
    ClusterLayout "cluster-layout" Degraded "The cluster is not laid out as a cluster of mail filters should be.";
    InventoryMismatch "inventory-mismatch" Degraded "DNS and the configured inventory disagree.";
    Slow "slow" Degraded "It worked, but slower than `warn_after`.";
    Drift "drift" Degraded "It became slower than it used to be.";
    FallbackUsed "fallback-used" Degraded "The message took another path than the preferred one.";
    Greylisted "greylisted" Degraded "The server refused at first, as greylisting does, and accepted at a later attempt.";
    CertificateExpiring "certificate-expiring" Degraded "A certificate ends soon.";
    Flaky "flaky" Degraded "It passed only on a retry.";
    Changed "changed" Degraded "Something that a client can see has changed.";
    NotSent "not-sent" Skip "Nothing was sent, so nothing could arrive.";
    NeedsStep "needs-step" Skip "An earlier step that this one needs did not pass.";
    VantageOffline "vantage-offline" Error "The probe's own network is down.";
    VantageNoIpv6 "vantage-no-ipv6" Error "The probe has no IPv6.";
    VantagePort25Blocked "vantage-port25-blocked" Error "The probe's network blocks outgoing port 25.";
    DnsUnvalidated "dns-unvalidated" Error "The resolver does not validate DNSSEC, or contradicts what is proven.";
    VantageDns "vantage-dns" Error "The probe's own resolver does not work.";
    ClockSkew "clock-skew" Error "The probe's clock is wrong.";
    SecretMissing "secret-missing" Error "A secret that the check needs is not there.";
    SecretUnreadable "secret-unreadable" Error "A secret that the check needs cannot be read.";
    CannotAsk "cannot-ask" Error "A block list does not answer as a block list must, so nothing is known.";
    CannotObserve "cannot-observe" Error "The mailbox could not be read, so delivery is unknown.";
    Overrun "overrun" Error "The check did not end within its time limit, and that was not a server's doing.";
    StoreFailed "store-failed" Error "The probe's own store cannot be written.";
    SenderRests "sender-rests" Error "Too many mails of this sender bounced; it sends no more for a while.";
    Cancelled "cancelled" Error "The run was cancelled.";
    Internal "internal" Error "The probe itself failed.";
}

impl Reason {
    /// The reason with this stable code.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|reason| reason.code() == code)
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.code())
    }
}
