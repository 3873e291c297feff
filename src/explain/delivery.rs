//! From the final reply to the mailbox.

use super::Text;

pub(super) const NOT_DELIVERED: Text = Text {
    meaning: "The server took responsibility for the mail, and a look into the mailbox after the limit did not show it: neither in the expected folder nor in Junk. It may still come; the ledger keeps waiting.",
    causes: &[
        "It sits in a queue: the store is down or refuses, or the node cannot reach it.",
        "It was quarantined, or silently thrown away by a filter that answers 250 to spam.",
        "A rule, an alias or a forward took it elsewhere.",
    ],
    advice: &[
        "Search the accepting node's log for the queue id in the line; then the store's for the Message-ID (the entry's id).",
        "`postrider show RUN` tells later whether it came after all. A mail is called lost only after `lost_after` and another look.",
    ],
};

pub(super) const LATE: Text = Text {
    meaning: "It arrived where it belongs, later than `within`.",
    causes: &[
        "One hop held it: the waterfall names the pair of hosts that took most of the time.",
        "Greylisting or a retry between filter and store: steps of 5, 10 or 15 minutes are its trace.",
        "A busy content filter or disk.",
    ],
    advice: &[
        "`postrider show RUN/CHECK` shows the hops by the servers' own clocks, with their skew.",
        "Look at the queue of the host that the slow hop leaves.",
    ],
};

pub(super) const TWICE: Text = Text {
    meaning: "More copies of one mail became visible than expected. Each carries the same tag, so they are copies and not two mails.",
    causes: &[
        "A host gave up waiting for the final reply and sent it again, while the other side had taken it.",
        "Two delivery paths at once: an alias beside a forward, or a restored queue.",
        "After a fail-over, both halves of a cluster delivered it.",
    ],
    advice: &[
        "Compare the `Received` fields of the copies: where they part is where it was doubled.",
        "Look there for time-outs after the final dot; RFC 5321 wants 10 minutes of patience.",
    ],
};

pub(super) const ELSEWHERE: Text = Text {
    meaning: "It arrived, in another folder than the expected one. In the junk folder it counts as not delivered: people do not look there.",
    causes: &[
        "The store's own spam filter, or a rule of the mailbox.",
        "The probe's sender has no SPF, DKIM or DMARC that passes, or its address is new or badly known.",
        "A mail straight to the fallback address scores like a spammer's in some filters.",
    ],
    advice: &[
        "Read the filter's headers in the mail itself; they say which tests it failed.",
        "Try `approach: primary-first` for fallback addresses; never mix its numbers with those of `direct`.",
    ],
};

pub(super) const CONTENT_ALTERED: Text = Text {
    meaning: "The mail arrived with another content than the one sent.",
    causes: &[
        "A filter adds a footer, rewrites links or removes parts; a gateway changes the encoding.",
    ],
    advice: &[
        "Such changes break DKIM signatures of real senders: look at where in the path they happen.",
    ],
};

pub(super) const AUTH_RESULTS: Text = Text {
    meaning: "What the receiver wrote into `Authentication-Results` about SPF, DKIM or DMARC is not what the scenario expects, or it wrote nothing.",
    causes: &[
        "The sender's SPF record does not list the vantage, or the DKIM key in DNS is not the one that signs.",
        "The store sees the filter's address instead of the sender's, so SPF fails behind a filter.",
        "A hop changed the mail, which breaks DKIM, or the receiver's resolver failed (`temperror`).",
    ],
    advice: &[
        "The recorded fields are in `postrider show RUN/CHECK`; the first one for each method counts.",
        "Senders publish `v=spf1 ip4:VANTAGE -all` and the key at `SELECTOR._domainkey.DOMAIN`.",
    ],
};

pub(super) const ACCEPTED_ELSEWHERE: Text = Text {
    meaning: "The mail was accepted, by another MX host than the one that the scenario names.",
    causes: &[
        "The expected host refused or did not answer, and the next in the route took it.",
        "MX preferences were changed, or are equal, so that the choice is random.",
    ],
    advice: &[
        "The transcript shows every address that was tried, in order, and what it said.",
        "Look at the check of that one host: it tells why it was passed over.",
    ],
};
