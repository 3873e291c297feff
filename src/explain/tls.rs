//! Encryption and certificates.

use super::Text;

pub(super) const NOT_OFFERED: Text = Text {
    meaning: "The check needs TLS and the server does not offer it: no STARTTLS in its EHLO, its IMAP or ManageSieve capabilities, no STLS in POP3; or it refused when it was asked. Nothing was sent.",
    causes: &[
        "The certificate or key could not be loaded at the last restart, and the server went on without TLS.",
        "A middle box hides STARTTLS (`XXXXXXXX` in the list of keywords is its trace).",
        "This node was set up without TLS, or offers it only to some clients.",
    ],
    advice: &[
        "Compare the nodes' EHLO keywords in `postrider show RUN/CHECK`, and look into the server's start-up log.",
        "`tls: opportunistic` tests what most senders do; keep `required` if your senders or an MTA-STS policy require it.",
    ],
};

pub(super) const HANDSHAKE: Text = Text {
    meaning: "The server agreed to TLS and the handshake did not come to an end: refused, cut, timed out, or not TLS at all.",
    causes: &[
        "Certificate and key do not belong together, or the chain file is broken.",
        "The server said yes and then spoke plain text, or closed the connection.",
        "A middle box that inspects TLS.",
    ],
    advice: &[
        "`openssl s_client -starttls smtp -connect ADDRESS:25 -servername MX` shows the same with more words.",
        "Other senders may fall back to plain text here and never tell you.",
    ],
};

pub(super) const CERTIFICATE: Text = Text {
    meaning: "The certificate is expired or not valid yet, is signed by nobody that is trusted, carries another name, ends sooner than `valid_for`, or breaks a rule of the kind `tls`: names, issuer, key, signature, fingerprint. It is checked against the host's name although the connection goes to an address.",
    causes: &[
        "It was renewed and the server was not reloaded, or only on some of the nodes.",
        "The MX name is not among its names: it carries the server's own name only.",
        "The intermediate certificate is missing, so that only clients that know it already are content.",
    ],
    advice: &[
        "`postrider show RUN/CHECK` has names, issuer, end and fingerprint; compare the nodes.",
        "A private authority: give its certificate as `trust: {ca_file: …}`. Most senders on port 25 do not care, those with MTA-STS or DANE do.",
    ],
};

pub(super) const VERSION: Text = Text {
    meaning: "There is no common protocol: this probe speaks TLS 1.2 and 1.3 with authenticated (AEAD) ciphers and ephemeral keys, and the server wants something older. Or the kind `tls` found a version or cipher suite offered that `not_versions` or `not_ciphers` forbid, or one missing that `versions` or `ciphers` want.",
    causes: &[
        "The server knows TLS 1.0 or 1.1 only, or only CBC or plain-RSA cipher suites.",
        "A very old library, or a very old setting on a new one.",
    ],
    advice: &[
        "The server is not down: old senders still reach it. Update it before new ones stop talking to it.",
        "`openssl s_client -starttls smtp -connect ADDRESS:25 -tls1_2` shows what it accepts.",
    ],
};

pub(super) const INJECTION: Text = Text {
    meaning: "Plain text came after the STARTTLS reply and before the handshake. It was thrown away and the dialogue ended: a client that believes it lets anybody on the way put words into the encrypted session.",
    causes: &[
        "A server that answers commands which it was not sent, or a proxy that mixes the two sides up.",
        "An attacker on the way.",
    ],
    advice: &[
        "Look whether other vantages see it too: if not, it is the network between.",
        "Update the server or the proxy; implicit TLS (port 465, 993) does not have this weakness.",
    ],
};

pub(super) const DANE_MISMATCH: Text = Text {
    meaning: "The domain publishes TLSA records, and the certificate that the server shows matches none of them: senders with DANE do not deliver. Or none of the records can be used or is proven, where DANE is required: senders do not check at all.",
    causes: &[
        "The certificate or its key was renewed before the new TLSA record was published and had spread.",
        "The record is for authorities of the web (usage 0 or 1), which SMTP ignores (RFC 7672, section 3.1.3): write `3 1 1` or `2 1 1`.",
        "The zone of the domain, of the MX host or of the record is not signed (insecure): the records then count for nothing.",
        "With usage 2 the name, the time and the chain count as well, and the authority must be in the chain that the server sends.",
    ],
    advice: &[
        "The line ends with RFC 8460's word for it (`validation-failure`, `tlsa-invalid`, `dane-required`, …): the same stands in the reports of senders.",
        "Publish the new record beside the old one first, wait for its TTL twice, and only then change the certificate.",
    ],
};

pub(super) const MTA_STS_MISMATCH: Text = Text {
    meaning: "The domain's MTA-STS policy is missing, cannot be used, or does not list an MX host. Senders that enforce a policy do not deliver to a host outside it; without a policy that they can read, TLS to this domain can be taken away by anybody on the way. The line has the word of the standard for such reports (RFC 8460).",
    causes: &[
        "`validation-failure`: an MX host was added or renamed and the policy file was not; a `*.` covers exactly one label.",
        "`sts-policy-invalid`: a line of the policy is misspelt, `mode` or `max_age` is missing, or the file is not sent as text/plain.",
        "`no-policy-found`: the record at _mta-sts.DOMAIN is missing, stands there twice, or does not begin with `v=STSv1;`.",
    ],
    advice: &[
        "Correct the `mx:` lines of the policy and change the `id` of its TXT record, or senders keep the old one up to `max_age`.",
        "`curl -v https://mta-sts.DOMAIN/.well-known/mta-sts.txt` shows what senders get; they follow no redirect.",
    ],
};
