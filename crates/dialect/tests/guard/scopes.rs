//! Rules of an environment, a team and a key together: streamed and whole answers are judged alike, as if one guardrail
//! said it all, and so is what guardrails see that only observe.

use std::sync::{Arc, Mutex};

use dialect::guard::{anthropic, openai_chat};
use ir::guard::{Blocked, Reason, Subject};
use policy::guard::Guards;
use policy::guard::observe::{Finding, Observer, Watched};
use policy::guard::reply::ReplyWatch;
use policy::guard::scope::{Bound, Scoped};
use proptest::prelude::*;
use serde_json::Value;

use crate::case::{Case, Expect, case};
use crate::property::{
    chat_reply, chat_stream, messages_reply, messages_stream, read_chat_stream, read_messages_stream, reply_body,
};
use crate::rules::{Rules, run_pieces};

/// What was seen, by guardrail.
#[derive(Debug, Default)]
struct Seen(Mutex<Vec<(String, Finding)>>);

impl Observer for Seen {
    fn saw(&self, guard: &Arc<str>, subject: Subject, finding: Finding) {
        assert_eq!(subject, Subject::Reply);
        self.0.lock().unwrap().push((guard.to_string(), finding));
    }
}

impl Seen {
    fn sorted(&self) -> Vec<(String, Finding)> {
        let mut seen = self.0.lock().unwrap().clone();
        seen.sort_by_key(|(guard, finding)| (guard.clone(), finding.action()));
        seen
    }
}

fn bound(guard: &str, rules: &Rules, observes: bool) -> Bound {
    let rules = Arc::new(rules.of(guard));
    let guards = if observes {
        Guards { observed_replies: vec![Watched { guard: Arc::from(guard), rules }], ..Guards::default() }
    } else {
        Guards { replies: Some(rules), ..Guards::default() }
    };
    Bound { guards, prompt: None }
}

/// The rules of everybody, of a team and of a key, each enforced or not.
type Three = [(Rules, bool); 3];

fn scoped(three: &Three) -> (Bound, Scoped) {
    let [everybody, team, key] = three;
    let everybody = bound("everybody", &everybody.0, everybody.1);
    let teams = [(Arc::from("t"), bound("team", &team.0, team.1))];
    let keys = [(Arc::from("k"), bound("key", &key.0, key.1))];
    let scoped = Scoped::new(&everybody, teams, keys);
    (everybody, scoped)
}

/// What all enforced rules say together, disclaimers aside.
fn together(three: &Three) -> Rules {
    let mut all = Rules::default();
    for (rules, _) in three.iter().filter(|(_, observes)| !observes) {
        all.phrases.extend(rules.phrases.iter().cloned());
        all.least = all.least.max(rules.least);
        all.most = [all.most, rules.most].into_iter().flatten().min();
    }
    all
}

fn three() -> impl Strategy<Value = Three> {
    let rules = || (case(1).prop_map(|case| case.rules), prop::bool::weighted(0.3));
    [rules(), rules(), rules()]
}

/// Runs an answer through a watch, streamed and whole; returns of each why it was blocked, else its text.
type Ways = [(Result<String, Reason>, Vec<(String, Finding)>); 4];

fn ways(case: &Case, guards: &Guards) -> Ways {
    let watch = |seen: &Arc<Seen>| {
        let observer = Arc::clone(seen);
        guards.watch_reply(|| observer).unwrap_or_else(|| ReplyWatch::new(&Arc::default()))
    };
    let run = |way: &dyn Fn(ReplyWatch) -> Result<String, Reason>| {
        let seen = Arc::new(Seen::default());
        (way(watch(&seen)), seen.sorted())
    };
    let whole = |body: Result<bytes::Bytes, Blocked>, read: &dyn Fn(&Value) -> String| match body {
        Ok(body) => Ok(read(&serde_json::from_slice(&body).unwrap())),
        Err(blocked) => Err(blocked.reason),
    };
    [
        run(&|watch| {
            let input = chat_stream(case);
            let ran = run_pieces(openai_chat::stream::ChatGate::new(watch), input.as_bytes().chunks(case.read));
            ran.blocked.map_or_else(|| Ok(read_chat_stream(case, &ran.out).remove(0).0), Err)
        }),
        run(&|watch| {
            let read = |body: &Value| body["choices"][0]["message"]["content"].as_str().unwrap().to_owned();
            whole(openai_chat::reply::judge(reply_body(&chat_reply(case)), &watch), &read)
        }),
        run(&|watch| {
            let input = messages_stream(case);
            let ran = run_pieces(anthropic::stream::MessagesGate::new(watch), input.as_bytes().chunks(case.read));
            ran.blocked.map_or_else(|| Ok(read_messages_stream(&ran.out).remove(0).0), Err)
        }),
        run(&|watch| {
            let read = |body: &Value| {
                let blocks = body["content"].as_array().unwrap().iter();
                blocks.filter_map(|block| block["text"].as_str()).collect()
            };
            whole(anthropic::reply::judge(reply_body(&messages_reply(case)), &watch), &read)
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn all_that_binds_applies(case in case(1), three in three()) {
        let (_, scoped) = scoped(&three);
        let found = scoped.find(Some("t"), "k").unwrap();
        let [first, rest @ ..] = ways(&case, &found.guards);
        for other in &rest {
            prop_assert_eq!(&first, other);
        }
        match case.choices[0].expect(&together(&three)) {
            Expect::Blocked { .. } => prop_assert!(first.0.is_err()),
            Expect::Passes { text, .. } => {
                let shown = first.0.unwrap();
                prop_assert!(shown.starts_with(&text), "{shown:?} of {text:?}");
            }
        }
    }

    #[test]
    fn what_observes_changes_nothing(case in case(1), rules in case(1).prop_map(|case| case.rules)) {
        let quiet = ways(&case, &bound("g", &rules, true).guards);
        for (shown, _) in &quiet {
            prop_assert_eq!(shown, &Ok(case.choices[0].text()));
        }
        let enforced = ways(&case, &bound("g", &rules, false).guards);
        for ((shown, _), (_, seen)) in enforced.iter().zip(&quiet) {
            let acts = *shown != Ok(case.choices[0].text());
            prop_assert_eq!(acts, !seen.is_empty(), "{:?} and {:?}", shown, seen);
        }
    }

    #[test]
    fn who_is_not_meant_is_not_touched(case in case(1), three in three()) {
        let (everybody, scoped) = scoped(&three);
        prop_assert!(scoped.find(Some("other"), "x").is_none() && scoped.find(None, "x").is_none());
        // Only the team's, and only the key's.
        for (team, key, left_out) in [(Some("t"), "x", 2), (None, "k", 1), (Some("other"), "k", 1)] {
            let mut fewer = three.clone();
            fewer[left_out] = (Rules::default(), false);
            let found = scoped.find(team, key).unwrap();
            let expect = self::scoped(&fewer).1.find(Some("t"), "k").unwrap();
            prop_assert_eq!(ways(&case, &found.guards), ways(&case, &expect.guards));
        }
        let alone = Scoped::new(&everybody, [], []);
        prop_assert!(alone.find(Some("t"), "k").is_none());
    }
}
