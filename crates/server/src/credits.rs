//! The credits of a running gateway: counters that requests are held against, kept in step with the ledger.
//!
//! At the start every counter is told the balance of the ledger. From then on, requests change the counters themselves,
//! and what they are charged reaches the ledger with their records. Every other change is a transfer that somebody posted,
//! this process or another on the same data directory: each is read from the ledger, in the order of posting, and counted
//! once. So a top-up has one way into effect, whoever makes it, and it is on the disk before it counts.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use control::actor::Actor;
use control::plane::Plane;
use control::plane::audit::Act;
use control::refusal::Refusal;
use engine::gateway::Gateway;
use ir::money::SignedNanos;
use serde_json::json;
use store::StoreError;
use store::records::ledger::credit::{Credit, Ledger, NewCredit, PostError, Posted};
use store::records::ledger::{Account, Postings};
use store::records::read::RecordsReader;

/// What keeps counters and ledger in step.
pub struct Credits {
    gateway: Arc<Gateway>,
    data_dir: PathBuf,
    follower: Mutex<Follower>,
}

struct Follower {
    reader: RecordsReader,
    /// The number of the last transfer that was counted.
    number: i64,
}

/// How an account stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Balance {
    /// What was posted to each account of the ledger.
    pub accounts: Postings,
    /// What requests may still be charged.
    pub available: SignedNanos,
    /// What requests in flight hold, and what was charged a moment ago and is not posted yet.
    pub held: SignedNanos,
}

impl Balance {
    /// Returns the balance of the credits: what is held and what is available.
    pub fn credits(&self) -> SignedNanos {
        SignedNanos(self.accounts.of(Account::Credits))
    }
}

impl Credits {
    /// Tells the counters what the ledger says. It is done once, when the journal is recovered into the records, and
    /// nothing was asked yet.
    ///
    /// # Errors
    /// When the ledger cannot be read: then nobody knows what an account has.
    pub fn restore(gateway: &Arc<Gateway>, data_dir: &Path) -> Result<Self, StoreError> {
        let reader = RecordsReader::open(data_dir)?;
        let standing = reader.ledger_standing()?;
        for (environment, accounts) in &standing.accounts {
            gateway.book.credits(&environment.as_str().into()).credit(accounts.of(Account::Credits));
        }
        let follower = Mutex::new(Follower { reader, number: standing.number });
        Ok(Self { gateway: Arc::clone(gateway), data_dir: data_dir.to_owned(), follower })
    }

    /// Counts the transfers that were posted since the last time. Returns how many.
    ///
    /// # Errors
    /// When the ledger cannot be read: the next call tries again.
    pub fn catch_up(&self) -> Result<usize, StoreError> {
        let mut follower = self.follower();
        let posted = follower.reader.credits_after(follower.number)?;
        for credit in &posted {
            let environment = credit.given.environment.as_str().into();
            self.gateway.book.credits(&environment).credit(credit.given.credits.0);
            follower.number = credit.number;
        }
        Ok(posted.len())
    }

    /// Catches up where usage is charged; elsewhere it does nothing.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn poll(&self) -> Result<(), StoreError> {
        let state = self.gateway.state();
        let charges = |configuration: &Arc<engine::state::Configuration>| {
            configuration.snapshot.environment.billing.charges().is_some()
        };
        if state.environments.values().any(charges) {
            self.catch_up()?;
        }
        Ok(())
    }

    /// Posts a transfer and puts it into effect. It waits for the disk.
    ///
    /// # Errors
    /// As [`Ledger::post`].
    pub fn post(&self, new: &NewCredit) -> Result<Posted, PostError> {
        let posted = Ledger::open(&self.data_dir)?.post(new, self.gateway.clock.unix_ms())?;
        self.catch_up()?;
        Ok(posted)
    }

    /// Returns how the account of an environment stands.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn balance(&self, environment: &str) -> Result<Balance, StoreError> {
        // With the lock, nothing is posted and not counted.
        self.catch_up()?;
        let follower = self.follower();
        let accounts = follower.reader.ledger_accounts(environment)?;
        let available = self.gateway.book.credits(&environment.into()).available();
        let held = accounts.of(Account::Credits).saturating_sub(available).max(0);
        Ok(Balance { accounts, available: SignedNanos(available), held: SignedNanos(held) })
    }

    /// A thread that panicked has counted whole transfers.
    fn follower(&self) -> MutexGuard<'_, Follower> {
        self.follower.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes into the audit log that a transfer was posted.
///
/// # Errors
/// When the control database cannot be used. The transfer stands, and says itself who posted it.
pub fn audit(plane: &Plane, actor: &Actor, credit: &Credit, balance: SignedNanos) -> Result<(), Refusal> {
    let given = &credit.given;
    let after = json!({
        "id": credit.id.to_string(),
        "kind": given.kind.name(),
        "amount_usd": given.credits.to_string(),
        "reference": given.reference,
        "note": given.note,
        "balance_usd": balance.to_string(),
    });
    let (environment, name) = (given.environment.as_str(), given.reference.as_str());
    let act = Act { action: "post_credits", kind: "credits", environment, name, after: Some(after), ..Act::default() };
    plane.record(actor, &act)
}
