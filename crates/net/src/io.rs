//! The byte stream that a connection runs on.
//!
//! It exists so that TCP, TLS, an in-memory pipe and a simulated network are one type to everything above. It is not
//! where connections are opened; that is [`connector`](crate::connector).

use tokio::io::{AsyncRead, AsyncWrite};

/// A two-way byte stream that one task at a time drives.
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// Any [`Io`], with its type forgotten.
pub type BoxIo = Box<dyn Io>;
