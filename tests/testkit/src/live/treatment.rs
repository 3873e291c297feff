//! What a test may do to a node of the platform: stop it, hold its mail, make it refuse.
//!
//! A treatment replaces the one before; [`Platform::treat_normally`] ends it.

use std::io;

use super::ca::Certificate;
use super::node::settings;
use super::process::free_port;
use super::{Node, Platform, RESOLVER, bind, postgrey};

/// Where in the SMTP dialogue a node refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// In place of the greeting.
    Connect,
    /// In answer to EHLO.
    Ehlo,
    /// In answer to MAIL.
    Mail,
    /// In answer to RCPT.
    Rcpt,
    /// In answer to DATA.
    Data,
    /// In answer to the final dot.
    EndOfData,
}

impl Stage {
    /// Postfix's parameter, and the check that applies to every client there.
    const fn restriction(self) -> (&'static str, &'static str) {
        match self {
            Self::Connect => ("smtpd_client_restrictions", "check_client_access"),
            Self::Ehlo => ("smtpd_helo_restrictions", "check_helo_access"),
            Self::Mail => ("smtpd_sender_restrictions", "check_sender_access"),
            Self::Rcpt => ("smtpd_recipient_restrictions", "check_recipient_access"),
            Self::Data => ("smtpd_data_restrictions", "check_client_access"),
            Self::EndOfData => ("smtpd_end_of_data_restrictions", "check_client_access"),
        }
    }
}

impl Platform {
    /// Stops a node's processes and waits until they are gone; its addresses then refuse
    /// connections. Stopping a stopped node does nothing.
    pub fn stop_node(&mut self, node: Node) {
        self.nodes[node as usize].stop(&self.guard);
    }

    /// Starts a stopped node and waits until it listens.
    ///
    /// # Errors
    /// The node does not start.
    pub fn start_node(&mut self, node: Node) -> io::Result<()> {
        let postfix = &mut self.nodes[node as usize];
        postfix.start(&self.guard)?;
        postfix.await_listening()
    }

    /// Lets the node take mail and keep it, until [`Self::release_mail`].
    ///
    /// # Errors
    /// The node does not start again.
    pub fn hold_mail(&mut self, node: Node) -> io::Result<()> {
        self.treat(node, [("defer_transports", "smtp, lmtp, relay".to_owned())])
    }

    /// Ends [`Self::hold_mail`]: what was kept goes on at once.
    ///
    /// # Errors
    /// The node does not start again.
    pub fn release_mail(&mut self, node: Node) -> io::Result<()> {
        self.treat_normally(node)?;
        self.nodes[node as usize].flush()
    }

    /// Lets the node answer every client with `reply` (`450 4.2.0 try later`) at `stage`.
    ///
    /// Postfix puts the subject in front of the text: `450 4.2.0 <alice@…>: Recipient address
    /// rejected: try later`.
    ///
    /// # Errors
    /// The node does not start again.
    pub fn refuse(&mut self, node: Node, stage: Stage, reply: &str) -> io::Result<()> {
        let (parameter, check) = stage.restriction();
        self.treat(
            node,
            [
                (parameter, format!("{check} static:{{{reply}}}")),
                // Say so at the stage itself, not only at RCPT.
                ("smtpd_delay_reject", "no".to_owned()),
            ],
        )
    }

    /// Lets the node refuse mail for one address only; what it refuses of another node's comes back as a bounce.
    ///
    /// # Errors
    /// The node does not start again.
    pub fn refuse_recipient(&mut self, node: Node, address: &str, reply: &str) -> io::Result<()> {
        let check = format!("check_recipient_access inline:{{ {{ {address} = {reply} }} }}");
        self.treat(node, [("smtpd_recipient_restrictions", check)])
    }

    /// Lets a filter ask postgrey, which lets through who comes again after so many seconds.
    ///
    /// # Errors
    /// postgrey is not installed or does not start, or the node does not start again.
    pub fn greylist(&mut self, node: Node, seconds: u32) -> io::Result<()> {
        if let Some(daemon) = self.postgrey.take() {
            daemon.stop(&self.guard);
        }
        let address = (RESOLVER, free_port(&[RESOLVER.into()], &[])?).into();
        let directory = self.directory.path().join("postgrey");
        self.postgrey = Some(postgrey::start(&directory, address, seconds, &self.guard)?);
        let check = format!("check_policy_service inet:{address}");
        self.treat(node, [("smtpd_recipient_restrictions", check)])
    }

    /// Lets the node wait so many seconds before each reply of `stage`, and then go on as usual.
    ///
    /// # Errors
    /// The node does not start again.
    pub fn delay(&mut self, node: Node, stage: Stage, seconds: u32) -> io::Result<()> {
        let (parameter, _) = stage.restriction();
        self.treat(
            node,
            [
                (parameter, format!("sleep {seconds}")),
                ("smtpd_delay_reject", "no".to_owned()),
            ],
        )
    }

    /// Lets the mail for alice that passes this filter end in her folder Junk.
    ///
    /// # Errors
    /// The node does not start again.
    pub fn junk_mail(&mut self, node: Node) -> io::Result<()> {
        self.treat(
            node,
            [(
                "smtpd_recipient_restrictions",
                "check_recipient_access static:{REDIRECT alice+Junk@example.test}".to_owned(),
            )],
        )
    }

    /// Lets the node write a header field (`Authentication-Results: …`) above every mail it takes.
    ///
    /// # Errors
    /// The node does not start again.
    pub fn stamp_mail(&mut self, node: Node, field: &str) -> io::Result<()> {
        self.treat(
            node,
            [(
                "smtpd_recipient_restrictions",
                format!("check_recipient_access static:{{PREPEND {field}}}"),
            )],
        )
    }

    /// Stops Dovecot: nobody can log in, and the store keeps what it cannot hand over.
    pub fn stop_mailboxes(&mut self) {
        if let Some(dovecot) = self.dovecot.take() {
            dovecot.stop(&self.guard);
        }
    }

    /// Starts Dovecot again, with the mailboxes as they were, and lets the store hand over what it kept.
    ///
    /// # Errors
    /// Dovecot does not start.
    pub fn start_mailboxes(&mut self) -> io::Result<()> {
        self.start_dovecot()?;
        self.await_dovecot()?;
        self.nodes[Node::Store as usize].flush()
    }

    /// Lets a filter offer no STARTTLS.
    ///
    /// # Errors
    /// The node does not start again.
    pub fn without_starttls(&mut self, node: Node) -> io::Result<()> {
        self.treat(node, [("smtpd_tls_security_level", "none".to_owned())])
    }

    /// Gives a filter a parameter of Postfix: its banner, its keywords, its TLS versions.
    ///
    /// # Errors
    /// The node does not start again.
    pub fn set_parameter(&mut self, node: Node, name: &str, value: &str) -> io::Result<()> {
        self.treat(node, [(name, value.to_owned())])
    }

    /// Writes something else into a zone, and has the name server read it. Undone by the same with the words swapped.
    ///
    /// # Errors
    /// The zone does not hold the words, or the name server does not start again.
    pub fn change_zone(&mut self, origin: &str, from: &str, to: &str) -> io::Result<()> {
        let directory = self.directory().join("bind");
        if let Some(bind) = self.bind.take() {
            bind.stop(&self.guard);
        }
        bind::change_zone(&directory, origin, from, to)?;
        let bind = self.bind.insert(bind::launch(&directory, &self.guard)?);
        bind.await_output(bind::READY)
    }

    /// Lets a filter offer TLS 1.2 and 1.3 only. Untreated, it offers what the system's library has, back to 1.0.
    ///
    /// # Errors
    /// The node does not start again.
    pub fn without_old_tls(&mut self, node: Node) -> io::Result<()> {
        self.treat(node, [("smtpd_tls_protocols", ">=TLSv1.2".to_owned())])
    }

    /// Lets a filter offer nothing newer than TLS 1.1.
    ///
    /// # Errors
    /// The node does not start again.
    pub fn with_only_old_tls(&mut self, node: Node) -> io::Result<()> {
        self.treat(
            node,
            [
                ("smtpd_tls_protocols", ">=TLSv1, <=TLSv1.1".to_owned()),
                ("tls_medium_cipherlist", "ALL:@SECLEVEL=0".to_owned()),
            ],
        )
    }

    /// Lets a filter call itself otherwise, in its greeting and in its reply to EHLO.
    ///
    /// # Errors
    /// The node does not start again.
    pub fn call_itself(&mut self, node: Node, name: &str) -> io::Result<()> {
        self.treat(node, [("myhostname", name.to_owned())])
    }

    /// Lets a filter show another certificate, until the next call. Not a treatment:
    /// it may go together with one.
    ///
    /// # Errors
    /// The node does not start again.
    pub fn present_certificate(&mut self, node: Node, certificate: Certificate) -> io::Result<()> {
        self.issue_certificate(node, certificate)?;
        self.nodes[node as usize].restart(&self.guard)
    }

    /// Ends any treatment of the node.
    ///
    /// # Errors
    /// The node does not start again.
    pub fn treat_normally(&mut self, node: Node) -> io::Result<()> {
        self.treat(node, [])
    }

    fn treat<const N: usize>(
        &mut self,
        node: Node,
        changes: [(&str, String); N],
    ) -> io::Result<()> {
        self.nodes[node as usize].treat(settings(changes), &self.guard)
    }

    /// Writes a filter's certificate to where its Postfix looks for it.
    pub(super) fn issue_certificate(&self, node: Node, kind: Certificate) -> io::Result<()> {
        let names = [
            "mx1.example.test",
            "mx2.example.test",
            &format!("{}.cluster.test", node.name()),
        ];
        let directory = self.directory.path().join(node.name()).join("etc");
        self.authority
            .issue(kind, &names, &directory, "tls")
            .map(|_written| ())
    }
}
