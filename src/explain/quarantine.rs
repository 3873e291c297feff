//! Held mail.

use super::Text;

pub(super) const NOT_HELD: Text = Text {
    meaning: "A mail that the filter should have kept is not in the quarantine.",
    causes: &[
        "It was delivered, or rejected without a copy: some filters keep only what they refuse with 5xx, others only what they accept.",
        "The quarantine is off for this domain, or was purged when the disk ran full.",
    ],
    advice: &[
        "Look into the mailbox and its junk folder, then into the filter's log for the final decision.",
    ],
};

pub(super) const HELD_WRONGLY: Text = Text {
    meaning: "An ordinary mail was kept back: the filter takes honest mail for spam.",
    causes: &[
        "The sender's reputation, its authentication, or words that it shares with a spam sample.",
    ],
    advice: &["Never let spam samples and ordinary probes share a sender, a subject or a text."],
};

pub(super) const NOTICE_MISSING: Text = Text {
    meaning: "Nobody told the recipient that a mail is kept for him.",
    causes: &[
        "Notices are sent once a day, are off for this mailbox, or were themselves taken for spam.",
    ],
    advice: &["Compare the limit with the schedule of the notices."],
};

pub(super) const RELEASE_NOT_DELIVERED: Text = Text {
    meaning: "The release was accepted and the mail did not arrive. A released mail is delivered only when it is in the mailbox.",
    causes: &["The store refused it or could not be reached, and the release is not tried again."],
    advice: &[
        "Search the filter's queue and the store's log for it; some systems refuse a second release.",
    ],
};
