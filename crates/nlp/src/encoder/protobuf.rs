//! Google's protocol buffers, read field by field: sentencepiece models and ONNX graphs are kept in them. What is not
//! asked for is skipped.

/// A field of a message: its number and its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field<'a> {
    /// Text, bytes, a message within, or numbers side by side.
    Bytes(u64, &'a [u8]),
    Varint(u64, u64),
    Fixed32(u64, [u8; 4]),
    Fixed64,
}

/// The bytes are cut off, or no message at all; nothing is read behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cut;

impl From<Cut> for String {
    fn from(_: Cut) -> Self {
        "it is cut off, or no protocol buffer".into()
    }
}

/// A message, read field by field.
pub(super) struct Message<'a>(pub(super) &'a [u8]);

impl<'a> Message<'a> {
    /// A number in as many bytes as it needs.
    pub(super) fn varint(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.0.split_first()?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn field(&mut self) -> Option<Field<'a>> {
        let key = self.varint()?;
        match key & 7 {
            0 => self.varint().map(|value| Field::Varint(key >> 3, value)),
            1 => self.take(8).map(|_| Field::Fixed64),
            2 => {
                let length = usize::try_from(self.varint()?).ok()?;
                self.take(length).map(|bytes| Field::Bytes(key >> 3, bytes))
            }
            5 => self.take(4)?.try_into().ok().map(|bytes| Field::Fixed32(key >> 3, bytes)),
            _ => None,
        }
    }
}

impl<'a> Iterator for Message<'a> {
    type Item = Result<Field<'a>, Cut>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field().ok_or(Cut);
        if field.is_err() {
            self.0 = &[];
        }
        Some(field)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_in_order_and_a_cut_is_told() {
        let bytes = [0x08, 0x96, 0x01, 0x12, 2, b'h', b'i', 0x1d, 1, 2, 3, 4, 0x21, 0, 0, 0, 0, 0, 0, 0, 0];
        let fields: Vec<_> = Message(&bytes).collect();
        let expected = [Field::Varint(1, 150), Field::Bytes(2, b"hi"), Field::Fixed32(3, [1, 2, 3, 4]), Field::Fixed64];
        assert_eq!(fields, expected.map(Ok));
        for length in [1, 2, 4, 6, 9, 20] {
            assert_eq!(Message(&bytes[..length]).last(), Some(Err(Cut)), "{length}");
        }
        assert_eq!(Message(&[0xff; 40]).collect::<Vec<_>>(), [Err(Cut)]);
    }
}
