//! It works, but; and what was not tried.

use super::Text;

pub(super) const CLUSTER_LAYOUT: Text = Text {
    meaning: "A rule of the kind `cluster` is broken: mail flows, but a failure would hurt more than it must, or a filter can be avoided. The line begins with the name of the rule.",
    causes: &[
        "The cluster has grown by one step only: one node, one network, one role.",
        "An old MX record, or a name, was left over from before.",
        "The inventory in the main file is older than the cluster.",
    ],
    advice: &[
        "Correct the zone, the server or the inventory, whichever is wrong.",
        "What is meant to be so is named in the step: `except: [RULE]`.",
    ],
};

pub(super) const INVENTORY_MISMATCH: Text = Text {
    meaning: "DNS and `platform.nodes` disagree: an MX address that no node claims, or a node's address that no MX record leads to.",
    causes: &[
        "A node was added, moved or removed in one of the two places.",
        "A forgotten record that leads mail to a machine nobody watches any more.",
    ],
    advice: &[
        "Correct whichever of the two is wrong; results name nodes by this list.",
        "An address in DNS that is nobody's is the dangerous one: mail goes there.",
    ],
};

pub(super) const SLOW: Text = Text {
    meaning: "Every expectation held, later than `warn_after`; or acceptance took longer than `accepted.within`, which makes it a failure.",
    causes: &[
        "The line names the phase or the hop that took most of the time: start there.",
        "A long `banner` or `rcpt` is a look-up that hangs; a long `data` is a content filter; a long `transit` is a queue.",
        "A step of about 40 ms on a fast network is a TCP delay between two programs, not work.",
    ],
    advice: &[
        "`postrider show RUN/CHECK` draws all phases and hops. Compare with the same step on the other nodes.",
        "If it is the new normal, and nobody minds, raise `warn_after`.",
    ],
};

pub(super) const DRIFT: Text = Text {
    meaning: "A series of measurements has left the range that it kept until now.",
    causes: &["A new version, a fuller disk, another route, more load."],
    advice: &["Look at what changed when it began, and at which phase moved."],
};

pub(super) const FALLBACK_USED: Text = Text {
    meaning: "The mail got through, by another MX host than the preferred one: the fallback does its work, and the primary does not.",
    causes: &[
        "The primary refused, did not answer, or answered with 4xx to this sender.",
        "MX preferences were changed.",
    ],
    advice: &[
        "The transcript shows what the primary said before the mail went on.",
        "Look at the checks of the primary's own addresses.",
    ],
};

pub(super) const GREYLISTED: Text = Text {
    meaning: "With `retry: as-mta`: the server refused for now, with the words or the code of greylisting (RFC 6647), and took the same mail at a later attempt. The time between is shown as `greylisted` and is no part of the transit.",
    causes: &[
        "The filter has not seen this network, sender and recipient together before, or not for long.",
        "A sender or recipient that is new each time: every mail is then greylisted.",
    ],
    advice: &[
        "Keep envelope sender and recipient the same from run to run; after a few mails the filter knows them.",
        "If it happens at each run, the filter forgets too soon, or its nodes do not share what they know.",
    ],
};

pub(super) const CERTIFICATE_EXPIRING: Text = Text {
    meaning: "A certificate, the server's own or one of the chain that it sent, ends before the days of `valid_for_days` are over. Under `expect` that fails the check, under `prefer` it degrades it.",
    causes: &[
        "The renewal did not run, or it failed: automatic ones renew a month before the end.",
        "It was renewed, and the server was not reloaded, or only on some of the nodes.",
        "The chain file still holds an old intermediate certificate.",
    ],
    advice: &[
        "`postrider show RUN/CHECK` has the end and the fingerprint of each address; compare them with the file on the server.",
    ],
};

pub(super) const FLAKY: Text = Text {
    meaning: "The first attempt did not pass and a later one did. It is shown and counted as degraded, never as a plain pass.",
    causes: &[
        "With `retry: as-mta`: the server refused for now, for another reason than greylisting, and took the mail later.",
        "One node of several behind a name, a race, a limit that is met now and then.",
    ],
    advice: &["Read the first attempt's transcript, not the last one's."],
};

pub(super) const CHANGED: Text = Text {
    meaning: "Something that every client can see is no longer what it was: the addresses of a name, a reverse name, an MX or NS record, a certificate, a banner, an EHLO keyword, a TLS version. The line says what it was, since when, and what it is now. Each check that sees it says so until the new value is accepted or the old one is back.",
    causes: &[
        "An update, a move or a change of configuration, announced or not.",
        "Several servers behind one address that are not set up alike.",
        "A greeting with a word of its own for each session that looks like none.",
    ],
    advice: &[
        "`postrider baseline show SUBJECT` tells the whole history. If the new value is meant: `postrider baseline accept SUBJECT`; where several servers take turns, with `--also`.",
        "Before a planned change write a dated window into `platform.change_windows`: in it old and new values are all right, afterwards the last one is.",
        "How bad which change is says `platform.changed`: `certificate: pass` only lists it, `banner: ignore` does not look at it.",
    ],
};

pub(super) const NOT_SENT: Text = Text {
    meaning: "There was no mail to look for, because sending it failed: the failure stands with the check that sent it.",
    causes: &["The sending step failed or was not selected."],
    advice: &["Repair that step first; this one says nothing about the platform."],
};

pub(super) const NEEDS_STEP: Text = Text {
    meaning: "Steps run one after the other, and an earlier one did not pass. This one was not tried.",
    causes: &["The named step failed or could not be tested."],
    advice: &[
        "Look at that step. With `steps_run: together` steps do not wait for each other; with `always: true` one runs all the same.",
    ],
};
