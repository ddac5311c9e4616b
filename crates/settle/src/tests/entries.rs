//! What an entry holds, and what a reader makes of a damaged one.

use super::*;
use crate::journal::entry::{BUFFER_BYTES, Entries, Entry, MAX_INTENT_BYTES, encode_intent, encode_settlement};

fn encoded(settlement: &mut Settlement) -> Vec<u8> {
    let mut buffer = vec![0; BUFFER_BYTES];
    let length = encode_settlement(settlement, &mut buffer).unwrap();
    buffer.truncate(length);
    buffer
}

#[test]
fn over_long_text_is_cut_to_fit() {
    let mut long = real_settlement(&intent());
    let text = "ä".repeat(40_000);
    long.error_detail = Some(text.clone());
    long.upstream_id = Some(text.clone());
    long.finish_reason = Some(text.clone());
    long.subject.requested_model = text.as_str().into();
    long.subject.key_name = "ü".repeat(128).into();
    long.error_code = Some(text.as_str().into());
    long.model = Some(text.as_str().into());
    long.provider = Some(text.as_str().into());
    long.baseline = Some(text.as_str().into());
    long.subject.environment = text.as_str().into();
    long.subject.surface = text.as_str().into();
    long.usage = Usage {
        input: u64::MAX,
        cached_input: u64::MAX,
        cache_write: u64::MAX,
        cache_write_1h: u64::MAX,
        output: u64::MAX,
        reasoning: u64::MAX,
        audio_input: u64::MAX,
        audio_output: u64::MAX,
        image_input: u64::MAX,
        image_output: u64::MAX,
        images: u64::MAX,
        audio_ms: u64::MAX,
        characters: u64::MAX,
        searches: u64::MAX,
        requests: u64::MAX,
    };
    long.attempts[0].error = Some(text.clone());
    long.attempts[0].reason = text.as_str().into();
    long.attempts[0].model = text.as_str().into();
    long.attempts[0].provider = text.as_str().into();
    long.attempts = vec![long.attempts[0].clone(); 50];
    let bytes = encoded(&mut long);
    let (entry, _) = Entries::new(&bytes, 0).next().unwrap();
    let Entry::Settlement(read) = entry else { panic!("{entry:?}") };
    assert_eq!(*read, long);
    assert_eq!(long.subject.key_name.chars().count(), 128);
}

#[test]
fn an_over_long_intent_fits_too() {
    let text = "x".repeat(40_000);
    let mut long = intent();
    for name in [&mut long.model, &mut long.provider, &mut long.subject.surface, &mut long.subject.requested_model] {
        *name = text.as_str().into();
    }
    long.subject.environment = text.as_str().into();
    long.subject.key_name = text.as_str().into();
    let mut buffer = vec![0; BUFFER_BYTES];
    assert!(encode_intent(&long, &mut buffer).unwrap() <= MAX_INTENT_BYTES);
}

#[test]
fn every_flipped_bit_is_seen() {
    let bytes = encoded(&mut settlement(&intent()));
    for bit in 0..bytes.len() * 8 {
        let mut damaged = bytes.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        let mut entries = Entries::new(&damaged, 0);
        assert!(entries.next().is_none(), "bit {bit}");
        assert!(entries.is_corrupt(), "bit {bit}");
    }
}

#[test]
fn zeros_are_the_end() {
    let mut bytes = encoded(&mut settlement(&intent()));
    bytes.extend([0; 64]);
    let mut entries = Entries::new(&bytes, 32);
    assert!(entries.next().is_some() && entries.next().is_none() && !entries.is_corrupt());
}

/// Entries of version 2 are those of version 3 without their last member.
#[test]
fn entries_of_version_2_are_read() {
    let dir = Directory::new();
    let (done, open) = (intent(), intent());
    let without = |bytes: &[u8]| bytes[..bytes.len() - 1].to_vec();
    let mut file = b"CWJ1\x02\0\0\0".to_vec();
    file.extend([7; 16]);
    file.extend([0; 8]);
    for (kind, payload) in [
        (1, without(&postcard::to_allocvec(&done).unwrap())),
        (1, without(&postcard::to_allocvec(&open).unwrap())),
        (2, without(&postcard::to_allocvec(&real_settlement(&done)).unwrap())),
    ] {
        let checked = [vec![kind], payload].concat();
        file.extend(u32::try_from(checked.len() - 1).unwrap().to_le_bytes());
        file.extend(crc32fast::hash(&checked).to_le_bytes());
        file.extend(checked);
    }
    file.extend([0; 64]);
    fs::create_dir_all(dir.0.join("journal")).unwrap();
    fs::write(dir.0.join("journal").join("old.seg"), file).unwrap();
    let report = Process::start(&dir.0, small()).report;
    assert_eq!(report, RecoveryReport { settled: 1, orphans: 1, corrupt_tails: 0 });
    assert_eq!(dir.records().len(), 2);
    assert_eq!(Process::start(&dir.0, small()).report, RecoveryReport::default());
}
