//! Groups and their sums as bytes: numbers of seven bits a byte, low ones first, as most of them are small.
//!
//! A group is its key, the length of what follows, then the sums. A reader that has no use for a group steps over it,
//! and one that needs no durations stops before them.

use ir::usage::Usage;

use super::histogram::Histogram;
use super::sums::{Key, Sums};

const VERSION: u8 = 1;

/// Bits of a group's flags.
const STREAM: u64 = 1;
const FALLBACK: u64 = 2;

/// Stored groups cannot be read: the file is damaged, or somebody else wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a rollup is damaged or has an unknown form")]
pub struct DamagedRollup;

/// Appends groups as bytes.
pub(super) fn write<'a>(out: &mut Vec<u8>, groups: impl Iterator<Item = (&'a Key, &'a Sums)>) {
    out.push(VERSION);
    let mut body = Vec::with_capacity(64);
    for (key, sums) in groups {
        let flags = u64::from(key.stream) * STREAM + u64::from(key.fallback) * FALLBACK;
        let numbers = [key.caller, key.tags, key.model, key.provider, key.surface, key.outcome, key.error];
        numbers.into_iter().for_each(|number| push(out, number.into()));
        push(out, key.status.into());
        push(out, flags);
        body.clear();
        write_sums(&mut body, sums);
        push(out, body.len() as u64);
        out.extend_from_slice(&body);
    }
}

fn write_sums(out: &mut Vec<u8>, sums: &Sums) {
    let Usage { input, cached_input, cache_write, output, reasoning, audio_input, audio_output, .. } = sums.usage;
    // Zigzag: small negative numbers are short as well.
    let saved = (sums.saved_nanos << 1) ^ (sums.saved_nanos >> 63);
    push(out, sums.requests);
    push(out, sums.cost_nanos);
    push(out, sums.unknown_cost);
    push(out, sums.baseline_cost_nanos);
    push(out, saved.cast_unsigned());
    for tokens in [input, cached_input, cache_write, output, reasoning, audio_input, audio_output] {
        push(out, tokens);
    }
    for histogram in [&sums.latency, &sums.first_content] {
        push(out, histogram.buckets().len() as u64);
        let mut last = 0;
        for (bucket, count) in histogram.buckets() {
            push(out, u64::from(bucket - last));
            push(out, *count);
            last = *bucket;
        }
    }
}

/// Gives every group of some bytes to a function.
pub(crate) fn each(
    data: &[u8],
    mut visit: impl FnMut(Key, Body<'_>) -> Result<(), DamagedRollup>,
) -> Result<(), DamagedRollup> {
    let Some((&VERSION, rest)) = data.split_first() else { return Err(DamagedRollup) };
    let mut reader = Reader(rest);
    while !reader.0.is_empty() {
        let mut number = || u32::try_from(reader.next()?).map_err(|_| DamagedRollup);
        let [caller, tags, model, provider] = [number()?, number()?, number()?, number()?];
        let [surface, outcome, error, status] = [number()?, number()?, number()?, number()?];
        let status = u16::try_from(status).map_err(|_| DamagedRollup)?;
        let flags = reader.next()?;
        let (stream, fallback) = (flags & STREAM != 0, flags & FALLBACK != 0);
        let length = usize::try_from(reader.next()?).map_err(|_| DamagedRollup)?;
        let (body, rest) = reader.0.split_at_checked(length).ok_or(DamagedRollup)?;
        reader.0 = rest;
        visit(Key { caller, tags, model, provider, surface, outcome, error, status, stream, fallback }, Body(body))?;
    }
    Ok(())
}

/// The sums of a group that are not decoded yet.
#[derive(Clone, Copy)]
pub(crate) struct Body<'a>(&'a [u8]);

impl Body<'_> {
    /// Returns the number of requests.
    pub(crate) fn requests(self) -> Result<u64, DamagedRollup> {
        Reader(self.0).next()
    }

    /// Adds everything but the durations to sums.
    pub(crate) fn add_figures(self, to: &mut Sums) -> Result<(), DamagedRollup> {
        to.merge_figures(&read_figures(&mut Reader(self.0))?);
        Ok(())
    }

    /// Adds everything to sums.
    pub(crate) fn add_all(self, to: &mut Sums) -> Result<(), DamagedRollup> {
        let mut reader = Reader(self.0);
        to.merge_figures(&read_figures(&mut reader)?);
        add_histogram(&mut reader, &mut to.latency)?;
        add_histogram(&mut reader, &mut to.first_content)
    }
}

fn read_figures(reader: &mut Reader<'_>) -> Result<Sums, DamagedRollup> {
    let mut next = || reader.next();
    let (requests, cost_nanos, unknown_cost, baseline_cost_nanos) = (next()?, next()?, next()?, next()?);
    let saved = next()?;
    Ok(Sums {
        requests,
        cost_nanos,
        unknown_cost,
        baseline_cost_nanos,
        saved_nanos: (saved >> 1).cast_signed() ^ -(saved & 1).cast_signed(),
        usage: Usage {
            input: next()?,
            cached_input: next()?,
            cache_write: next()?,
            output: next()?,
            reasoning: next()?,
            audio_input: next()?,
            audio_output: next()?,
            ..Usage::default()
        },
        ..Sums::default()
    })
}

fn add_histogram(reader: &mut Reader<'_>, to: &mut Histogram) -> Result<(), DamagedRollup> {
    let mut bucket = 0u16;
    for _ in 0..reader.next()? {
        let step = u16::try_from(reader.next()?).map_err(|_| DamagedRollup)?;
        bucket = bucket.checked_add(step).ok_or(DamagedRollup)?;
        to.add(bucket, reader.next()?);
    }
    Ok(())
}

fn push(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn next(&mut self) -> Result<u64, DamagedRollup> {
        let mut number = 0u64;
        let mut shift = 0;
        loop {
            let (byte, rest) = self.0.split_first().ok_or(DamagedRollup)?;
            self.0 = rest;
            if shift > 63 {
                return Err(DamagedRollup);
            }
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
            shift += 7;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(caller: u32, saved_nanos: i64) -> (Key, Sums) {
        let key = Key { caller, model: 3, status: 429, stream: true, error: 400_000, ..Key::default() };
        let mut sums = Sums { requests: 2, cost_nanos: u64::MAX, saved_nanos, ..Sums::default() };
        sums.usage.reasoning = 300;
        sums.latency.record(5);
        sums.latency.record(u64::MAX);
        (key, sums)
    }

    #[test]
    fn groups_read_as_they_were_written() {
        let groups = [group(0, 0), group(u32::MAX, i64::MIN), group(7, -1), group(8, i64::MAX)];
        let mut bytes = Vec::new();
        write(&mut bytes, groups.iter().map(|(key, sums)| (key, sums)));
        let mut read = Vec::new();
        each(&bytes, |key, body| {
            assert_eq!(body.requests()?, 2);
            let (mut figures, mut sums) = (Sums::default(), Sums::default());
            body.add_figures(&mut figures)?;
            body.add_all(&mut sums)?;
            figures.latency = sums.latency.clone();
            assert_eq!(figures, sums);
            read.push((key, sums));
            Ok(())
        })
        .unwrap();
        assert_eq!(read, groups);
    }

    #[test]
    fn damage_is_an_error_and_never_a_panic() {
        let mut bytes = Vec::new();
        let (key, sums) = group(1, 5);
        write(&mut bytes, std::iter::once((&key, &sums)));
        let sum_all = |bytes: &[u8]| each(bytes, |_, body| body.add_all(&mut Sums::default()));
        sum_all(&bytes).unwrap();
        for cut in 2..bytes.len() {
            assert_eq!(sum_all(&bytes[..cut]), Err(DamagedRollup), "cut at {cut}");
        }
        for index in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[index] ^= 0xff;
            let _ = sum_all(&damaged);
        }
        assert_eq!(sum_all(&[]), Err(DamagedRollup));
        assert_eq!(sum_all(&[9]), Err(DamagedRollup));
    }
}
