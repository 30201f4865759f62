//! Tensors of a model folder: `model.safetensors`, or several shards with their index. Files are mapped, so that the
//! table of word embeddings stays in the page cache and only the rows that texts use are ever read.

use crate::error::{Error, Result};
use memmap2::Mmap;
use safetensors::{Dtype, SafeTensors};
use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// All tensors of a model, by name.
pub(crate) struct Weights {
    path: PathBuf,
    tensors: HashMap<String, Tensor>,
}

/// One tensor, still as stored.
#[derive(Clone)]
pub(crate) struct Tensor {
    file: Arc<Mmap>,
    begin: usize,
    end: usize,
    pub(crate) dtype: Dtype,
    pub(crate) shape: Vec<usize>,
}

impl Weights {
    /// Maps the files of a folder.
    pub(crate) fn open(dir: &Path) -> Result<Self> {
        let mut weights = Self { path: dir.to_owned(), tensors: HashMap::new() };
        for path in files(dir)? {
            weights.add(&path)?;
        }
        Ok(weights)
    }

    fn add(&mut self, path: &Path) -> Result<()> {
        let read = |source| Error::Read { path: path.to_owned(), source };
        let file = File::open(path).map_err(read)?;
        #[expect(unsafe_code, reason = "mapping a file")]
        // SAFETY: model files are written whole and then renamed into place, never changed in place, so the mapped
        // bytes stay as they are while the map lives.
        let map = Arc::new(unsafe { Mmap::map(&file) }.map_err(read)?);
        let bad = |e: safetensors::SafeTensorError| Error::malformed(path, e.to_string());
        let (header, metadata) = SafeTensors::read_metadata(&map).map_err(bad)?;
        for (name, info) in metadata.tensors() {
            let (begin, end) = (8 + header + info.data_offsets.0, 8 + header + info.data_offsets.1);
            if end > map.len() || begin > end {
                return Err(Error::malformed(path, format!("tensor {name:?} lies outside the file")));
            }
            let tensor = Tensor { file: Arc::clone(&map), begin, end, dtype: info.dtype, shape: info.shape.clone() };
            self.tensors.insert(name, tensor);
        }
        Ok(())
    }

    /// The tensor of that name, if there is one.
    pub(crate) fn find(&self, name: &str) -> Option<&Tensor> {
        self.tensors.get(name)
    }

    /// True when a tensor of that name is there.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// Names of all tensors.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// A tensor that must be there.
    pub(crate) fn get(&self, name: &str) -> Result<&Tensor> {
        self.find(name).ok_or_else(|| Error::malformed(&self.path, format!("no tensor {name:?}")))
    }

    /// Values of a tensor of the given shape, in f32; int8 matrices are restored by their scales.
    pub(crate) fn floats(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let tensor = self.get(name)?;
        self.expect_shape(name, tensor, shape)?;
        let mut values = tensor.floats()?;
        if tensor.dtype == Dtype::I8 {
            let scales = self.floats(&format!("{name}.scale"), &shape[..1])?;
            let width = shape.iter().skip(1).product::<usize>().max(1);
            for (row, scale) in values.chunks_mut(width).zip(scales) {
                row.iter_mut().for_each(|v| *v *= scale);
            }
        }
        Ok(values)
    }

    /// An int8 matrix with its scales, as stored; none when it is stored otherwise.
    pub(crate) fn int8(&self, name: &str, shape: &[usize]) -> Result<Option<(Vec<i8>, Vec<f32>)>> {
        let tensor = self.get(name)?;
        if tensor.dtype != Dtype::I8 {
            return Ok(None);
        }
        self.expect_shape(name, tensor, shape)?;
        let values = tensor.bytes().iter().map(|&b| b as i8).collect();
        Ok(Some((values, self.floats(&format!("{name}.scale"), &shape[..1])?)))
    }

    fn expect_shape(&self, name: &str, tensor: &Tensor, shape: &[usize]) -> Result<()> {
        if tensor.shape == shape {
            return Ok(());
        }
        Err(Error::malformed(&self.path, format!("tensor {name:?} has shape {:?}, expected {shape:?}", tensor.shape)))
    }
}

impl Tensor {
    fn bytes(&self) -> &[u8] {
        &self.file[self.begin..self.end]
    }

    fn floats(&self) -> Result<Vec<f32>> {
        let count = self.shape.iter().product();
        let mut values = vec![0.0; count];
        self.read(0, &mut values)?;
        Ok(values)
    }

    /// Reads `into.len()` values from the given index on. Bytes are decoded one by one, so alignment is no matter.
    pub(crate) fn read(&self, index: usize, into: &mut [f32]) -> Result<()> {
        let width = match self.dtype {
            Dtype::F32 => 4,
            Dtype::F16 | Dtype::BF16 => 2,
            Dtype::I8 => 1,
            other => return Err(Error::Unsupported(format!("weights stored as {other:?}"))),
        };
        let begin = index * width;
        let Some(bytes) = self.bytes().get(begin..begin + into.len() * width) else {
            return Err(Error::Invalid("a tensor is shorter than its shape".into()));
        };
        match self.dtype {
            Dtype::F32 => decode(bytes, into, f32::from_le_bytes),
            Dtype::F16 => decode(bytes, into, |b| half_to_f32(u16::from_le_bytes(b))),
            Dtype::BF16 => decode(bytes, into, |b: [u8; 2]| f32::from_bits(u32::from(u16::from_le_bytes(b)) << 16)),
            _ => decode(bytes, into, |b: [u8; 1]| f32::from(b[0] as i8)),
        }
        Ok(())
    }
}

fn decode<const W: usize>(bytes: &[u8], into: &mut [f32], value: impl Fn([u8; W]) -> f32) {
    for (slot, chunk) in into.iter_mut().zip(bytes.as_chunks::<W>().0) {
        *slot = value(*chunk);
    }
}

/// IEEE half precision to single precision, exact.
fn half_to_f32(half: u16) -> f32 {
    let sign = u32::from(half & 0x8000) << 16;
    let magnitude = u32::from(half & 0x7fff);
    match magnitude >> 10 {
        // Zero and subnormal numbers count in units of 2^-24.
        0 => f32::from_bits(sign | (magnitude as f32 * f32::from_bits(0x3380_0000)).to_bits()),
        31 => f32::from_bits(sign | 0x7f80_0000 | (magnitude & 0x3ff) << 13),
        _ => f32::from_bits(sign | ((magnitude << 13) + (112 << 23))),
    }
}

/// The safetensors files of a folder, one or several.
fn files(dir: &Path) -> Result<Vec<PathBuf>> {
    let single = dir.join("model.safetensors");
    if single.exists() {
        return Ok(vec![single]);
    }
    let index = dir.join("model.safetensors.index.json");
    if !index.exists() {
        return Err(Error::Unsupported(format!(
            "{} holds no model.safetensors; a repository that has only pytorch_model.bin or ONNX files must be saved \
             as safetensors first",
            dir.display()
        )));
    }
    let text = std::fs::read_to_string(&index).map_err(|source| Error::Read { path: index.clone(), source })?;
    let value: serde_json::Value = serde_json::from_str(&text).map_err(|e| Error::malformed(&index, e.to_string()))?;
    let map = value["weight_map"].as_object().ok_or_else(|| Error::malformed(&index, "no weight_map"))?;
    let mut names: Vec<&str> = map.values().filter_map(serde_json::Value::as_str).collect();
    names.sort_unstable();
    names.dedup();
    if names.iter().any(|name| name.contains(['/', '\\']) || name.starts_with('.')) {
        return Err(Error::malformed(&index, "a shard lies outside the folder"));
    }
    Ok(names.into_iter().map(|name| dir.join(name)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_decoded_exactly() {
        let cases = [
            (0x0000, 0.0),
            (0x8000, -0.0),
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x7bff, 65504.0),
            (0x0001, 5.960_464_5e-8),
            (0x03ff, 6.097_555e-5),
            (0x0400, 6.103_515_6e-5),
        ];
        for (bits, value) in cases {
            assert_eq!(half_to_f32(bits).to_bits(), f32::to_bits(value), "{bits:#x}");
        }
        assert_eq!(half_to_f32(0x7c00), f32::INFINITY);
        assert!(half_to_f32(0x7e00).is_nan());
    }
}
