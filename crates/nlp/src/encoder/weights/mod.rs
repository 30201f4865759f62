//! Tensors of a model folder, in whichever form it keeps them: `model.safetensors`, `pytorch_model.bin`, several shards of
//! either with their index, or an ONNX graph. A tensor is a place in a file until its numbers are asked for; what is
//! asked for is bounded by what the files hold, so that no small file makes a large model.

mod onnx;
mod pickle;
mod safe;
mod source;
mod torch;
mod zip;

use crate::error::{Error, Result};
use crate::file;
use safetensors::Dtype;
use source::Source;
use std::cell::Cell;
use std::collections::HashMap;
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

/// Bytes of an index at most: one of 1,000 tensors has about 100,000.
const INDEX_MAX: usize = 16 << 20;
/// Shards of a model, and files beside a graph, at most.
const FILES_MAX: usize = 256;
/// How often over a model may use the bytes of its files: some layers share a matrix, and two tensors may share their
/// bytes.
const USES_MAX: u64 = 4;
/// Bytes that are decoded at once.
const CHUNK: usize = 1 << 18;

/// All tensors of a model, by name.
pub(crate) struct Weights {
    path: PathBuf,
    files: Vec<Arc<Source>>,
    tensors: HashMap<String, Tensor>,
    /// Bytes of tensors that were asked for.
    used: Cell<u64>,
}

/// One tensor, still as stored.
#[derive(Clone)]
pub(crate) struct Tensor {
    file: Arc<Source>,
    /// Byte of the first number.
    begin: usize,
    pub(crate) dtype: Dtype,
    pub(crate) shape: Vec<usize>,
    /// Numbers between neighbours along each axis.
    strides: Vec<usize>,
}

impl Weights {
    /// Opens the files of a folder.
    pub(crate) fn open(dir: &Path) -> Result<Self> {
        let container = CONTAINERS.iter().map(|name| dir.join(name)).find(|path| path.exists());
        let Some(path) = container else {
            return Err(Error::Unsupported(format!("{} holds none of {}", dir.display(), CONTAINERS.join(", "))));
        };
        let (files, tensors) = (Vec::new(), HashMap::new());
        let mut weights = Self { path: path.clone(), files, tensors, used: Cell::new(0) };
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
        let extension = path.extension().and_then(|extension| extension.to_str());
        // The parts of a graph lie within one another, so it is read whole; its large tensors are beside it.
        let file = Arc::new(if extension == Some("onnx") { Source::whole(path)? } else { Source::open(path)? });
        self.files.push(Arc::clone(&file));
        let found = match extension {
            _ if is_pointer(&file) => {
                Err("it is a pointer of Git LFS, not the file itself: fetch it with `git lfs pull`".to_owned())
            }
            Some("bin") => torch::tensors(&file),
            Some("onnx") => onnx::tensors(&file, &mut |name| self.beside(&path.with_file_name(name))),
            _ => safe::tensors(&file),
        };
        for (name, tensor) in found.map_err(|problem| Error::malformed(path, problem))? {
            self.tensors.insert(name, tensor);
        }
        Ok(())
    }

    /// A file beside a graph, opened once.
    fn beside(&mut self, path: &Path) -> Result<Arc<Source>, String> {
        if let Some(file) = self.files.iter().find(|file| file.path() == path) {
            return Ok(Arc::clone(file));
        }
        if self.files.len() > FILES_MAX {
            return Err(format!("its numbers are in more than {FILES_MAX} files"));
        }
        let file = Arc::new(Source::open(path).map_err(|e| format!("{e}, where its numbers are"))?);
        self.files.push(Arc::clone(&file));
        Ok(file)
    }

    /// An error when one of the files was written to since it was opened.
    pub(crate) fn expect_unchanged(&self) -> Result<()> {
        self.files.iter().try_for_each(|file| file.expect_unchanged())
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

    /// A tensor whose numbers are about to be read.
    fn take(&self, name: &str, shape: &[usize]) -> Result<&Tensor> {
        let tensor = self.get(name)?;
        self.expect_shape(name, tensor, shape)?;
        self.used.set(self.used.get().saturating_add(tensor.size() as u64));
        let held: u64 = self.files.iter().map(|file| file.length() as u64).sum();
        if self.used.get() > held.saturating_mul(USES_MAX) {
            return Err(Error::malformed(&self.path, "its tensors have more numbers than its files hold"));
        }
        Ok(tensor)
    }

    /// Values of a tensor of the given shape, in f32; int8 matrices are restored by their scales.
    pub(crate) fn floats(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let tensor = self.take(name, shape)?;
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

    /// Whether a tensor can be taken as integers.
    pub(crate) fn is_int8(&self, name: &str) -> bool {
        self.find(name).is_some_and(|tensor| tensor.dtype == Dtype::I8 && tensor.is_contiguous())
    }

    /// An int8 matrix with its scales, as stored; none when it is stored otherwise.
    pub(crate) fn int8(&self, name: &str, shape: &[usize]) -> Result<Option<(Vec<i8>, Vec<f32>)>> {
        if !self.is_int8(name) {
            return Ok(None);
        }
        let bytes = self.take(name, shape)?.bytes()?;
        let values = bytes.into_iter().map(|byte| byte as i8).collect();
        Ok(Some((values, self.floats(&format!("{name}.scale"), &shape[..1])?)))
    }

    /// A matrix in f32, handed out some rows at a time: a table of words may be larger than what becomes of it.
    pub(crate) fn rows(&self, name: &str, shape: [usize; 2], mut take: impl FnMut(&[f32])) -> Result<()> {
        let tensor = self.take(name, &shape)?;
        let [count, width] = shape;
        // Rows of a matrix with gaps or on its side lie all over its bytes: those are read once.
        let step = if tensor.is_contiguous() { (CHUNK / width.max(1)).max(1) } else { count.max(1) };
        let mut values = vec![0.0; step.min(count) * width];
        for begin in (0..count).step_by(step) {
            let values = &mut values[..step.min(count - begin) * width];
            tensor.read(begin * width, values)?;
            take(values);
        }
        Ok(())
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
        file: &Arc<Source>,
        range: Range<usize>,
        dtype: Dtype,
        shape: Vec<usize>,
        strides: Vec<usize>,
    ) -> Result<Self, String> {
        let beyond = || format!("shape {shape:?} with strides {strides:?} goes beyond its {} bytes", range.len());
        if shape.len() != strides.len() || range.end > file.length() || range.start > range.end {
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
    fn contiguous(file: &Arc<Source>, range: Range<usize>, dtype: Dtype, shape: Vec<usize>) -> Result<Self, String> {
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

    /// Whether another one has the same form and the same bytes.
    fn equals(&self, other: &Self) -> bool {
        (self.dtype, &self.shape, &self.strides) == (other.dtype, &other.shape, &other.strides)
            && (Arc::ptr_eq(&self.file, &other.file) && self.begin == other.begin
                || self.bytes().is_ok_and(|bytes| other.bytes().is_ok_and(|others| bytes == others)))
    }

    /// Bytes of its numbers.
    fn size(&self) -> usize {
        self.count() * self.dtype.bitsize() / 8
    }

    /// Its bytes, from the first number to the last, gaps included.
    fn bytes(&self) -> Result<Vec<u8>> {
        if self.count() == 0 {
            return Ok(Vec::new());
        }
        // `placed` saw to it that this stays within the file.
        let last: usize = self.shape.iter().zip(&self.strides).map(|(&n, &stride)| (n - 1) * stride).sum();
        let mut bytes = vec![0; (last + 1) * self.dtype.bitsize() / 8];
        self.fill(self.begin, &mut bytes)?;
        Ok(bytes)
    }

    fn fill(&self, begin: usize, into: &mut [u8]) -> Result<()> {
        let path = self.file.path();
        self.file.fill(begin, into).map_err(|source| Error::Read { path: path.to_owned(), source })
    }

    fn count(&self) -> usize {
        self.shape.iter().product()
    }

    fn is_contiguous(&self) -> bool {
        // Where there is but one, the way to the next does not matter.
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
    fn read(&self, index: usize, into: &mut [f32]) -> Result<()> {
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
            let mut bytes = vec![0; CHUNK.min(into.len() * W)];
            for (chunk, slots) in into.chunks_mut(CHUNK / W).enumerate() {
                let bytes = &mut bytes[..slots.len() * W];
                self.fill(self.begin + index * W + chunk * CHUNK / W * W, bytes)?;
                slots.iter_mut().zip(bytes.as_chunks::<W>().0).for_each(|(slot, chunk)| *slot = value(*chunk));
            }
            return Ok(());
        }
        let bytes = self.bytes()?;
        for (at, slot) in (index..).zip(into) {
            if let Some(bytes) = bytes.get(self.offset(at) * W..).and_then(|rest| rest.first_chunk::<W>()) {
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

/// Whether a file stands for another that was not fetched.
fn is_pointer(file: &Source) -> bool {
    const BEGIN: &[u8] = b"version https://git-lfs";
    file.part(0..BEGIN.len()).is_some_and(|begin| begin == BEGIN)
}

/// Which shard holds each tensor.
struct Index(Vec<(String, String)>);

impl Index {
    fn read(path: &Path) -> Result<Self> {
        let text = file::read(path, INDEX_MAX)?;
        let value: serde_json::Value =
            serde_json::from_slice(&text).map_err(|e| Error::malformed(path, e.to_string()))?;
        let map = value["weight_map"].as_object().ok_or_else(|| Error::malformed(path, "no weight_map"))?;
        let entry = |(name, shard): (&String, &serde_json::Value)| match shard.as_str() {
            Some(shard) if is_file_name(shard) => Ok((name.clone(), shard.to_owned())),
            _ => Err(Error::malformed(path, format!("{shard} is no name of a file beside it"))),
        };
        let index = Self(map.iter().map(entry).collect::<Result<_>>()?);
        if index.shards().len() > FILES_MAX {
            return Err(Error::malformed(path, format!("more than {FILES_MAX} shards")));
        }
        Ok(index)
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
        Some("onnx") => {
            let graph = Source::whole(container)?;
            onnx::files(&graph).map_err(|problem| Error::malformed(container, problem))
        }
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
