//! The master key.

use policy::secret::Secret;

use super::*;

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

/// Acceptance AUTH-16: 256 bits from the system, in one form, and nothing about them repeats.
#[test]
fn ten_thousand_secrets_share_nothing() {
    let mut seen = std::collections::HashSet::new();
    let mut counts = [[0_u32; 16]; 64];
    for _ in 0..10_000 {
        let secret = generate_secret().unwrap();
        let random = secret.expose().strip_prefix("sk-cw-").unwrap().to_owned();
        assert!(random.len() == 64 && random.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)));
        for (place, digit) in random.chars().enumerate() {
            counts[place][digit.to_digit(16).unwrap() as usize] += 1;
        }
        assert!(seen.insert(random));
    }
    // 625 of each digit are expected in each place; 24 is one standard deviation.
    assert!(counts.iter().flatten().all(|count| (450..=800).contains(count)), "{counts:?}");
}

#[test]
fn what_is_sealed_opens_in_its_place_alone() {
    let dir = Directory::new();
    let master = MasterKey::load_or_create(&dir, None).unwrap();
    let other = MasterKey::load_or_create(&dir, Some(&"0f".repeat(32))).unwrap();
    for text in ["", "sk-canary", "sealed:v1:AAAA", "ünïcödé"] {
        let sealed = master.seal("here", &Secret::new(text)).unwrap();
        assert!(sealed.starts_with("sealed:v1:") && !sealed.contains("canary"));
        assert_ne!(master.seal("here", &Secret::new(text)).unwrap(), sealed);
        assert_eq!(master.open("here", &sealed).unwrap().expose(), text);
        assert!(matches!(master.open("there", &sealed), Err(SealError::Open)));
        assert!(matches!(other.open("here", &sealed), Err(SealError::Open)));
        let mut changed = sealed.clone();
        let last = if changed.pop() == Some('A') { 'Q' } else { 'A' };
        changed.push(last);
        assert!(matches!(master.open("here", &changed), Err(SealError::Open)), "{changed}");
    }
    for text in ["", "plain", "sealed:v1:", "sealed:v1:!", "sealed:v2:AAAA"] {
        assert!(matches!(master.open("here", text), Err(SealError::Open)), "{text}");
    }
}

#[test]
fn another_master_key_is_recognised() {
    let dir = Directory::new();
    let master = MasterKey::load_or_create(&dir, None).unwrap();
    let other = MasterKey::load_or_create(&dir, Some(&"0f".repeat(32))).unwrap();
    let value = master.check_value().unwrap();
    assert!(master.recognise(&value).is_ok());
    let error = other.recognise(&value).unwrap_err();
    assert!(error.to_string().starts_with("the master key is not the one"), "{error}");
}
