//! The probe's own side: these say nothing about the mail platform.

use super::Text;

pub(super) const VANTAGE_OFFLINE: Text = Text {
    meaning: "This machine has no route to the address, or every TCP canary of that address family fails as well: the platform was not tested.",
    causes: &[
        "The network interface is down, or there is no default route (a container without a network).",
    ],
    advice: &["`ip route get ADDRESS` on this machine. The platform was not tested."],
};

pub(super) const VANTAGE_NO_IPV6: Text = Text {
    meaning: "This machine has no route to IPv6 addresses, or every IPv6 canary fails as well, so they were not tested. The platform is not blamed for it.",
    causes: &["The hosting network or the container network has IPv4 only."],
    advice: &[
        "Give the vantage IPv6, or leave these targets out: `-4` on the command line, `family: ipv4` in `for_each`.",
        "Then have another vantage test IPv6: half of the senders use it first.",
    ],
};

pub(super) const VANTAGE_PORT25_BLOCKED: Text = Text {
    meaning: "This machine's network does not let connections to port 25 out: every SMTP canary elsewhere fails as well, and other ports work.",
    causes: &["Most hosting networks block it until asked."],
    advice: &[
        "Ask the provider to open it, or use another vantage; nothing about the platform was tested.",
    ],
};

pub(super) const VANTAGE_DNS: Text = Text {
    meaning: "The resolver that this machine uses cannot be asked, or none is configured.",
    causes: &[
        "`resolver:` in the main file names the wrong address or port, or that resolver is stopped.",
        "There is no usable `/etc/resolv.conf`, as in a bare container.",
    ],
    advice: &[
        "`dig @RESOLVER example.org` from this machine; then set `resolver:` or repair the system's.",
    ],
};

pub(super) const DNS_UNVALIDATED: Text = Text {
    meaning: "What a check needs must be proven by DNSSEC, and the resolver in use does not validate, or says what the signatures contradict. Nothing was tested: with this resolver a mail server would not know either.",
    causes: &[
        "The resolver forwards to one that does not validate, or validation is switched off in it.",
        "A device on the way removes signatures or sets flags (AD) of its own.",
        "The resolver is authoritative for the zone: it does not validate what it serves itself.",
        "The resolver and this probe begin with different trust anchors (`dnssec.trust_anchor_file`).",
        "The proof takes more questions or aliases than this probe allows itself: the message says so, and no server is at fault.",
    ],
    advice: &[
        "`dig +dnssec . SOA @RESOLVER` must show the flag `ad`; if it does not, use a validating resolver (`resolver:`), best on this machine.",
        "Compare `dig +dnssec NAME TYPE @RESOLVER` with the same question at another validating resolver.",
    ],
};

pub(super) const CLOCK_SKEW: Text = Text {
    meaning: "This machine's clock is wrong. Filters refuse mail whose `Date` is days off, and hops cannot be compared.",
    causes: &["Time synchronisation is off, or a suspended virtual machine woke up."],
    advice: &["`timedatectl` or `chronyc tracking` on this machine."],
};

pub(super) const SECRET_MISSING: Text = Text {
    meaning: "A password or key is named in the configuration, and the file or variable does not exist or is empty.",
    causes: &[
        "The secret is not mounted into this container, or the path is relative to another file than thought.",
        "The service's environment does not have the variable.",
    ],
    advice: &["`postrider validate --secrets` checks all of them without contacting anything."],
};

pub(super) const SECRET_UNREADABLE: Text = Text {
    meaning: "The file with the secret exists, and this user may not read it, or it is no text.",
    causes: &["It belongs to another user. The line names owner, mode and our own user."],
    advice: &["Make it readable for that user alone (`chown`, mode 0400), not for all."],
};

pub(super) const CANNOT_ASK: Text = Text {
    meaning: "A block list could not be asked, so it is not known whether the address is on it: no answer, a refusal, an answer that no block list gives, or test entries that are wrong.",
    causes: &[
        "The list refuses questions that come through a public resolver, or too many of them.",
        "A resolver on the way rewrites names that do not exist.",
        "The list has been shut down: then it lists nobody, or everybody.",
    ],
    advice: &[
        "Ask through a resolver of your own (`resolver:`), and register with the list if it wants that.",
        "`dig 2.0.0.127.LIST` must answer in 127.0.0.0/8, and `dig 1.0.0.127.LIST` must not exist (RFC 5782).",
    ],
};

pub(super) const CANNOT_OBSERVE: Text = Text {
    meaning: "The mailbox could not be read, so nobody knows whether the mail arrived. We never call a mail lost because IMAP was down.",
    causes: &[
        "The IMAP server is down or refuses the login: the message in the line says which.",
        "The mailbox has no `imap:` section.",
    ],
    advice: &[
        "Have an `imap` step of its own for the mailbox: that one fails, with the reason, when IMAP is broken.",
        "The ledger keeps the entry; when the mailbox can be read again and the mail is there, it is booked.",
    ],
};

pub(super) const SENDER_RESTS: Text = Text {
    meaning: "The last ten mails from this sender to this recipient bounced, so nothing was sent: mail that bounces all day harms the name of its sender. One mail an hour tries whether it is over.",
    causes: &[
        "The recipient's mailbox does not exist, is full, or refuses the sender. The line quotes the last bounce.",
    ],
    advice: &[
        "`postrider ledger --state bounced` lists the mails. The first one that arrives ends the rest.",
    ],
};

pub(super) const OVERRUN: Text = Text {
    meaning: "The check was still at work when a time limit ended it, and most of that time did not go into waiting for a server. The limit is ours, so nothing is said about the platform. Is it a server that used up the time, its time-out is the reason (`smtp-timeout` and the like), and the line names the limit.",
    causes: &[
        "`timeout:` of the step or scenario, or `--timeout`, is shorter than what the step may wait for.",
        "Many checks wait for the few connections that one address may have. That does not count against the step's limit, but it does against the scenario's; `queued_seconds` of the result says how long it was.",
    ],
    advice: &[
        "`postrider validate` warns of limits that can never be met (`timeout-too-short`). Raise the limit or lower `within`.",
    ],
};

pub(super) const STORE_FAILED: Text = Text {
    meaning: "The ledger could not be written. Nothing is sent then: a mail that is not in the books must not be under way.",
    causes: &["The disk is full, the directory belongs to another user, or the file is damaged."],
    advice: &[
        "Look at the directory of `--storage.path` (by default the user's state directory): space, owner, mode.",
    ],
};

pub(super) const CANCELLED: Text = Text {
    meaning: "Somebody ended the run (Ctrl-C, SIGTERM) before this check was done.",
    causes: &["A person, or a service manager or CI job whose own time limit was over."],
    advice: &[
        "Mails that were sent are still in the ledger; the next run that looks into the same mailbox books them.",
    ],
};

pub(super) const INTERNAL: Text = Text {
    meaning: "The probe could not do its work for a reason that is not the platform's: a defect, or a setting that only failed when it was used.",
    causes: &[
        "A `source_address` that this machine does not have, or a CA file that is no certificate.",
        "A defect of this program.",
    ],
    advice: &[
        "Run it again with `-vv`. If the line does not name a setting, report it with that output.",
    ],
};
