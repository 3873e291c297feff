//! Logging in with a password (RFC 9051 sections 6.2.2 and 6.2.3). The caller sees to it that the
//! stream is encrypted.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use imap_codec::imap_types::auth::{AuthMechanism, AuthenticateData};
use imap_codec::imap_types::command::CommandBody;
use imap_codec::imap_types::core::AString;
use imap_codec::imap_types::secret::Secret;
use imap_next::client::Event;
use zeroize::Zeroizing;

use super::command::{Completed, Sorted, Untagged, command};
use super::error::{ImapError, Result};
use super::link::Heard;
use super::session::Session;

impl Session {
    /// Logs in: with LOGIN, or with AUTHENTICATE PLAIN where the server forbids LOGIN but offers that.
    /// One attempt, whatever comes of it. What was known of the capabilities before is forgotten.
    ///
    /// # Errors
    /// `LoginDisabled` if the server takes neither; `LoginRefused` on NO or BAD; any of a command.
    pub async fn login(&mut self, user: &str, password: &str) -> Result<()> {
        let capabilities = self.capabilities().await?;
        let by_login = !capabilities.login_disabled();
        let by_plain = capabilities.has("AUTH=PLAIN");
        let initial_response = capabilities.has("SASL-IR");
        if !by_login && !by_plain {
            return Err(ImapError::LoginDisabled);
        }
        self.keep_out_of_sight(user, password);
        // They may be others after the login.
        self.capabilities = None;
        let outcome = if by_login {
            self.login_command(user, password).await
        } else {
            self.authenticate_plain(user, password, initial_response)
                .await
        };
        self.link.speak_openly();
        match outcome {
            Ok(_) => Ok(()),
            Err(ImapError::Refused { code, text, .. }) => {
                Err(ImapError::LoginRefused { code, text })
            }
            Err(error) => Err(error),
        }
    }

    async fn login_command(&mut self, user: &str, password: &str) -> Result<Completed> {
        let body = CommandBody::Login {
            username: argument(user, "a user name with a NUL")?,
            password: Secret::new(argument(password, "a password with a NUL")?),
        };
        self.secret_command("LOGIN", body, |_| {}).await
    }

    /// RFC 4616: an empty authorisation identity, the user, the password.
    async fn authenticate_plain(
        &mut self,
        user: &str,
        password: &str,
        initial_response: bool,
    ) -> Result<Completed> {
        if user.contains('\0') || password.contains('\0') {
            return Err(ImapError::BadArgument {
                what: "a user name or a password with a NUL",
            });
        }
        let response = plain_response(user, password);
        let body = CommandBody::Authenticate {
            mechanism: AuthMechanism::Plain,
            initial_response: initial_response.then(|| Secret::new(Cow::Owned(response.to_vec()))),
        };
        let mut left = (!initial_response).then_some(response);
        let mut running = self.begin("AUTHENTICATE")?;
        self.link.enqueue_secretly(
            command(&running, body),
            &format!("{} AUTHENTICATE PLAIN", running.tag.as_ref()),
        );
        loop {
            let Heard::Event(event) = self.hear(&mut running).await? else {
                continue;
            };
            match event {
                Event::AuthenticateContinuationRequestReceived { .. } => {
                    // Asked again, or for more than PLAIN has to say: cancel, the server answers BAD.
                    let data = match left.take() {
                        Some(response) => {
                            AuthenticateData::Continue(Secret::new(Cow::Owned(response.to_vec())))
                        }
                        None => AuthenticateData::Cancel,
                    };
                    // Only refused when nothing was asked for, and something was.
                    let _ = self.link.client().set_authenticate_data(data);
                }
                Event::AuthenticateStatusReceived { status, .. }
                | Event::StatusReceived { status } => {
                    if let Sorted::Answer(body) = self.sort(&running, status) {
                        running.sent = true;
                        return self.conclude(&running, body);
                    }
                }
                Event::DataReceived { data } => self.observe(&data),
                _ => {}
            }
        }
    }

    async fn secret_command(
        &mut self,
        name: &'static str,
        body: CommandBody<'static>,
        each: impl FnMut(Untagged) + Send,
    ) -> Result<Completed> {
        let running = self.begin(name)?;
        self.link.enqueue_secretly(
            command(&running, body),
            &format!("{} {name}", running.tag.as_ref()),
        );
        self.finish(running, each).await
    }

    /// Whatever form the password takes on the wire, a server may send it back.
    fn keep_out_of_sight(&mut self, user: &str, password: &str) {
        self.link.keep_secret(password);
        self.link
            .keep_secret(password.replace('\\', "\\\\").replace('"', "\\\""));
        self.link.keep_secret(STANDARD.encode(password));
        self.link
            .keep_secret(STANDARD.encode(plain_response(user, password)));
    }
}

fn plain_response(user: &str, password: &str) -> Zeroizing<Vec<u8>> {
    Zeroizing::new([b"\0", user.as_bytes(), b"\0", password.as_bytes()].concat())
}

fn argument(value: &str, what: &'static str) -> Result<AString<'static>> {
    AString::try_from(value.to_owned()).map_err(|_| ImapError::BadArgument { what })
}
