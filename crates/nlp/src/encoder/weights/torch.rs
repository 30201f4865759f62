//! `pytorch_model.bin`: what `torch.save` writes of a table of weights. Two forms, told by their first bytes:
//!
//! ```text
//! zip (since 1.6)  NAME/data.pkl: the table, pickled; NAME/data/KEY: the bytes of each storage
//! before           five pickles: a number, the version, the machine, the table, the keys; then of each key, in order,
//!                  the count of its numbers (u64) and their bytes
//! ```
//!
//! The pickle is read by [`super::pickle`], which runs nothing.

use super::pickle::{self, Stored, Unpickled};
use super::source::Source;
use super::{Tensor, zip};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

/// The number that files before 1.6 begin with, and the version behind it.
const FORMER_MAGIC: i128 = 0x1950_a86a_20f9_469c_fc6c;
const FORMER_VERSION: i128 = 1001;

/// The tensors of a file, by name.
pub(super) fn tensors(file: &Arc<Source>) -> Result<Vec<(String, Tensor)>, String> {
    match file.part(0..4).is_some_and(|begin| begin == b"PK\x03\x04") {
        true => zipped(file),
        false => former(file),
    }
}

/// Bytes of each storage, by its key.
type Storages<'a> = HashMap<&'a str, Range<usize>>;

fn zipped(file: &Arc<Source>) -> Result<Vec<(String, Tensor)>, String> {
    let members = zip::members(file)?;
    let table = members.iter().find(|(name, _)| name.ends_with("/data.pkl") && name.matches('/').count() == 1);
    let (name, range) = table.ok_or("it is a zip archive without data.pkl, so not a table of weights of torch")?;
    let folder = name.trim_end_matches("data.pkl");
    if let Some(order) = members.get(&format!("{folder}byteorder"))
        && (order.len() != 6 || file.part(order.clone()).is_none_or(|order| order != b"little"))
    {
        return Err("it was written on a machine of the other byte order; save it as safetensors".into());
    }
    if range.len() > pickle::BYTES_MAX {
        return Err("its table is larger than that of any model".into());
    }
    let bytes = file.part(range.clone()).ok_or("its table can't be read")?;
    let data = format!("{folder}data/");
    let storages = members.iter().filter_map(|(name, range)| Some((name.strip_prefix(&data)?, range.clone())));
    placed(file, &pickle::read(&bytes)?, &storages.collect())
}

fn former(file: &Arc<Source>) -> Result<Vec<(String, Tensor)>, String> {
    let bytes = file.part(0..file.length().min(pickle::BYTES_MAX)).ok_or("its table can't be read")?;
    let mut at = 0;
    let mut next = || {
        let pickle = pickle::read(&bytes[at..])?;
        at += pickle.length;
        Ok::<_, String>(pickle)
    };
    if !bytes.starts_with(&[0x80]) || next()?.int() != Some(FORMER_MAGIC) {
        return Err("it is nothing that torch.save writes".into());
    }
    if next()?.int() != Some(FORMER_VERSION) || next()?.entry("little_endian") != Some(1) {
        return Err("it was written by a torch or on a machine of another kind; save it as safetensors".into());
    }
    let (table, keys) = (next()?, next()?);
    let widths: HashMap<&str, usize> =
        table.tensors()?.into_values().map(|stored| (stored.key, stored.dtype.bitsize() / 8)).collect();
    let mut storages = Storages::new();
    for key in keys.texts().ok_or("its list of storages is none")? {
        let cut = || format!("storage {key:?} goes on behind the end of the file: the file is not whole");
        let begin = at.checked_add(8).ok_or_else(cut)?;
        let count = file.part(at..begin).ok_or_else(cut)?;
        let count = count.first_chunk::<8>().and_then(|count| usize::try_from(u64::from_le_bytes(*count)).ok());
        let width = widths.get(key).ok_or_else(|| format!("storage {key:?} belongs to no tensor"))?;
        let length = count.and_then(|count| count.checked_mul(*width)).ok_or_else(cut)?;
        at = begin.checked_add(length).filter(|end| *end <= file.length()).ok_or_else(cut)?;
        storages.insert(key, begin..at);
    }
    placed(file, &table, &storages)
}

/// The tensors of a table in the bytes of their storages.
fn placed(file: &Arc<Source>, table: &Unpickled<'_>, storages: &Storages<'_>) -> Result<Vec<(String, Tensor)>, String> {
    let place = |(name, stored): (&str, &Stored<'_>)| {
        let range = storages.get(stored.key).ok_or_else(|| format!("tensor {name:?}: its storage is missing"))?;
        let tensor = tensor(file, stored, range.clone()).map_err(|problem| format!("tensor {name:?}: {problem}"))?;
        Ok((name.to_owned(), tensor))
    };
    table.tensors()?.into_iter().map(place).collect()
}

/// A tensor in the bytes of its storage.
fn tensor(file: &Arc<Source>, stored: &Stored<'_>, range: Range<usize>) -> Result<Tensor, String> {
    let width = stored.dtype.bitsize() / 8;
    if stored.count.checked_mul(width) != Some(range.len()) {
        return Err(format!("its storage has {} bytes, where {} numbers were announced", range.len(), stored.count));
    }
    let begin = stored.offset.checked_mul(width).and_then(|skipped| range.start.checked_add(skipped));
    let begin = begin.filter(|begin| *begin <= range.end).ok_or("it begins behind the end of its storage")?;
    Tensor::placed(file, begin..range.end, stored.dtype, stored.shape.clone(), stored.strides.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::path::{Path, PathBuf};
    use std::sync::LazyLock;

    fn fixture(form: &str) -> Vec<u8> {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/parity/containers");
        std::fs::read(folder.join(form).join("pytorch_model.bin")).unwrap()
    }

    static FILES: LazyLock<[Vec<u8>; 3]> =
        LazyLock::new(|| ["bert-tokens.zip", "roberta.former", "deberta-v3.views"].map(fixture));

    fn open(bytes: &[u8]) -> Result<Vec<(String, Tensor)>, String> {
        tensors(&Arc::new(Source::of(Path::new("x.bin"), bytes.to_vec())))
    }

    /// Opens and reads everything there is; the answer does not matter, only that there is one.
    fn survive(bytes: &[u8]) -> usize {
        let numbers = |(_, tensor): (String, Tensor)| {
            // What bounds memory: a tensor is never larger than the file.
            assert!(tensor.count() <= bytes.len());
            tensor.floats().map_or(0, |values| values.len())
        };
        open(bytes).map_or(0, |tensors| tensors.into_iter().map(numbers).sum())
    }

    #[test]
    fn a_cut_file_is_refused_wherever_it_is_cut() {
        for bytes in FILES.iter() {
            let whole = open(bytes).unwrap().len();
            assert!(whole > 40, "{whole}");
            let step = bytes.len() / 400;
            for length in (0..bytes.len()).step_by(step).chain(bytes.len() - 30..bytes.len()) {
                let error = open(&bytes[..length]).err();
                assert!(error.is_some_and(|error| !error.is_empty()), "{length} of {} bytes were taken", bytes.len());
            }
        }
    }

    #[test]
    fn any_byte_of_the_table_may_be_wrong() {
        for bytes in FILES.iter() {
            let table = bytes.windows(2).position(|pair| pair == [0x80, 2]).unwrap();
            let mut wrong = bytes.clone();
            let mut refused = 0;
            for at in (table..(table + 2000).min(bytes.len())).chain(bytes.len() - 200..bytes.len()) {
                for flip in [0x01, 0x80, 0xff] {
                    wrong[at] ^= flip;
                    refused += usize::from(survive(&wrong) == 0);
                    wrong[at] = bytes[at];
                }
            }
            assert!(refused > 500, "{refused} of 6,600 changes were noticed");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]
        #[test]
        fn damaged_files_neither_crash_nor_take_memory(
            file in 0usize..3,
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
            cut in prop::option::of(any::<prop::sample::Index>()),
        ) {
            let mut bytes = FILES[file].clone();
            // Most bytes are numbers: the table and the directory deserve the blows.
            for (at, byte) in changes {
                let near = bytes.len().min(4000);
                let at = at.index(2 * near);
                let at = if at < near { at } else { bytes.len() - 2 * near + at };
                bytes[at] = byte;
            }
            if let Some(cut) = cut {
                bytes.truncate(cut.index(bytes.len()));
            }
            survive(&bytes);
        }

        #[test]
        fn anything_is_answered(bytes in prop::collection::vec(any::<u8>(), 0..300), former: bool) {
            let mut file = if former { vec![0x80, 2] } else { b"PK\x03\x04".to_vec() };
            file.extend(bytes);
            survive(&file);
        }
    }

    /// A pickle as an old file begins with, after which anything may follow.
    fn pickled(body: &[u8]) -> String {
        let magic = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.";
        let version = b"\x80\x02M\xe9\x03.";
        let machine = b"\x80\x02}X\x0d\x00\x00\x00little_endian\x88s.";
        let file = [magic.as_slice(), version, machine, b"\x80\x02", body, b"\x80\x02]."].concat();
        open(&file).err().unwrap()
    }

    #[test]
    fn what_is_no_table_of_weights_is_refused_by_name() {
        for (body, words) in [
            (&b"cposix\nsystem\nX\x04\x00\x00\x00true\x85R."[..], "posix.system"),
            (b"cbuiltins\neval\nX\x01\x00\x00\x001\x85R.", "builtins.eval"),
            (b"\x8c\x02os\x8c\x06system\x93.", "os.system"),
            (b"ctorch._utils\n_rebuild_tensor\n.", "torch._utils._rebuild_tensor,"),
            (b"cnumpy.core.multiarray\n_reconstruct\n.", "numpy.core.multiarray._reconstruct"),
            (b"ctorch\nDoubleTensor\n.", "torch.DoubleTensor"),
            (b"}X\x01\x00\x00\x00aNs.", "no tensors by name, but [\"a\"]"),
            (b"i", "operation 0x69"),
            (b")\x81.", "operation 0x81"),
            (b"N)R.", "call of what is no function"),
            (b"ccollections\nOrderedDict\n(NtR.", "arguments that do not fit"),
            (b"(X\x06\x00\x00\x00moduleNNNNtQ.", "something else than a storage"),
            (b"h\x07.", "recalls what was never stored"),
            (b"(.", "stack is empty"),
            (b"N}s.", "stack is empty"),
            (b"NNb.", "no dictionary"),
            (b"X\xff\xff\xff\xff", "cut off"),
        ] {
            let error = pickled(body);
            assert!(error.contains(words), "{words}: {error}");
        }
    }

    /// A table with one tensor of 6 numbers in 32 bits, laid out as given.
    fn laid_out(offset: &str, shape: &str, strides: &str) -> Result<Vec<f32>, String> {
        let tuple = |numbers: &str| {
            let values = numbers
                .split_whitespace()
                .map(|n| [b"J".as_slice(), &n.parse::<i32>().unwrap().to_le_bytes()].concat());
            [b"(".to_vec(), values.flatten().collect(), b"t".to_vec()].concat()
        };
        let offset = [b"J".as_slice(), &offset.parse::<i32>().unwrap().to_le_bytes()].concat();
        let storage = b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x06NtQ";
        let table = [
            b"\x80\x02}X\x01\x00\x00\x00wctorch._utils\n_rebuild_tensor_v2\n(".as_slice(),
            storage,
            &offset,
            &tuple(shape),
            &tuple(strides),
            b"\x89)tRs.\x80\x02]X\x01\x00\x00\x000a.",
            &6u64.to_le_bytes(),
            &[1f32, 2.0, 3.0, 4.0, 5.0, 6.0].map(f32::to_le_bytes).concat(),
        ]
        .concat();
        let magic = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}X\x0d\x00\x00\x00little_endian\x88s.";
        let found = open(&[magic.as_slice(), &table].concat())?;
        Ok(found[0].1.floats().unwrap())
    }

    #[test]
    fn strides_are_followed_and_never_out_of_the_storage() {
        assert_eq!(laid_out("0", "2 3", "3 1"), Ok(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]));
        assert_eq!(laid_out("0", "3 2", "1 3"), Ok(vec![1.0, 4.0, 2.0, 5.0, 3.0, 6.0]));
        assert_eq!(laid_out("1", "2", "4"), Ok(vec![2.0, 6.0]));
        assert_eq!(laid_out("0", "1 6", "9 1"), Ok(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]));
        assert_eq!(laid_out("2", "", ""), Ok(vec![3.0]));
        assert_eq!(laid_out("6", "0", "1"), Ok(vec![]));
        for (offset, shape, strides) in [
            ("1", "2 3", "3 1"),
            ("7", "0", "1"),
            ("0", "2 3", "4 1"),
            ("0", "1000000 1000000", "0 0"),
            ("0", "2147483647 2147483647 2147483647", "2147483647 2147483647 2147483647"),
            ("0", "2", "1 1"),
            ("0", "-1", "1"),
            ("0", "2", "-1"),
        ] {
            let error = laid_out(offset, shape, strides).unwrap_err();
            assert!(error.contains("tensor") || error.contains("count"), "{shape}: {error}");
        }
    }
}
