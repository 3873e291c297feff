//! What a delivery would do, for `--dry-run`.

use super::settings::{Approach, Deliver, MessageDefaults, StopAfter, TlsPolicy};
use crate::kind::Preview;
use crate::setting::Spanned;
use crate::target::Target;

pub(super) fn preview(
    settings: &Deliver,
    message: &MessageDefaults,
    target: Option<&Target>,
) -> Preview {
    let mut parts = vec![place(settings, message, target)];
    if settings.approach == Some(Approach::PrimaryFirst) {
        parts.push("a primary address first".to_owned());
    }
    let tls = match settings.tls.unwrap_or_default() {
        TlsPolicy::None => "without TLS",
        TlsPolicy::Opportunistic => "TLS when offered",
        TlsPolicy::Required => "TLS required",
        TlsPolicy::RequiredAndVerified => "TLS required and verified",
    };
    parts.push(tls.to_owned());
    let name = |own: &Option<Spanned<String>>, default: &Option<Spanned<String>>| {
        own.as_ref()
            .or(default.as_ref())
            .map(|name| name.value.clone())
            .unwrap_or_default()
    };
    let to = match &settings.envelope_to {
        Some(address) => address.source().to_owned(),
        None => format!("`{}`", name(&settings.to, &message.to)),
    };
    parts.push(format!(
        "from `{}` to {to}",
        name(&settings.from, &message.from)
    ));
    let sends = settings.stop_after.is_none();
    match settings.stop_after {
        Some(part) => parts.push(format!("leave after {}", after(part))),
        None => {
            let size = settings
                .size
                .or(message.size)
                .map(|size| format!(" of {} bytes", size.0))
                .unwrap_or_default();
            parts.push(format!("one message{size}"));
        }
    }
    if let Some(arrives) = settings.expected_arrival().filter(|_| sends) {
        let folder = arrives.folder();
        parts.push(format!(
            "wait for it in {folder} for {}",
            arrives.within.value
        ));
    }
    Preview {
        text: parts.join(", "),
        sends,
    }
}

fn place(settings: &Deliver, message: &MessageDefaults, target: Option<&Target>) -> String {
    let port = settings
        .port
        .map(|port| format!(" port {port}"))
        .unwrap_or_default();
    if let Some(target) = target {
        return format!("connect to {} [{}]{port}", target.mx, target.address);
    }
    if let Some(address) = &settings.to_address {
        return format!("connect to {}{port}", address.source());
    }
    match settings.route.as_ref().or(message.route.as_ref()) {
        Some(route) => format!(
            "connect by the MX records of {}{port}",
            route.mx_of.source()
        ),
        None => "connect".to_owned(),
    }
}

fn after(part: StopAfter) -> &'static str {
    match part {
        StopAfter::Banner => "the greeting",
        StopAfter::Ehlo => "EHLO",
        StopAfter::Mail => "MAIL FROM",
        StopAfter::Rcpt => "RCPT TO",
    }
}
