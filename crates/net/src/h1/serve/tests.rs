//! Tests of the server side against scripted clients.
