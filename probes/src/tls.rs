use crate::account::Trust;
use crate::dialogue::stream::BoxStream;
use crate::outcome::{Failure, TlsFacts};
#[derive(Debug, Clone, Copy)]
pub enum Verify {
    Record,
    Enforce,
}
#[derive(Debug)]
pub struct TlsFailure;
impl TlsFailure {
    pub fn into_failure(self, _: &crate::context::Context<'_>) -> Failure {
        Failure::new(crate::reason::Reason::TlsHandshake, "")
    }
}
pub async fn client(
    s: BoxStream,
    _: &str,
    _: &Trust,
    _: Verify,
) -> Result<(BoxStream, TlsFacts), TlsFailure> {
    Ok((s, TlsFacts::default()))
}
