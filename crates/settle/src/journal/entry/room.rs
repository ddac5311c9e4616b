//! The room that one payload has.

use postcard::ser_flavors::Flavor;
use postcard::{Error, Result};

/// Takes a payload into a part of the journal's buffer; its output is the length. Most of what a settlement is made of are
/// numbers of one byte, and to put one down is cheaper than to copy it.
pub(super) struct Room<'a> {
    bytes: &'a mut [u8],
    length: usize,
}

impl<'a> Room<'a> {
    /// Returns the room that these bytes are.
    pub fn new(bytes: &'a mut [u8]) -> Self {
        Self { bytes, length: 0 }
    }
}

impl Flavor for Room<'_> {
    type Output = usize;

    fn try_push(&mut self, byte: u8) -> Result<()> {
        *self.bytes.get_mut(self.length).ok_or(Error::SerializeBufferFull)? = byte;
        self.length += 1;
        Ok(())
    }

    fn try_extend(&mut self, bytes: &[u8]) -> Result<()> {
        if let [byte] = bytes {
            return self.try_push(*byte);
        }
        let free = self.bytes.get_mut(self.length..).and_then(|free| free.get_mut(..bytes.len()));
        free.ok_or(Error::SerializeBufferFull)?.copy_from_slice(bytes);
        self.length += bytes.len();
        Ok(())
    }

    fn finalize(self) -> Result<usize> {
        Ok(self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn it_takes_what_a_slice_takes(value: (u64, String, Vec<u16>, Option<u8>), room in 0_usize..64) {
            let (mut ours, mut theirs) = (vec![0; room], vec![0; room]);
            let length = postcard::serialize_with_flavor(&value, Room::new(&mut ours)).ok();
            let expect = postcard::to_slice(&value, &mut theirs).ok().map(|written| written.len());
            proptest::prop_assert_eq!(length, expect);
            proptest::prop_assert!(expect.is_none() || ours == theirs);
        }
    }
}
