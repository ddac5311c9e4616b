//! What leaves the process on the hot path: a connector, an HTTP/1.1 client connection, a keep-alive pool and the
//! arithmetic of retrying. And what arrives: the servers of HTTP/1.1 and HTTP/2.
//!
//! It exists because a general client pays for a connection task and channels on every request. Here the task that
//! has the request drives the socket itself.
//!
//! It is not a general HTTP client: no redirects, cookies, decompression, upgrades or HTTP/2 to providers, no deadlines
//! of its own (the caller has them, see [`deadline`]) and no wall clock (time is a parameter).

pub mod backoff;
pub mod connector;
pub mod deadline;
pub mod h1;
pub mod h2;
pub mod io;
pub mod pool;
pub mod url_guard;
