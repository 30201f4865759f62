//! safetensors: the length of a header (u64), the header (JSON: of each tensor its type, its shape and where its bytes
//! are), the bytes of the tensors, one after another. The header alone is read here.

use super::Tensor;
use super::source::Source;
use safetensors::Dtype;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use std::fmt;
use std::sync::Arc;

/// Bytes of a header at most: one of 1,000 tensors has about 120,000.
const HEADER_MAX: usize = 16 << 20;

/// What the header says of a tensor; bytes are counted from behind the header.
#[derive(serde::Deserialize)]
struct Placed {
    dtype: Dtype,
    shape: Vec<usize>,
    data_offsets: (usize, usize),
}

/// The tensors of a header; what else is said in it (`__metadata__`) is left out.
struct Header(Vec<(String, Placed)>);

/// The tensors of a file, by name.
pub(super) fn tensors(file: &Arc<Source>) -> Result<Vec<(String, Tensor)>, String> {
    let cut = "its header is cut off: the file is not whole, or no safetensors file";
    let length = file.part(0..8).and_then(|bytes| Some(u64::from_le_bytes(*bytes.first_chunk()?))).ok_or(cut)?;
    let length = usize::try_from(length).ok().filter(|length| *length <= HEADER_MAX);
    let length = length.ok_or("its header is larger than that of any model, or it is no safetensors file")?;
    let header = file.part(8..8 + length).ok_or(cut)?;
    let Header(mut placed) = serde_json::from_slice(&header).map_err(|e| format!("its header: {e}"))?;
    placed.sort_by_key(|(_, tensor)| tensor.data_offsets);
    let mut end = 0;
    for (name, tensor) in &placed {
        if tensor.data_offsets.0 != end || tensor.data_offsets.1 < end {
            return Err(format!("tensor {name:?} does not begin where the one before it ends"));
        }
        end = tensor.data_offsets.1;
    }
    if end.checked_add(8 + length) != Some(file.length()) {
        return Err("it has fewer or more bytes than its header says: the file is not whole".into());
    }
    let place = |(name, tensor): (String, Placed)| {
        let (begin, end) = tensor.data_offsets;
        let found = Tensor::contiguous(file, 8 + length + begin..8 + length + end, tensor.dtype, tensor.shape);
        found.map_err(|problem| format!("tensor {name:?}: {problem}")).map(|found| (name, found))
    };
    placed.into_iter().map(place).collect()
}

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Header;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("tensors by name")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header, A::Error> {
                let mut found = Vec::new();
                while let Some(name) = map.next_key::<String>()? {
                    match name.as_str() {
                        "__metadata__" => drop(map.next_value::<IgnoredAny>()?),
                        _ => found.push((name, map.next_value()?)),
                    }
                }
                Ok(Header(found))
            }
        }
        deserializer.deserialize_map(Entries)
    }
}
