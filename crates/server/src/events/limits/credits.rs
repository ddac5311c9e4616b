//! Prepaid credits that become few, or none. What requests in flight hold is not spent yet.

use std::sync::Arc;

use ir::money::{NanoUsd, SignedNanos};
use policy::limit::credits::BASE;
use policy::notify::{CREDITS_EXHAUSTED, CREDITS_LOW};
use serde_json::{Value, json};
use settle::events::source::Asked;
use settle::events::{Audience, Happened};

use super::{Limits, SUBJECT, Seen};

impl Limits {
    /// Credits are used up when none are left, or somebody was refused for want of them. They are few when no more are
    /// left than an amount of the environment's. Neither is so any more when more are left than then.
    pub(super) fn look_at_credits(
        &mut self,
        seen: &Seen<'_>,
        low: &[NanoUsd],
        audience: &Audience,
        asked: &mut Asked<'_>,
    ) {
        let (spent, environment) = (seen.spent.amount, &seen.id.environment);
        let left = i128::from(BASE) - i128::from(spent);
        let subject = format!("{SUBJECT}{environment}\ncredits");
        let before = self.raised_at(&subject);
        match before {
            Some(then) if spent < then => self.calm(subject, asked),
            None if spent >= BASE || seen.refused.is_some() => {
                let more = json!({ "refused": spent < BASE });
                self.tell(seen, CREDITS_EXHAUSTED, more, subject, audience, asked);
            }
            _ => {}
        }
        for &NanoUsd(amount) in low {
            let subject = format!("{SUBJECT}{environment}\ncredits low\n{amount}");
            let few = left <= i128::from(amount);
            match self.raised_at(&subject) {
                Some(_) if !few => self.calm(subject, asked),
                // That none are left is told already.
                None if few && left > 0 => {
                    let more = json!({ "threshold_usd": NanoUsd(amount).to_string() });
                    self.tell(seen, CREDITS_LOW, more, subject, audience, asked);
                }
                _ => {}
            }
        }
    }

    fn raised_at(&self, subject: &str) -> Option<u64> {
        self.raised.as_ref().and_then(|raised| raised.get(subject)).map(|(then, _)| *then)
    }

    fn calm(&mut self, subject: String, asked: &mut Asked<'_>) {
        asked.batch.calm.push(subject.clone());
        self.fresh.push((subject, None));
    }

    fn tell(
        &mut self,
        seen: &Seen<'_>,
        kind: &'static str,
        more: Value,
        subject: String,
        audience: &Audience,
        asked: &mut Asked<'_>,
    ) {
        let (spent, environment) = (seen.spent.amount, &seen.id.environment);
        let left = i128::from(BASE) - i128::from(spent);
        let balance = SignedNanos(i64::try_from(left).unwrap_or_default()).to_string();
        let mut data = serde_json::Map::new();
        data.insert("environment".to_owned(), Value::from(&**environment));
        data.insert("balance_usd".to_owned(), Value::from(balance));
        if let Value::Object(more) = more {
            data.extend(more);
        }
        let happened = Happened::new(Arc::clone(environment), kind, asked.now_ms, data);
        if let Some(event) = happened.addressed(audience) {
            asked.batch.events.push(event);
            asked.batch.raised.push((subject.clone(), spent));
            self.fresh.push((subject, Some((spent, asked.now_ms))));
        }
    }
}
