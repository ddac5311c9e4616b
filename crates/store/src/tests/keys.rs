//! The master key and API keys.

use super::*;

fn control() -> (Directory, Control, MasterKey) {
    let dir = Directory::new();
    let control = Control::open(&dir).unwrap();
    let master = MasterKey::load_or_create(&dir, None).unwrap();
    (dir, control, master)
}

#[test]
fn the_master_key_is_made_once_and_private() {
    let dir = Directory::new();
    let made = MasterKey::load_or_create(&dir, None).unwrap();
    let loaded = MasterKey::load_or_create(&dir, None).unwrap();
    assert_eq!(made.key_hash("x"), loaded.key_hash("x"));
    assert_ne!(made.key_hash("x"), made.key_hash("y"));
    assert_eq!(fs::metadata(dir.join("master.key")).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_to_string(dir.join("master.key")).unwrap().trim_end().len(), 64);
    assert_eq!(fs::read_dir(&*dir).unwrap().count(), 1);
}

#[test]
fn the_environment_overrides_the_file() {
    let dir = Directory::new();
    let file = MasterKey::load_or_create(&dir, None).unwrap();
    let given = MasterKey::load_or_create(&dir, Some(&"0f".repeat(32))).unwrap();
    assert_ne!(file.key_hash("x"), given.key_hash("x"));
    assert_eq!(format!("{given:?}"), "[master key]");
}

#[test]
fn malformed_master_keys_are_refused() {
    let dir = Directory::new();
    for value in ["", "00", &"0g".repeat(32), &format!(" {}", "0f".repeat(32))] {
        let error = MasterKey::load_or_create(&dir, Some(value)).unwrap_err();
        assert!(matches!(error, SealError::MalformedValue), "{value:?}: {error}");
    }
    for text in ["", "\n", "00"] {
        fs::write(dir.join("master.key"), text).unwrap();
        let error = MasterKey::load_or_create(&dir, None).unwrap_err();
        assert!(matches!(error, SealError::MalformedFile), "{text:?}: {error}");
    }
}

#[test]
fn secrets_look_like_secrets() {
    let secret = generate_secret().unwrap();
    let hex = secret.expose().strip_prefix("sk-cw-").unwrap();
    assert_eq!(hex.len(), 64);
    assert!(hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)));
    assert_ne!(generate_secret().unwrap(), secret);
}

#[test]
fn a_key_is_created_listed_and_compiled() {
    let (_dir, control, master) = control();
    let spec = KeySpec { models: vec!["GPT-4o".into()], expires_at: Some(Timestamp(5)), ..KeySpec::default() };
    let (row, secret) = control.create_key("default", "ci", spec, &master, NOW_MS).unwrap();
    assert_eq!(row.prefix, secret.expose()[..10]);
    assert_eq!(control.list_keys(Some("default")).unwrap(), std::slice::from_ref(&row));
    assert_eq!(control.list_keys(None).unwrap().len(), 1);
    assert_eq!(control.list_keys(Some("other")).unwrap(), []);
    let compiled = control.all_keys_compiled().unwrap();
    let (hash, key) = compiled.first().unwrap();
    assert_eq!(*hash, master.key_hash(secret.expose()));
    assert_eq!((key.id, key.status, key.expires_unix_ms), (Some(row.id), KeyStatus::Active, Some(5_000)));
    assert_eq!(key.models, [Box::from("gpt-4o")]);
}

#[test]
fn names_are_checked() {
    let (_dir, control, master) = control();
    let create = |environment, name: &str| control.create_key(environment, name, KeySpec::default(), &master, 1);
    create("default", "ci").unwrap();
    create("other", "ci").unwrap();
    create("default", &"ä".repeat(128)).unwrap();
    assert!(matches!(create("default", "ci").unwrap_err(), StoreError::NameTaken { .. }));
    for name in ["", "a\nb", &"a".repeat(129)] {
        assert!(matches!(create("default", name).unwrap_err(), StoreError::InvalidName), "{name:?}");
    }
}

#[test]
fn revoking_is_idempotent_and_finds_name_id_and_prefix() {
    let (_dir, control, master) = control();
    for (name, by) in [("a", 0), ("b", 1), ("c", 2)] {
        let (row, _) = control.create_key("default", name, KeySpec::default(), &master, 1).unwrap();
        let given = [row.name.clone(), row.id.to_string(), row.prefix.clone()][by].clone();
        let revoked = control.revoke_key("default", &given, 7).unwrap();
        assert_eq!((revoked.id, revoked.revoked_at_ms, revoked.version), (row.id, Some(7), 2));
        assert_eq!(control.revoke_key("default", &given, 9).unwrap(), revoked);
    }
    let compiled = control.all_keys_compiled().unwrap();
    assert!(compiled.iter().all(|(_, key)| key.status == KeyStatus::Revoked) && compiled.len() == 3);
    let unknown = control.revoke_key("other", "a", 1).unwrap_err();
    assert!(matches!(unknown, StoreError::UnknownKey { .. }), "{unknown}");
}

#[test]
fn a_change_by_another_connection_is_seen() {
    let (dir, watcher, master) = control();
    let before = watcher.change_counter().unwrap();
    assert_eq!(watcher.change_counter().unwrap(), before);
    Control::open(&dir).unwrap().create_key("default", "ci", KeySpec::default(), &master, 1).unwrap();
    assert_ne!(watcher.change_counter().unwrap(), before);
}

#[test]
fn a_spec_with_an_unknown_field_is_refused() {
    assert!(serde_json::from_str::<KeySpec>(r#"{"modells":[]}"#).is_err());
    assert_eq!(serde_json::from_str::<KeySpec>("{}").unwrap(), KeySpec::default());
}
