//! Reading mail.

use super::Text;

pub(super) const UNAVAILABLE: Text = Text {
    meaning: "The IMAP server could not be used: no session, a session that it ended, a command without an answer, or a folder that cannot be opened.",
    causes: &[
        "The server is restarted or overloaded, or the account has too many sessions.",
        "The folder does not exist, is not subscribed for this user, or cannot be selected.",
        "A load balancer ends idle sessions early.",
    ],
    advice: &[
        "For mail under way it never means that the mail is lost: those checks say `cannot-observe`.",
        "Look at the server's log for this login at this second; the transcript has its last words.",
    ],
};

pub(super) const LOGIN: Text = Text {
    meaning: "The server refused the user name or the password. There is one attempt for each connection and a growing pause between them, so that no account gets locked.",
    causes: &[
        "The password was changed in one place only, or the account is locked or expired.",
        "The server wants another user name: the whole address, or the part before the `@` alone.",
        "Plain passwords are refused without TLS, or only application passwords are taken.",
    ],
    advice: &[
        "`postrider validate --secrets` looks at the file, `validate --online` tries the login and changes nothing.",
        "If every account fails, the server's own directory or database is the place to look.",
    ],
};

pub(super) const PROTOCOL: Text = Text {
    meaning: "The server's answer is not IMAP, contradicts itself, or goes beyond the limits that keep the probe safe (line, literal and nesting sizes).",
    causes: &[
        "Another service listens on this port, or TLS is expected there and was not used.",
        "A proxy between client and server cuts or mixes answers.",
        "A defect of the server, or a hostile one.",
    ],
    advice: &[
        "The transcript shows the line. Compare with the server's own log and with another client.",
        "If the answer is good IMAP, it is a defect of this program: report it with the transcript.",
    ],
};
