//! What a domain says about its mail: SPF, DKIM, DMARC, TLS-RPT.

use super::Text;

pub(super) const SPF: Text = Text {
    meaning: "The SPF record was evaluated for this client as a receiver does it (RFC 7208), and the result is not the expected one. With `fail`, `softfail` or `permerror` mail from that address is refused or counts as suspicious.",
    causes: &[
        "A server or an address was added or moved, and the record (or the record that it includes) does not know it.",
        "`permerror`: a term is misspelt, there are two records, an included domain has none, or more than 10 terms ask DNS.",
        "`none`: the record is gone, or stands at another name than the domain of the sender.",
    ],
    advice: &[
        "The line names the term that decided, and the evidence shows each record that was read.",
        "Over the limit of 10: replace `a`, `mx` and `include` by the `ip4` and `ip6` networks behind them.",
    ],
};

pub(super) const DKIM: Text = Text {
    meaning: "The record that holds the public key (SELECTOR._domainkey.DOMAIN) is missing, cannot be used, or is not the expected one. Signatures made with that selector do not verify.",
    causes: &[
        "The selector was changed in the signer and not in DNS, or the old one was removed while mail was still under way.",
        "The key was pasted with a part missing, or cut at 255 characters: a long key must be split into several strings of one record.",
        "An empty `p=` says that the key is revoked; `t=y` says that the domain only tests DKIM; RSA below 1024 bits counts as no key (RFC 8301).",
    ],
    advice: &[
        "`dig SELECTOR._domainkey.DOMAIN TXT` shows the record; compare it with the one that the signer prints.",
        "For a change of keys publish the new selector first, switch the signer, and keep the old record for a week.",
    ],
};

pub(super) const DMARC: Text = Text {
    meaning: "The DMARC record (_dmarc.DOMAIN) is missing, cannot be read, or does not say what was expected. Receivers then apply no policy, or another one.",
    causes: &[
        "Two records, or a record that does not begin with `v=DMARC1`: receivers act as if there were none.",
        "`p=` is missing or misspelt, or an address for reports is not written as `mailto:`.",
        "Reports go to another domain, and that domain does not publish DOMAIN._report._dmarc with `v=DMARC1`: receivers send none.",
    ],
    advice: &[
        "The line names the tag. Without a record of its own, a domain has the policy of a name above it, with `sp=` when it is there: the one with `psd=n`, else the one just below a public suffix (`psd=y`), else the one with the fewest labels, else the public suffix.",
    ],
};

pub(super) const TLS_RPT: Text = Text {
    meaning: "The record that asks for reports about TLS between mail servers (_smtp._tls.DOMAIN, RFC 8460) is missing, cannot be read, or does not say what was expected. Failures of MTA-STS and DANE then stay unknown.",
    causes: &[
        "Two records, or a record without `rua=`, or with an address that is neither `mailto:` nor `https:`.",
    ],
    advice: &["One record, as `v=TLSRPTv1; rua=mailto:tls-reports@DOMAIN`."],
};
