//! Names.

use super::Text;

pub(super) const NXDOMAIN: Text = Text {
    meaning: "A name server answered, and its answer is that there is no such name or no such record. For an MX host it means that no sender can find its address.",
    causes: &[
        "A record was removed or mistyped; a new MX host was published before its A or AAAA record.",
        "The zone's registration ran out, or its delegation points to servers that no longer hold it.",
        "A split view: the inside of the network knows the name and the world does not.",
    ],
    advice: &[
        "Ask the zone's own servers and a public resolver: `dig +norecurse @NS NAME TYPE`, then `dig NAME TYPE`.",
        "After a correction, resolvers may keep the old answer for as long as the SOA's minimum says.",
    ],
};

pub(super) const SERVFAIL: Text = Text {
    meaning: "A name server answered that it could not answer (SERVFAIL, REFUSED) or answered nonsense. It does not mean that the record is absent: senders keep their mail and try again.",
    causes: &[
        "DNSSEC signatures ran out or do not match the DS record at the parent; validating resolvers then say SERVFAIL.",
        "The zone's servers are unreachable for the resolver, or do not hold the zone (lame delegation).",
        "The resolver refuses to recurse for this client.",
    ],
    advice: &[
        "Compare `dig +cd NAME TYPE` with `dig NAME TYPE`: if only the first answers, it is DNSSEC.",
        "Follow the delegation with `dig +trace NAME`, and ask each server by itself (`ask: every-authoritative-server`).",
    ],
};

pub(super) const TIMEOUT: Text = Text {
    meaning: "A name server was asked and sent nothing back within the limit. A closed UDP port looks the same as a dropped packet.",
    causes: &[
        "The server is down or overloaded, or rate-limits this address.",
        "A firewall drops UDP or TCP port 53, or large answers (fragments).",
    ],
    advice: &[
        "Try both transports: `dig +notcp` and `dig +tcp`. If only TCP works, look at packet sizes and fragments on the way.",
        "Many timeouts for different names mean our own resolver: compare with `vantage-dns`.",
    ],
};

pub(super) const MISMATCH: Text = Text {
    meaning: "The answer is there, and it is not what was expected: another record set, a null MX, an MX that is an alias or an address.",
    causes: &[
        "Somebody changed the zone and not the scenario, or the other way round.",
        "Not every authoritative server has the new zone yet: compare the serial numbers in their SOA records.",
        "A null MX (`0 .`) says that the domain takes no mail; an MX must be a host name with an A or AAAA record, not a CNAME (RFC 5321, section 5.1).",
    ],
    advice: &[
        "The line names what is missing and what is too much. Correct whichever of the two is wrong.",
        "Old MX records must go: spammers like the ones with the highest number, and mail sent there passes no filter.",
    ],
};

pub(super) const LAME: Text = Text {
    meaning: "The zone's NS records name a server that does not answer for the zone: it refuses, or answers without authority. Some of the world's questions go there, and are lost or late.",
    causes: &[
        "The zone was removed from the server, or never set up there, and the NS record stayed.",
        "A secondary could not fetch the zone for so long that it gave it up.",
        "The name of the server now leads to another machine.",
    ],
    advice: &[
        "Ask it: `dig +norecurse @ADDRESS ZONE SOA` must answer with the flag `aa`.",
        "Set the zone up there, or take the server out of the NS records here and at the parent.",
    ],
};

pub(super) const DISAGREEMENT: Text = Text {
    meaning: "The servers of one zone were asked the same and do not say the same, or the resolver says something else than all of them: who sends mail gets now this answer, now that.",
    causes: &[
        "A zone transfer is under way or stuck: the serial numbers tell which server is behind. Different serial numbers alone, with the same records, only degrade.",
        "Somebody edited a secondary, or forgot to raise the serial number.",
        "A resolver keeps an old answer until its time to live is over, or it lies.",
    ],
    advice: &[
        "Compare `dig +norecurse @ADDRESS ZONE SOA` for each server; look into the log of the one that is behind for failed transfers.",
        "If only the resolver differs, wait for the time to live that the line names; if it still differs then, it is not to be trusted.",
    ],
};

pub(super) const PTR_MISMATCH: Text = Text {
    meaning: "An address has no PTR record, or one that is not the expected name, or one whose own address is another. Many receivers refuse or distrust mail from such an address. A name server that cannot answer is not this: that is `dns-servfail` or `dns-timeout`.",
    causes: &[
        "The address was moved or added, and the reverse zone, which the network's owner keeps, was not changed.",
        "The PTR names the MX host; of a cluster node it is to name the server itself.",
        "The forward record of the name was removed or points to another address.",
    ],
    advice: &[
        "`dig -x ADDRESS`, then `dig NAME A` and `dig NAME AAAA`: the last must give the address again.",
        "Have the owner of the network set the PTR record; the inventory's server name is what it should be for a primary address.",
    ],
};

pub(super) const DNSBL_LISTED: Text = Text {
    meaning: "A block list names the address. Receivers that heed the list refuse its mail, or score it as spam. The list's test entries were right, so it is its true answer.",
    causes: &[
        "Spam or infected mail was sent from there: by a customer, a stolen password, an open form.",
        "The address had another owner before, or the whole network is listed.",
        "The list names addresses that should not send at all; each answer has its meaning, which the list's own pages explain.",
    ],
    advice: &[
        "Read the list's own words in the line, find the cause and stop it; only then ask to be removed.",
        "Give the answers their `meanings`, and a list that few receivers heed `when_listed: degrade`.",
    ],
};

pub(super) const BOGUS: Text = Text {
    meaning: "The zone is signed and the signatures do not prove the answer. Senders that validate treat the domain as unreachable.",
    causes: &[
        "Signatures ran out because nobody signs the zone any more.",
        "A key was changed and the DS record at the parent was not.",
    ],
    advice: &[
        "Compare the DS record at the parent with the DNSKEY in the zone, and look at the dates of the RRSIG records.",
        "Nothing else about this name can be trusted until that is repaired.",
    ],
};
