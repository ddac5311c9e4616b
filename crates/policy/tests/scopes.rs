//! What binds whom: guardrails and prompts of an environment, its teams and its keys.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use ir::guard::Watch;
use policy::guard::reply::ReplyWatch;
use policy::guard::scope::Bound;
use policy::load::load_text;
use policy::snapshot::Environment;

const CONFIG: &str = r#"
[providers.openai]
api_key = "k"

[guardrails.b-everybody]
banned_phrases = ["plain"]
max_length = 100
apply_to = ["request", "reply"]
require_disclaimer = true
disclaimer = "All."

[guardrails.team]
banned_phrases = ["tea"]
max_length = 50
min_length = 2
teams = ["research", "legal"]
require_disclaimer = true
disclaimer = "Team."

[guardrails.a-key]
banned_phrases = ["key", "plain"]
max_length = 70
min_length = 3
keys = ["app"]
apply_to = ["request", "reply"]

[guardrails.watcher]
banned_phrases = ["seen"]
mode = "observe"
teams = ["legal"]

[guardrails.off]
banned_phrases = ["off"]
keys = ["app"]
enabled = false

[prompts.z-everybody]
text = "Everybody."

[prompts.b-team]
text = "Team b."
teams = ["research"]

[prompts.a-team]
text = "Team a."
teams = ["research"]

[prompts.a-key]
text = "Key."
keys = ["app"]
"#;

fn environment() -> Environment {
    load_text("crossway.toml", CONFIG, &|_| None, false).unwrap().snapshot.environment
}

/// Returns the prompt, and of the rules for replies: the limits and their guardrails, and what is said of some texts.
fn check(team: Option<&str>, key: &str, prompt: &str, lengths: [Option<(u64, &str)>; 2], said: &[(&str, &str)]) {
    let environment = environment();
    let found = environment.scoped.find(team, key);
    let bound: &Bound = found.as_deref().unwrap_or(&environment.bound);
    assert_eq!(bound.prompt.as_deref(), Some(prompt), "{team:?} {key}");
    let rules = bound.guards.replies.as_ref().unwrap();
    let limits = [&rules.lengths.least, &rules.lengths.most];
    let limits = limits.map(|limit| limit.as_ref().map(|limit| (limit.characters, &*limit.guard)));
    assert_eq!(limits, lengths, "{team:?} {key}");
    for (text, expect) in said {
        let mut watch = ReplyWatch::new(rules);
        let found = watch.push(text).and_then(|_| watch.end());
        let found = found.map_or_else(|blocked| format!("blocked by {}", blocked.guard), Option::unwrap_or_default);
        assert_eq!(found, *expect, "{team:?} {key} {text:?}");
    }
}

#[test]
fn what_is_for_everybody_binds_everybody() {
    let said = [("plain", "blocked by b-everybody"), ("tea, key", "\n\nAll."), ("seen", "\n\nAll.")];
    for (team, key) in [(None, "other"), (Some("sales"), "other"), (None, "research"), (Some("app"), "legal")] {
        check(team, key, "Everybody.", [None, Some((100, "b-everybody"))], &said);
    }
    assert!(environment().scoped.find(Some("sales"), "other").is_none());
}

#[test]
fn what_is_for_a_team_comes_on_top() {
    let lengths = [Some((2, "team")), Some((50, "team"))];
    let said = [
        ("plain", "blocked by b-everybody"),
        ("TEA", "blocked by team"),
        ("x", "blocked by team"),
        ("key, off, seen", "\n\nAll.\n\nTeam."),
    ];
    check(Some("research"), "other", "Everybody.\n\nTeam a.\n\nTeam b.", lengths, &said);
    check(Some("legal"), "other", "Everybody.", lengths, &said);
}

#[test]
fn what_is_for_a_key_comes_on_top() {
    let lengths = [Some((3, "a-key")), Some((70, "a-key"))];
    // Both ban it: what is for everybody comes first.
    let said = [("plain", "blocked by b-everybody"), ("a key", "blocked by a-key"), ("tea, off", "\n\nAll.")];
    check(None, "app", "Everybody.\n\nKey.", lengths, &said);
    check(Some("sales"), "app", "Everybody.\n\nKey.", lengths, &said);
}

#[test]
fn a_key_of_a_team_has_everything() {
    let lengths = [Some((3, "a-key")), Some((50, "team"))];
    let said = [
        ("a key for tea", "blocked by a-key"),
        ("tea with a key", "blocked by team"),
        ("xx", "blocked by a-key"),
        ("fine", "\n\nAll.\n\nTeam."),
    ];
    check(Some("research"), "app", "Everybody.\n\nTeam a.\n\nTeam b.\n\nKey.", lengths, &said);
}

#[test]
fn requests_have_scopes_too() {
    let environment = environment();
    let blocked = |team: Option<&str>, key: &str, text: &str| {
        let found = environment.scoped.find(team, key);
        let bound = found.as_deref().unwrap_or(&environment.bound);
        let mut watch = bound.guards.requests.as_ref().unwrap().watch();
        watch.push(text, true, true).err().map(|blocked| blocked.guard.to_string())
    };
    assert_eq!(blocked(None, "app", "my key"), Some("a-key".to_owned()));
    assert_eq!(blocked(None, "other", "my key"), None);
    assert_eq!(blocked(Some("research"), "app", "my key"), Some("a-key".to_owned()));
    assert_eq!(blocked(Some("research"), "app", "tea"), None, "the team's are for replies");
}

#[test]
fn what_observes_is_apart() {
    let environment = environment();
    let names = |team: Option<&str>, key: &str| -> Vec<String> {
        let found = environment.scoped.find(team, key);
        let bound = found.as_deref().unwrap_or(&environment.bound);
        assert!(bound.guards.observed_requests.is_empty());
        bound.guards.observed_replies.iter().map(|watched| watched.guard.to_string()).collect()
    };
    assert_eq!(names(Some("legal"), "app"), ["watcher"]);
    assert_eq!(names(Some("legal"), "other"), ["watcher"]);
    assert_eq!(names(Some("research"), "app"), [""; 0]);
}
