//! Web mail and calendars.

use super::Text;

pub(super) const HTTP_STATUS: Text = Text {
    meaning: "The server answered with another HTTP status than the expected one.",
    causes: &[
        "A proxy without its back end (502, 503), an expired session (302, 401), a moved page (301, 404).",
    ],
    advice: &[
        "Ask for the same page with `curl -v` from the vantage, then from the server itself.",
    ],
};

pub(super) const HTTP_TIMEOUT: Text = Text {
    meaning: "The connection stands and no complete answer came in time.",
    causes: &["A busy application server or database behind the web server."],
    advice: &[
        "Compare the time to the first byte with the time of a static file of the same host.",
    ],
};

pub(super) const LOGIN: Text = Text {
    meaning: "The web application refused the login, whatever HTTP status it chose to say so with.",
    causes: &[
        "A changed password, a second factor, or an IMAP server behind the application that is down.",
    ],
    advice: &[
        "Compare with the IMAP check of the same mailbox: if that fails too, look there first.",
    ],
};

pub(super) const CONTENT: Text = Text {
    meaning: "The page came and does not hold what was expected.",
    causes: &[
        "An error text in a page with status 200, a login page after a lost session, a new version.",
    ],
    advice: &["Read the kept body. If the page is fine, change the expectation."],
};

pub(super) const CALDAV_PROTOCOL: Text = Text {
    meaning: "The calendar server's answer is not the CalDAV that was asked for.",
    causes: &[
        "A redirect to a login page, a missing collection, a proxy that does not know the method.",
    ],
    advice: &[
        "Try the same request with `curl -X PROPFIND` and look at the first line of the answer.",
    ],
};

pub(super) const CALDAV_MISMATCH: Text = Text {
    meaning: "An object was written, read again, and is another one.",
    causes: &[
        "The server normalises or drops properties, or the read came from a replica that is behind.",
    ],
    advice: &["Compare the two texts that were kept."],
};
