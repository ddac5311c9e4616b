//! The gateway from outside: every test goes through the real listener, router, corridor, journal and databases, with
//! scripted providers at the other end. One binary; a module per topic.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod admin;
mod admin_access;
mod admin_documents;
mod admin_legacy;
mod admin_requests;
mod admin_resources;
mod admin_system;
mod authentication;
mod billing;
mod billing_api;
mod cancelling;
mod corridor;
mod counting;
mod destinations;
mod dialects;
mod dropped;
mod environments;
mod failover;
mod failover_streams;
mod fetching;
mod guarding;
mod input;
mod journal;
mod keys;
mod limits;
mod limits_budget;
mod limits_restart;
mod limits_targets;
mod listener;
mod messages;
mod people;
mod people_roles;
mod people_sessions;
mod prices;
mod proofs;
mod property;
mod provider_failures;
mod rate_limits;
mod refusals;
mod revoking;
mod routing;
mod scopes;
mod simulation;
mod stream_forms;
mod stream_times;
mod translated_ends;
mod translated_forms;
mod translated_streams;
