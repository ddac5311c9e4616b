//! Tests of the connection against scripted peers; `script` holds the peer, the other modules one topic each.

mod cuts;
mod exchange;
mod limits;
mod malformed;
mod script;
