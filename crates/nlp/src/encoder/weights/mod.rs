//! Tensors of a model folder, in whichever form it keeps them: `model.safetensors`, `pytorch_model.bin`, several shards of
//! either with their index, or an ONNX graph. Files are mapped, so that the table of word embeddings stays in the page
//! cache and only the rows that texts use are ever read.

mod onnx;
mod pickle;
mod torch;
mod zip;

use crate::error::{Error, Result};
use memmap2::Mmap;
use safetensors::{Dtype, SafeTensors};
use std::collections::HashMap;
use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Files that hold weights, the one to prefer first; those with `.index.json` name their shards.
pub const CONTAINERS: [&str; 6] = [
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
    "onnx/model.onnx",
    "model.onnx",
];

/// All tensors of a model, by name.
pub(crate) struct Weights {
    path: PathBuf,
    tensors: HashMap<String, Tensor>,
}

/// One tensor, still as stored.
#[derive(Clone)]
pub(crate) struct Tensor {
    file: Arc<Mmap>,
    /// Byte of the first number.
    begin: usize,
    pub(crate) dtype: Dtype,
    pub(crate) shape: Vec<usize>,
    /// Numbers between neighbours along each axis.
    strides: Vec<usize>,
}

impl Weights {
    /// Maps the files of a folder.
    pub(crate) fn open(dir: &Path) -> Result<Self> {
        let container = CONTAINERS.iter().map(|name| dir.join(name)).find(|path| path.exists());
        let Some(path) = container else {
            return Err(Error::Unsupported(format!("{} holds none of {}", dir.display(), CONTAINERS.join(", "))));
        };
        let mut weights = Self { path: path.clone(), tensors: HashMap::new() };
        if path.extension().is_none_or(|extension| extension != "json") {
            weights.add(&path)?;
            return Ok(weights);
        }
        let index = Index::read(&path)?;
        for shard in index.shards() {
            weights.add(&dir.join(shard))?;
        }
        if let Some((name, shard)) = index.0.iter().find(|(name, _)| !weights.has(name)) {
            return Err(Error::malformed(&path, format!("tensor {name:?} is said to be in {shard}, and is not")));
        }
        Ok(weights)
    }

    fn add(&mut self, path: &Path) -> Result<()> {
        let file = map(path)?;
        let found = match path.extension().and_then(|extension| extension.to_str()) {
            _ if file.starts_with(b"version https://git-lfs") => {
                Err("it is a pointer of Git LFS, not the file itself: fetch it with `git lfs pull`".to_owned())
            }
            Some("bin") => torch::tensors(&file),
            Some("onnx") => {
                let mut opened: HashMap<String, Arc<Mmap>> = HashMap::new();
                onnx::tensors(&file, &mut |name| match opened.get(name) {
                    Some(file) => Ok(Arc::clone(file)),
                    None => {
                        let file =
                            map(&path.with_file_name(name)).map_err(|e| format!("{e}, where its numbers are"))?;
                        Ok(Arc::clone(opened.entry(name.to_owned()).or_insert(file)))
                    }
                })
            }
            _ => safe(&file),
        };
        for (name, tensor) in found.map_err(|problem| Error::malformed(path, problem))? {
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
        if tensor.dtype != Dtype::I8 || !tensor.is_contiguous() {
            return Ok(None);
        }
        self.expect_shape(name, tensor, shape)?;
        let values = tensor.file[tensor.begin..][..tensor.count()].iter().map(|&b| b as i8).collect();
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
    /// A tensor within some bytes of a file; `Err` says why it does not lie in them.
    fn placed(
        file: &Arc<Mmap>,
        range: Range<usize>,
        dtype: Dtype,
        shape: Vec<usize>,
        strides: Vec<usize>,
    ) -> Result<Self, String> {
        let beyond = || format!("shape {shape:?} with strides {strides:?} goes beyond its {} bytes", range.len());
        if shape.len() != strides.len() || range.end > file.len() || range.start > range.end {
            return Err(beyond());
        }
        let count = shape.iter().try_fold(1usize, |count, &n| count.checked_mul(n)).ok_or_else(beyond)?;
        let last = shape
            .iter()
            .zip(&strides)
            .try_fold(0usize, |last, (&n, &stride)| last.checked_add(n.saturating_sub(1).checked_mul(stride)?));
        let room = range.len().saturating_mul(8) / dtype.bitsize();
        // A tensor with more numbers than its bytes hold repeats some; no weights do, and reading it could take any
        // amount of memory.
        if count > 0 && (count > room || last.is_none_or(|last| last >= room)) {
            return Err(beyond());
        }
        Ok(Self { file: Arc::clone(file), begin: range.start, dtype, shape, strides })
    }

    /// One whose numbers lie one after another, the last axis fastest.
    fn contiguous(file: &Arc<Mmap>, range: Range<usize>, dtype: Dtype, shape: Vec<usize>) -> Result<Self, String> {
        let strides = contiguous(&shape);
        Self::placed(file, range, dtype, shape, strides)
    }

    /// A matrix with rows and columns exchanged.
    fn transposed(&self) -> Self {
        let mut turned = self.clone();
        turned.shape.reverse();
        turned.strides.reverse();
        turned
    }

    /// Whether another one has the same form and the same bytes; for tensors without gaps.
    fn equals(&self, other: &Self) -> bool {
        // A tensor has no more numbers than its bytes hold, so this much is there even where strides leave gaps.
        let bytes = |tensor: &Self| tensor.begin..tensor.begin + tensor.count() * tensor.dtype.bitsize() / 8;
        (self.dtype, &self.shape, &self.strides) == (other.dtype, &other.shape, &other.strides)
            && self.file[bytes(self)] == other.file[bytes(other)]
    }

    fn count(&self) -> usize {
        self.shape.iter().product()
    }

    fn is_contiguous(&self) -> bool {
        // Asked for every row of words that is read: nothing is allocated. Where there is but one, the way to the next
        // does not matter.
        let mut usual = 1usize;
        self.shape.iter().zip(&self.strides).rev().all(|(&n, &stride)| {
            let fits = n == 1 || stride == usual;
            usual = usual.saturating_mul(n);
            fits
        })
    }

    fn floats(&self) -> Result<Vec<f32>> {
        let mut values = vec![0.0; self.count()];
        self.read(0, &mut values)?;
        Ok(values)
    }

    /// Reads `into.len()` values from the given index on. Bytes are decoded one by one, so alignment is no matter.
    pub(crate) fn read(&self, index: usize, into: &mut [f32]) -> Result<()> {
        match self.dtype {
            Dtype::F64 => self.decode(index, into, |b| f64::from_le_bytes(b) as f32),
            Dtype::F32 => self.decode(index, into, f32::from_le_bytes),
            Dtype::F16 => self.decode(index, into, |b| half_to_f32(u16::from_le_bytes(b))),
            Dtype::BF16 => {
                self.decode(index, into, |b: [u8; 2]| f32::from_bits(u32::from(u16::from_le_bytes(b)) << 16))
            }
            Dtype::I8 => self.decode(index, into, |b: [u8; 1]| f32::from(b[0] as i8)),
            other => Err(Error::Unsupported(format!("weights stored as {other:?}"))),
        }
    }

    fn decode<const W: usize>(&self, index: usize, into: &mut [f32], value: impl Fn([u8; W]) -> f32) -> Result<()> {
        if index.checked_add(into.len()).is_none_or(|end| end > self.count()) {
            return Err(Error::Invalid("a tensor is shorter than its shape".into()));
        }
        if self.is_contiguous() {
            let bytes = &self.file[self.begin + index * W..][..into.len() * W];
            into.iter_mut().zip(bytes.as_chunks::<W>().0).for_each(|(slot, chunk)| *slot = value(*chunk));
            return Ok(());
        }
        for (at, slot) in (index..).zip(into) {
            let begin = self.begin + self.offset(at) * W;
            if let Some(bytes) = self.file[begin..].first_chunk::<W>() {
                *slot = value(*bytes);
            }
        }
        Ok(())
    }

    /// Numbers before that of the index, as stored.
    fn offset(&self, mut index: usize) -> usize {
        let mut offset = 0;
        for (&n, &stride) in self.shape.iter().zip(&self.strides).rev() {
            offset += index % n * stride;
            index /= n;
        }
        offset
    }
}

/// Strides of numbers that lie one after another.
fn contiguous(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1usize; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis].saturating_mul(shape[axis]);
    }
    strides
}

/// Maps a file.
fn map(path: &Path) -> Result<Arc<Mmap>> {
    let read = |source| Error::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(read)?;
    #[expect(unsafe_code, reason = "mapping a file")]
    // SAFETY: model files are written whole and then renamed into place, never changed in place, so the mapped bytes stay
    // as they are while the map lives.
    let map = unsafe { Mmap::map(&file) }.map_err(read)?;
    Ok(Arc::new(map))
}

/// The tensors of a safetensors file.
fn safe(file: &Arc<Mmap>) -> Result<Vec<(String, Tensor)>, String> {
    let (header, metadata) = SafeTensors::read_metadata(file).map_err(|e| e.to_string())?;
    let place = |(name, info): (String, &safetensors::tensor::TensorInfo)| {
        let (begin, end) = (8 + header + info.data_offsets.0, 8 + header + info.data_offsets.1);
        let tensor = Tensor::contiguous(file, begin..end, info.dtype, info.shape.clone());
        tensor.map(|tensor| (name.clone(), tensor)).map_err(|problem| format!("tensor {name:?}: {problem}"))
    };
    metadata.tensors().into_iter().map(place).collect()
}

/// Which shard holds each tensor.
struct Index(Vec<(String, String)>);

impl Index {
    fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
        let value: serde_json::Value =
            serde_json::from_str(&text).map_err(|e| Error::malformed(path, e.to_string()))?;
        let map = value["weight_map"].as_object().ok_or_else(|| Error::malformed(path, "no weight_map"))?;
        let entry = |(name, shard): (&String, &serde_json::Value)| match shard.as_str() {
            Some(shard) if is_file_name(shard) => Ok((name.clone(), shard.to_owned())),
            _ => Err(Error::malformed(path, format!("{shard} is no name of a file beside it"))),
        };
        map.iter().map(entry).collect::<Result<_>>().map(Self)
    }

    fn shards(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.0.iter().map(|(_, shard)| shard.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

/// Names the files beside a container that hold its weights: shards of an index, large tensors of a graph.
pub fn shards(container: &Path) -> Result<Vec<String>> {
    match container.extension().and_then(|extension| extension.to_str()) {
        Some("json") => Ok(Index::read(container)?.shards().into_iter().map(str::to_owned).collect()),
        Some("onnx") => onnx::files(&map(container)?).map_err(|problem| Error::malformed(container, problem)),
        _ => Ok(Vec::new()),
    }
}

/// A name that leads nowhere else.
fn is_file_name(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\', ':', '\0'])
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
