//! Which page belongs to which reason. Both matches are complete by construction.

use postrider_probes::reason::Reason;

use super::{
    Area, Effect, Page, Text, delivery, dns, mailbox, ours, policy, quarantine, smtp, soft, tls,
    web,
};

/// The page of a reason.
pub(super) fn page(reason: Reason) -> Page {
    let (area, text) = entry(reason);
    Page {
        code: reason.code(),
        area,
        effect: Effect::Check(reason.status()),
        summary: reason.summary(),
        text,
        is_reserved: is_reserved(reason),
    }
}

fn entry(reason: Reason) -> (Area, Text) {
    match reason {
        Reason::DnsNxdomain => (Area::Dns, dns::NXDOMAIN),
        Reason::DnsServfail => (Area::Dns, dns::SERVFAIL),
        Reason::DnsTimeout => (Area::Dns, dns::TIMEOUT),
        Reason::DnsMismatch => (Area::Dns, dns::MISMATCH),
        Reason::DnsLame => (Area::Dns, dns::LAME),
        Reason::DnsDisagreement => (Area::Dns, dns::DISAGREEMENT),
        Reason::PtrMismatch => (Area::Dns, dns::PTR_MISMATCH),
        Reason::DnsblListed => (Area::Dns, dns::DNSBL_LISTED),
        Reason::DnsBogus => (Area::Dns, dns::BOGUS),
        Reason::SpfMismatch => (Area::Dns, policy::SPF),
        Reason::DkimMismatch => (Area::Dns, policy::DKIM),
        Reason::DmarcMismatch => (Area::Dns, policy::DMARC),
        Reason::TlsRptMismatch => (Area::Dns, policy::TLS_RPT),
        Reason::ConnectRefused => (Area::Connect, smtp::CONNECT_REFUSED),
        Reason::ConnectTimeout => (Area::Connect, smtp::CONNECT_TIMEOUT),
        Reason::ConnectReset => (Area::Connect, smtp::CONNECT_RESET),
        Reason::BannerTimeout => (Area::Smtp, smtp::BANNER_TIMEOUT),
        Reason::GreetingRejected => (Area::Smtp, smtp::GREETING_REJECTED),
        Reason::Smtp4xx => (Area::Smtp, smtp::REFUSED_FOR_NOW),
        Reason::Smtp5xx => (Area::Smtp, smtp::REFUSED_FOR_GOOD),
        Reason::SmtpUnexpectedReply => (Area::Smtp, smtp::UNEXPECTED_REPLY),
        Reason::SmtpTimeout => (Area::Smtp, smtp::TIMEOUT),
        Reason::AuthFailed => (Area::Smtp, smtp::AUTH_FAILED),
        Reason::ExtensionMissing => (Area::Smtp, smtp::EXTENSION_MISSING),
        Reason::WronglyAccepted => (Area::Smtp, smtp::WRONGLY_ACCEPTED),
        Reason::TlsNotOffered => (Area::Tls, tls::NOT_OFFERED),
        Reason::TlsHandshake => (Area::Tls, tls::HANDSHAKE),
        Reason::TlsCertificate => (Area::Tls, tls::CERTIFICATE),
        Reason::TlsVersion => (Area::Tls, tls::VERSION),
        Reason::TlsInjection => (Area::Tls, tls::INJECTION),
        Reason::DaneMismatch => (Area::Tls, tls::DANE_MISMATCH),
        Reason::MtaStsMismatch => (Area::Tls, tls::MTA_STS_MISMATCH),
        Reason::NotDelivered => (Area::Delivery, delivery::NOT_DELIVERED),
        Reason::DeliveredLate => (Area::Delivery, delivery::LATE),
        Reason::DeliveredTwice => (Area::Delivery, delivery::TWICE),
        Reason::DeliveredElsewhere => (Area::Delivery, delivery::ELSEWHERE),
        Reason::ContentAltered => (Area::Delivery, delivery::CONTENT_ALTERED),
        Reason::AuthResults => (Area::Delivery, delivery::AUTH_RESULTS),
        Reason::AcceptedElsewhere => (Area::Delivery, delivery::ACCEPTED_ELSEWHERE),
        Reason::NotHeld => (Area::Quarantine, quarantine::NOT_HELD),
        Reason::HeldWrongly => (Area::Quarantine, quarantine::HELD_WRONGLY),
        Reason::NoticeMissing => (Area::Quarantine, quarantine::NOTICE_MISSING),
        Reason::ReleaseNotDelivered => (Area::Quarantine, quarantine::RELEASE_NOT_DELIVERED),
        Reason::ImapUnavailable => (Area::Mailbox, mailbox::UNAVAILABLE),
        Reason::ImapLogin => (Area::Mailbox, mailbox::LOGIN),
        Reason::ImapProtocol => (Area::Mailbox, mailbox::PROTOCOL),
        Reason::HttpStatus => (Area::Web, web::HTTP_STATUS),
        Reason::HttpTimeout => (Area::Web, web::HTTP_TIMEOUT),
        Reason::WebLogin => (Area::Web, web::LOGIN),
        Reason::WebContent => (Area::Web, web::CONTENT),
        Reason::CaldavProtocol => (Area::Web, web::CALDAV_PROTOCOL),
        Reason::CaldavMismatch => (Area::Web, web::CALDAV_MISMATCH),
        Reason::ClusterLayout => (Area::Soft, soft::CLUSTER_LAYOUT),
        Reason::InventoryMismatch => (Area::Soft, soft::INVENTORY_MISMATCH),
        Reason::Slow => (Area::Soft, soft::SLOW),
        Reason::Drift => (Area::Soft, soft::DRIFT),
        Reason::FallbackUsed => (Area::Soft, soft::FALLBACK_USED),
        Reason::Greylisted => (Area::Soft, soft::GREYLISTED),
        Reason::CertificateExpiring => (Area::Soft, soft::CERTIFICATE_EXPIRING),
        Reason::Flaky => (Area::Soft, soft::FLAKY),
        Reason::Changed => (Area::Soft, soft::CHANGED),
        Reason::NotSent => (Area::Skipped, soft::NOT_SENT),
        Reason::NeedsStep => (Area::Skipped, soft::NEEDS_STEP),
        Reason::VantageOffline => (Area::Ours, ours::VANTAGE_OFFLINE),
        Reason::VantageNoIpv6 => (Area::Ours, ours::VANTAGE_NO_IPV6),
        Reason::VantagePort25Blocked => (Area::Ours, ours::VANTAGE_PORT25_BLOCKED),
        Reason::DnsUnvalidated => (Area::Ours, ours::DNS_UNVALIDATED),
        Reason::VantageDns => (Area::Ours, ours::VANTAGE_DNS),
        Reason::ClockSkew => (Area::Ours, ours::CLOCK_SKEW),
        Reason::SecretMissing => (Area::Ours, ours::SECRET_MISSING),
        Reason::SecretUnreadable => (Area::Ours, ours::SECRET_UNREADABLE),
        Reason::CannotAsk => (Area::Ours, ours::CANNOT_ASK),
        Reason::CannotObserve => (Area::Ours, ours::CANNOT_OBSERVE),
        Reason::Overrun => (Area::Ours, ours::OVERRUN),
        Reason::StoreFailed => (Area::Ours, ours::STORE_FAILED),
        Reason::SenderRests => (Area::Ours, ours::SENDER_RESTS),
        Reason::Cancelled => (Area::Ours, ours::CANCELLED),
        Reason::Internal => (Area::Ours, ours::INTERNAL),
    }
}

/// Codes that no probe kind of this version gives. `tests/it/architecture.rs` compares this with the source.
fn is_reserved(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::AuthFailed
            | Reason::ContentAltered
            | Reason::NotHeld
            | Reason::HeldWrongly
            | Reason::NoticeMissing
            | Reason::ReleaseNotDelivered
            | Reason::WebLogin
            | Reason::WebContent
            | Reason::CaldavProtocol
            | Reason::CaldavMismatch
            | Reason::Drift
    )
}
