//! Connections and the SMTP dialogue.

use super::Text;

pub(super) const CONNECT_REFUSED: Text = Text {
    meaning: "Nobody accepts connections there: the host answered with a reset, or a router or firewall on the way said that it cannot be reached.",
    causes: &[
        "The mail server is stopped, or does not listen on this address: a fallback address is easily forgotten after a change.",
        "A firewall rejects port 25, for everybody or for this vantage only.",
        "The address in DNS is not (or no longer) the server's.",
    ],
    advice: &[
        "On the node: `ss -ltn 'sport = :25'` shows on which addresses it listens.",
        "Look whether the same node answers on its other address and the other family: that separates node, address and network.",
    ],
};

pub(super) const CONNECT_TIMEOUT: Text = Text {
    meaning: "The connection attempt got no answer at all. Packets vanish on the way there or back.",
    causes: &[
        "A firewall drops port 25; many hosting networks drop it on the way out, for all their customers.",
        "The host is down, or the address is routed nowhere (IPv6 is often forgotten here).",
        "The server's queue of connections is full.",
    ],
    advice: &[
        "If every target on port 25 times out and port 443 works, it is this vantage: compare with another network.",
        "`traceroute -T -p 25 ADDRESS` shows where the packets end. Compare IPv4 and IPv6 of the same host.",
    ],
};

pub(super) const CONNECT_RESET: Text = Text {
    meaning: "The connection was open, and the other side ended it in the middle of the dialogue without a word (SMTP has 421 for that).",
    causes: &[
        "The server process crashed or was restarted, or a memory or time limit killed it.",
        "A filter, load balancer or intrusion detection cuts sessions that it does not like.",
        "The server only answers clients with a PTR record, or limits connections for each address.",
    ],
    advice: &[
        "The transcript shows the last command before the cut; look for that second in the node's mail log.",
        "If it happened after the final dot, the mail's fate is unknown: its entry is `uncertain` and it is never sent again.",
    ],
};

pub(super) const BANNER_TIMEOUT: Text = Text {
    meaning: "TCP connected at once and the greeting did not come within the limit. RFC 5321 lets a server take 5 minutes; most senders give it less.",
    causes: &[
        "The server looks this client up before it greets (PTR, block lists, ident), and one of those look-ups hangs.",
        "All server processes are busy: the system accepts connections and nobody takes them.",
        "A deliberate delay before the greeting, against clients that talk first; it is longer than `timeouts.banner`.",
    ],
    advice: &[
        "Check the node's own resolver, and the number of its SMTP processes against their limit.",
        "If the delay is deliberate, raise `timeouts.banner` above it: the phase `banner` then shows it.",
    ],
};

pub(super) const GREETING_REJECTED: Text = Text {
    meaning: "The server speaks SMTP and does not want this session: a 4xx or 5xx greeting, or EHLO and HELO refused.",
    causes: &[
        "The vantage's address is on a block list, has no PTR record, or made too many connections.",
        "The EHLO name is not accepted: filters refuse an address, a name without a dot, an underscore, or a name that does not resolve.",
        "The node is in maintenance or overloaded (421, 450), or serves no mail at all (554).",
    ],
    advice: &[
        "Read the server's words in the line: they usually name the list or the rule.",
        "Give the sender's `helo` a name with an A or AAAA record that matches the vantage's PTR record.",
    ],
};

pub(super) const REFUSED_FOR_NOW: Text = Text {
    meaning: "A 4xx reply: the server asks the sender to come back later. An MTA would keep the mail and retry; a scenario makes one attempt.",
    causes: &[
        "Greylisting: an unknown triple of network, sender and recipient, often for 5 to 15 minutes; another node does not help.",
        "The mail store behind the filter is down, and the filter cannot verify the recipient.",
        "Too many connections or mails from this address, or no room on the node's disk (452).",
    ],
    advice: &[
        "The enhanced status says more: 4.7.1 policy or greylisting, 4.2.x mailbox, 4.3.x system, 4.4.x network behind it.",
        "For greylisting keep envelope sender and recipient constant (the default), and have the probe's sender known to the filter.",
    ],
};

pub(super) const REFUSED_FOR_GOOD: Text = Text {
    meaning: "A 5xx reply: the server will never take this mail. A real sender gets a bounce.",
    causes: &[
        "5.1.1: no such recipient there, or the filter still remembers an old answer of the mail store (hours).",
        "5.7.1: policy. `Relay` means that this node does not serve the domain; other words mean SPF, DKIM, DMARC, a block list or the content.",
        "5.7.x about authentication: it is a submission port (587, 465), not port 25.",
    ],
    advice: &[
        "Compare with the other addresses: one node alone that refuses has an old configuration or an old cache.",
        "For policy, make the sender's domain pass SPF and DKIM from this vantage, as any honest sender's does.",
    ],
};

pub(super) const UNEXPECTED_REPLY: Text = Text {
    meaning: "The server said something that is not the expected reply, or that is no SMTP reply: another code, other lines, endless or oversized text.",
    causes: &[
        "Another service listens on this port, or a middle box rewrites the dialogue.",
        "The reply is right in its class but not in its `enhanced_status`.",
        "A broken or hostile server: replies are cut at fixed limits and end the check.",
        "`(unasked, before …)`: the server spoke before it was asked. Nothing of that may pass for the next reply, so the dialogue ends.",
    ],
    advice: &[
        "Read the transcript: `postrider show RUN/CHECK --transcript`.",
        "If the new reply is fine, change `expect.reply` or `expect.enhanced_status`.",
    ],
};

pub(super) const TIMEOUT: Text = Text {
    meaning: "The server stopped answering in the middle of the dialogue: no reply to the named command within its limit.",
    causes: &[
        "After RCPT: the server asks others (recipient verification, greylisting database) and they do not answer.",
        "After the final dot: content filters are slow, or the disk is; RFC 5321 gives a server 10 minutes here.",
        "The network began to lose packets, or large ones (path MTU) when the message itself is sent.",
        "The time limit of the step, the scenario or the run was over first: then the line names it.",
    ],
    advice: &[
        "After the final dot nobody knows whether the mail was taken: the entry is `uncertain`, the mailbox is watched, and nothing is sent again.",
        "Short limits make this worse, not better: senders that give up early make duplicates for real users.",
    ],
};

pub(super) const AUTH_FAILED: Text = Text {
    meaning: "The server took the AUTH command and refused the credentials. There is one attempt, so that no account gets locked.",
    causes: &[
        "The password was changed in one place only, or the account is locked or expired.",
        "The server wants another user name: the whole address, or the part before the `@` alone.",
    ],
    advice: &[
        "Log in by hand with the same file: a line end too much is a common cause.",
        "If every account fails, the server's own directory or database is the place to look.",
    ],
};

pub(super) const EXTENSION_MISSING: Text = Text {
    meaning: "EHLO or CAPABILITY lacks a keyword that the check needs or that `expect` names.",
    causes: &[
        "The extension was switched off, or only one node of the cluster offers it.",
        "A middle box strips keywords that it does not know, or the server only offers them after TLS or login.",
    ],
    advice: &[
        "`postrider show RUN/CHECK` lists what the server offers; compare the nodes.",
        "If it is gone on purpose, remove it from the scenario.",
    ],
};

pub(super) const WRONGLY_ACCEPTED: Text = Text {
    meaning: "The scenario expects a refusal, and the server said yes: for a made-up recipient it will have to send a bounce to a forged sender later.",
    causes: &[
        "This node does not verify recipients: a fallback node, or a filter whose recipient list is not filled in.",
        "The domain has a catch-all mailbox.",
        "The mail store could not be asked, and the filter takes everything meanwhile.",
    ],
    advice: &[
        "Try an address that surely does not exist on each MX: all nodes must refuse it with 5.1.1.",
        "A node that accepts what the others refuse makes backscatter and gets the platform listed: repair it first.",
    ],
};
