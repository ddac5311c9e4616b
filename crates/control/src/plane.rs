//! The control plane's one door: five verbs over every kind, and the few acts that are more than a verb.

use std::time::Duration;

use store::StoreError;

use crate::actor::Actor;
use crate::refusal::Refusal;
use crate::resource::{Created, Draft, Expect, ListQuery, Page, Resource, Spec};

/// The control plane. Its calls block on the database: they run on a thread that may.
pub struct Plane {}

impl Plane {
    /// Returns a page of the resources of a kind that the actor may see, oldest first. `environments` is a kind whose
    /// environment is empty.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] for an environment or a kind that does not exist, [`Refusal::BadParameter`] for a bad
    /// cursor, limit or filter.
    pub fn list(&self, _: &Actor, _environment: &str, _kind: &str, _: &ListQuery) -> Result<Page<Resource>, Refusal> {
        Err(Refusal::Unavailable(StoreError::BadCursor))
    }

    /// Returns a resource by its name, else by its id.
    ///
    /// # Errors
    /// [`Refusal::NotFound`], also for what the actor may not see.
    pub fn get(&self, _: &Actor, _environment: &str, _kind: &str, _name: &str) -> Result<Resource, Refusal> {
        Err(Refusal::Unavailable(StoreError::BadCursor))
    }

    /// Creates a resource.
    ///
    /// # Errors
    /// [`Refusal::Invalid`], [`Refusal::NameTaken`], [`Refusal::NotFound`] for the environment.
    pub fn create(&self, _: &Actor, _environment: &str, _kind: &str, _: Draft) -> Result<Created, Refusal> {
        Err(Refusal::Unavailable(StoreError::BadCursor))
    }

    /// Replaces a resource's spec. Secrets that are absent from it stay as they are.
    ///
    /// # Errors
    /// As [`Plane::create`], and [`Refusal::Stale`], [`Refusal::ReadOnly`], [`Refusal::NotFound`].
    pub fn replace(
        &self,
        _: &Actor,
        _environment: &str,
        _kind: &str,
        _name: &str,
        _: Spec,
        _: Expect,
    ) -> Result<Resource, Refusal> {
        Err(Refusal::Unavailable(StoreError::BadCursor))
    }

    /// Merges a patch into a resource's spec (RFC 7396): null clears a member.
    ///
    /// # Errors
    /// As [`Plane::replace`].
    pub fn merge(
        &self,
        _: &Actor,
        _environment: &str,
        _kind: &str,
        _name: &str,
        _patch: Spec,
        _: Expect,
    ) -> Result<Resource, Refusal> {
        Err(Refusal::Unavailable(StoreError::BadCursor))
    }

    /// Deletes a resource; what refers to it forbids that, or forgets it, as its kind's rules say.
    ///
    /// # Errors
    /// [`Refusal::InUse`], [`Refusal::Stale`], [`Refusal::ReadOnly`], [`Refusal::NotFound`].
    pub fn delete(&self, _: &Actor, _environment: &str, _kind: &str, _name: &str, _: Expect) -> Result<(), Refusal> {
        Err(Refusal::Unavailable(StoreError::BadCursor))
    }

    /// Gives a key a new secret. The old one works for the grace time; zero ends it at once.
    ///
    /// # Errors
    /// [`Refusal::Conflict`] for a revoked key, else as [`Plane::replace`].
    pub fn rotate_key(
        &self,
        _: &Actor,
        _environment: &str,
        _name: &str,
        _grace: Duration,
        _: Expect,
    ) -> Result<Created, Refusal> {
        Err(Refusal::Unavailable(StoreError::BadCursor))
    }

    /// Revokes a key for ever: the next request fails, and those in flight are cut off. Doing it again changes nothing.
    ///
    /// # Errors
    /// As [`Plane::replace`].
    pub fn revoke_key(&self, _: &Actor, _environment: &str, _name: &str, _: Expect) -> Result<Resource, Refusal> {
        Err(Refusal::Unavailable(StoreError::BadCursor))
    }
}
