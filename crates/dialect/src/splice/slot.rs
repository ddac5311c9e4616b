//! Where one more member goes into an object: before its last brace, or in the place of one of the same name.

use std::ops::Range;

use bytes::Bytes;

use super::Patch;

/// The place of one more member in an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Slot {
    /// Where the object's last `}` stands.
    pub end: usize,
    /// Whether the object has no member.
    pub empty: bool,
    /// The value of a member that has the name already.
    pub taken: Option<Range<usize>>,
}

impl Slot {
    /// Returns the patch that puts a member (`"key":{…}`) there.
    pub fn patch(&self, member: &[u8]) -> Patch {
        match &self.taken {
            Some(value) => {
                let object = member.iter().position(|byte| *byte == b'{').unwrap_or(0);
                let with = Bytes::copy_from_slice(member.get(object..).unwrap_or_default());
                Patch { range: value.clone(), with }
            }
            None => {
                let mut with = Vec::with_capacity(member.len() + 1);
                if !self.empty {
                    with.push(b',');
                }
                with.extend_from_slice(member);
                Patch { range: self.end..self.end, with: with.into() }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::splice::apply;

    fn check(text: &'static str, slot: &Slot, expect: &str) {
        let parts = apply(&Bytes::from_static(text.as_bytes()), vec![slot.patch(br#""k":{"new":1}"#)]);
        assert_eq!(String::from_utf8(parts.concat()).unwrap(), expect);
    }

    #[test]
    fn a_member_is_put_last_or_in_place() {
        check("{ }", &Slot { end: 2, empty: true, taken: None }, r#"{ "k":{"new":1}}"#);
        check(r#"{"a":1}"#, &Slot { end: 6, empty: false, taken: None }, r#"{"a":1,"k":{"new":1}}"#);
        check(r#"{"k":{},"a":1}"#, &Slot { end: 13, empty: false, taken: Some(5..7) }, r#"{"k":{"new":1},"a":1}"#);
    }
}
