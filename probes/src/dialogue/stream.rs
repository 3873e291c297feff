//! What a conversation runs over: a socket, a TLS session, or a pipe in memory.

use tokio::io::{AsyncRead, AsyncWrite};

/// Any two-way stream of bytes.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A stream whose kind does not matter any more.
pub type BoxStream = Box<dyn Stream>;
