//! The settlement guard: from the gate on every request has one, and it writes exactly one settlement.
//!
//! Whoever ends a request calls [`Ticket::settle`]. When nobody does (the caller went away, the task was dropped, a
//! stage panicked), dropping the ticket settles what is known. It cannot fail: the journal's permit was taken at the
//! gate.

use std::sync::Arc;

use dialect::lane::Surface;
use dialect::meta::Account;
use ir::failure::{Code, Failure};
use ir::id::RequestId;
use ir::money::{Margin, NanoUsd, Prices, ServiceTier};
use ir::settlement::{AttemptRecord, Outcome, Settlement, Subject};
use ir::usage::most::Most;
use ir::usage::{Usage, UsageOrigin};
use policy::clock::{Clock, Monotonic};
use policy::limit::bind::Bindings;
use policy::limit::reservation::{Binding, Bound};
use policy::snapshot::Model;
use settle::journal::batch::Due;
use settle::journal::permit::Permit;

use self::limited::Cover;
use self::second::Second;
use crate::gateway::Gateway;
use crate::limits::Demand;
use crate::refusal::Refusal;
use crate::reservation::Reservation;

/// The status that a settlement shows for a caller who left before there was one (nginx's convention).
pub const CLIENT_CLOSED_REQUEST: u16 = 499;

mod closing;
mod intent;
mod limited;
mod second;

/// The one settlement of an admitted request, until it is written.
pub struct Ticket {
    /// `None` once it is written.
    open: Option<Box<Open>>,
    /// What binds the request.
    limits: Option<Arc<Bindings>>,
    /// What binds it at the target that is asked, beside that.
    target: Binding,
    /// The limit of a target that let it pass over to the next, if no target followed.
    refused: Option<Box<Bound>>,
}

struct Open {
    gateway: Arc<Gateway>,
    permit: Permit,
    reservation: Reservation,
    surface: Surface,
    arrived: Monotonic,
    settlement: Settlement,
    prices: Option<Arc<Prices>>,
    baseline: Option<Arc<Prices>>,
    /// The service tier that was asked for.
    service_tier: ServiceTier,
    /// What is charged on top of the cost; `None` where usage is not charged.
    margin: Option<Margin>,
    /// The estimate of the input tokens.
    input_tokens: u64,
    /// The most that a report of the target at hand can be believed to say.
    most: Most,
    /// Whether the target at hand is asked with a credential of the caller's own: then nothing is charged.
    brought: bool,
    /// Whether a target was asked, and has not failed.
    dispatched: bool,
    /// Whether any target was asked: then the request counts.
    asked: bool,
    /// Whether the target at hand was asked.
    asking: bool,
    /// How much output is covered.
    cover: Cover,
    /// The target that was asked as well, because the first was late.
    second: Option<Box<Second>>,
}

/// How a request ended, as whoever ends it knows it.
#[derive(Debug, Default)]
pub struct Ending {
    /// The status that the caller sees.
    pub status: u16,
    /// The error's code and what the log is told.
    pub error: Option<(Code, Option<String>)>,
    /// What the provider reported.
    pub usage: Option<Usage>,
    /// Whether more was said than that report can know of.
    pub partial: bool,
    /// The service tier that the provider says it answered in.
    pub service_tier: Option<ServiceTier>,
    /// What was reported of the input alone, before a stream broke off.
    pub begun: Option<Usage>,
    /// The bytes of content, for the estimate when nothing was reported.
    pub content_bytes: u64,
    /// The provider's id of the completion.
    pub upstream_id: Option<String>,
    /// The finish reason.
    pub finish_reason: Option<String>,
}

impl Ticket {
    /// Opens the account of a request that passes the gate.
    pub fn open(
        gateway: &Arc<Gateway>,
        permit: Permit,
        surface: Surface,
        subject: Subject,
        arrived: Monotonic,
    ) -> Self {
        let settlement = Settlement {
            subject,
            outcome: Outcome::Cancelled,
            status: CLIENT_CLOSED_REQUEST,
            error_code: None,
            error_detail: None,
            model: None,
            provider: None,
            upstream_id: None,
            finish_reason: None,
            usage: Usage::default(),
            usage_origin: UsageOrigin::None,
            cost: None,
            baseline: None,
            baseline_cost: None,
            latency_us: 0,
            first_content_us: None,
            attempts: Vec::new(),
            charge: None,
            parties: Vec::new(),
            held: None,
            asked: 0,
        };
        let open = Open {
            reservation: Reservation::take(&gateway.held),
            gateway: Arc::clone(gateway),
            permit,
            surface,
            arrived,
            settlement,
            prices: None,
            baseline: None,
            service_tier: ServiceTier::Standard,
            margin: None,
            input_tokens: 0,
            most: Most::default(),
            brought: false,
            dispatched: false,
            asked: false,
            asking: false,
            cover: Cover::default(),
            second: None,
        };
        Self { open: Some(Box::new(open)), limits: None, target: Binding::default(), refused: None }
    }

    /// Returns the request's id.
    pub fn id(&self) -> RequestId {
        self.open.as_ref().map_or(RequestId([0; 16]), |open| open.settlement.subject.id)
    }

    fn clock(&self) -> Option<Clock> {
        self.open.as_ref().map(|open| open.gateway.clock.clone())
    }

    /// Returns how many targets were tried.
    pub fn attempts(&self) -> usize {
        self.open.as_ref().map_or(0, |open| open.settlement.attempts.len())
    }

    /// Returns what the request holds of limits and budgets.
    pub fn reservation(&mut self) -> Option<&mut Reservation> {
        self.open.as_mut().map(|open| &mut open.reservation)
    }

    /// Notes the model that savings are measured against.
    pub fn measure_against(&mut self, baseline: Option<&(Arc<str>, Arc<Prices>)>) {
        if let (Some(open), Some((slug, prices))) = (&mut self.open, baseline) {
            open.settlement.baseline = Some(Arc::clone(slug));
            open.baseline = Some(Arc::clone(prices));
        }
    }

    /// Notes that usage is charged, with a margin: the settlement says how much.
    pub fn charge(&mut self, margin: Option<Margin>) {
        if let Some(open) = &mut self.open {
            open.margin = margin;
        }
    }

    /// Notes the service tier that the caller asks for.
    pub fn serve_as(&mut self, tier: ServiceTier) {
        if let Some(open) = &mut self.open {
            open.service_tier = tier;
        }
    }

    /// Notes whether the target that comes is asked with a credential of the caller's own.
    pub fn bring(&mut self, own: bool) {
        if let Some(open) = &mut self.open {
            open.brought = own;
        }
    }

    /// Notes the target that is asked now.
    pub fn asking(&mut self, demand: &Demand, model: &Model, provider: &Arc<str>) {
        self.knock();
        if let Some(open) = &mut self.open {
            open.dispatched = true;
            open.most = demand.most(model);
            open.prices.clone_from(&model.prices);
            open.settlement.model = Some(Arc::clone(&model.slug));
            open.settlement.provider = Some(Arc::clone(provider));
        }
    }

    /// Notes a try. One that failed leaves no target that answers.
    pub fn tried(&mut self, attempt: AttemptRecord) {
        if let Some(open) = &mut self.open {
            if attempt.error.is_some() {
                open.dispatched = false;
                open.settlement.model = None;
                open.settlement.provider = None;
            }
            let asked = open.asking;
            open.note(attempt, asked);
        }
    }

    /// Notes a try that the caller did not wait for: its target goes on, and is paid for as if the caller had left.
    pub fn left(&mut self, attempt: AttemptRecord) {
        if let Some(open) = &mut self.open {
            let asked = open.asking;
            open.note(attempt, asked);
        }
    }

    /// Whether the target at hand reports more than was allowed, or nothing: then it matters how much it has said.
    pub fn doubts(&self, report: &Usage) -> bool {
        report.is_nothing() || self.open.as_ref().is_some_and(|open| open.most.believe(report, 0).1.is_some())
    }

    /// Notes when the answer's first content was there.
    pub fn first_content(&mut self, at: Monotonic) {
        if let Some(open) = &mut self.open {
            open.settlement.first_content_us = Some(at.micros_since(open.arrived));
        }
    }

    /// Writes the settlement and returns what the meta block says of it. A second call changes nothing.
    pub fn settle(&mut self, outcome: Outcome, ending: Ending) -> Account {
        self.settle_with(outcome, ending).0
    }

    /// Puts the settlement into the journal's next write, which the last byte of the reply waits for. Dropping what it
    /// returns writes it.
    pub fn settle_with(&mut self, outcome: Outcome, ending: Ending) -> (Account, Option<Due>) {
        match self.open.take() {
            Some(open) => {
                let (account, due) = open.settle(outcome, ending);
                (account, Some(due))
            }
            None => (Account { latency_us: 0, cost: None, baseline_cost: None, attempts: 0, cache: "bypass" }, None),
        }
    }

    /// Settles a request whose answer is there and may not be seen.
    pub fn block(&mut self, failure: Failure, ending: Ending) -> Refusal {
        let refusal = Refusal { attempts: self.attempts(), admitted: true, ..Refusal::early(self.id(), failure) };
        let failure = &refusal.failure;
        let detail = failure.detail.clone().unwrap_or_else(|| failure.message.clone());
        let error = Some((failure.code, Some(detail)));
        let clock = self.clock();
        self.settle(Outcome::Refused, Ending { status: failure.status, error, ..ending });
        Refusal { standing: clock.and_then(|clock| self.standing(&clock)).map(Box::new), ..refusal }
    }

    /// Settles a request that gets no answer.
    pub fn refuse(mut self, failure: Failure) -> Refusal {
        let outcome = match (failure.code, self.attempts()) {
            (Code::RevokedApiKey, _) => Outcome::Revoked,
            (_, 0) => Outcome::Refused,
            _ => Outcome::Failed,
        };
        let refusal = Refusal { attempts: self.attempts(), admitted: true, ..Refusal::early(self.id(), failure) };
        let detail = refusal.failure.detail.clone().unwrap_or_else(|| refusal.failure.message.clone());
        let status = self.open.as_ref().map(|open| open.surface.status(&refusal.failure));
        let ending = Ending {
            status: status.unwrap_or(refusal.failure.status),
            error: Some((refusal.failure.code, Some(detail))),
            ..Ending::default()
        };
        let clock = self.clock();
        self.settle(outcome, ending);
        Refusal { standing: clock.and_then(|clock| self.standing(&clock)).map(Box::new), ..refusal }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some(open) = self.open.take() {
            if std::thread::panicking() {
                let error = Some((Code::InternalError, Some("a stage panicked".to_owned())));
                drop(open.settle(Outcome::Failed, Ending { status: 500, error, ..Ending::default() }));
            } else {
                drop(open.settle(Outcome::Cancelled, Ending { status: CLIENT_CLOSED_REQUEST, ..Ending::default() }));
            }
        }
    }
}

impl Open {
    /// Notes a try, and whether its target was asked.
    fn note(&mut self, attempt: AttemptRecord, asked: bool) {
        let bit = u32::try_from(self.settlement.attempts.len()).unwrap_or(u32::MAX);
        self.settlement.asked |= u64::from(asked).checked_shl(bit).unwrap_or(0);
        self.settlement.attempts.push(attempt);
    }

    /// Returns what is charged for a cost, before the margin.
    fn charged(&self, cost: NanoUsd) -> NanoUsd {
        if self.brought { NanoUsd(0) } else { cost }
    }
}
