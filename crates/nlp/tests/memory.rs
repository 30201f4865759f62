//! Small files that claim to be large: reading one takes memory in the measure of its own size. Every allocation of this
//! test's process is counted; the whole is one test, so that nothing else is counted with it.

#[path = "readers/fixture.rs"]
mod files;

use files::fixture;
use nlp::encoder::{Encoder, Options, check_tokenizer};
use nlp::language::LanguageIdentifier;
use serde_json::json;
use std::alloc::{GlobalAlloc, Layout, System};
use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes that are taken now, and at most since the last reset.
static NOW: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

struct Counted;

#[expect(unsafe_code, reason = "an allocator that counts")]
// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        MOST.fetch_max(NOW.fetch_add(layout.size(), Ordering::Relaxed) + layout.size(), Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counted = Counted;

/// Megabytes that some work takes at most.
fn megabytes(work: impl FnOnce()) -> usize {
    let before = NOW.load(Ordering::Relaxed);
    MOST.store(before, Ordering::Relaxed);
    work();
    (MOST.load(Ordering::Relaxed) - before) >> 20
}

/// The form before 1.6 around a table, a list of keys and the storages.
fn torch(table: &[u8], keys: &[u8], storages: &[u8]) -> Vec<u8> {
    let begin =
        b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}X\x0d\x00\x00\x00little_endian\x88s.";
    [begin.as_slice(), b"\x80\x02", table, b".\x80\x02", keys, b".", storages].concat()
}

fn text(text: &[u8]) -> Vec<u8> {
    [b"X".as_slice(), &(text.len() as u32).to_le_bytes(), text].concat()
}

/// A storage of `count` numbers, kept in the pickle's memory as 1; the function that makes tensors is 0.
fn storage(key: &[u8], count: u32) -> Vec<u8> {
    let function = b"ctorch._utils\n_rebuild_tensor_v2\nq\x00";
    let kind = b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\n";
    [function, kind.as_slice(), &text(key), &text(b"cpu"), b"J", &count.to_le_bytes(), b"tQq\x01"].concat()
}

/// A tensor in that storage.
fn tensor(shape: &[u32]) -> Vec<u8> {
    let tuple = |numbers: &[u32]| {
        let numbers = numbers.iter().flat_map(|n| [b"J".as_slice(), &n.to_le_bytes()].concat());
        [b"(".to_vec(), numbers.collect(), b"t".to_vec()].concat()
    };
    let strides: Vec<u32> = (1..=shape.len()).map(|axis| shape[axis..].iter().product()).collect();
    [b"h\x00(h\x01K\x00".to_vec(), tuple(shape), tuple(&strides), b"tR".to_vec()].concat()
}

/// Many tensors of one storage, whose key is a megabyte long.
fn long_key() -> Vec<u8> {
    let entry = |n: u32| [text(n.to_string().as_bytes()), tensor(&[1]), b"s".to_vec()].concat();
    let table: Vec<u8> = (0..2000).flat_map(entry).collect();
    torch(&[storage(&[b'k'; 1 << 20], 0), b"}".to_vec(), table].concat(), b"]", b"")
}

/// One name of a megabyte for many tensors.
fn long_name() -> Vec<u8> {
    let entries = [b"h\x02".to_vec(), tensor(&[1]), b"s".to_vec()].concat().repeat(2000);
    let begin = [storage(b"0", 1), text(&[b'n'; 1 << 20]), b"q\x02}".to_vec()].concat();
    let storages = [&1u64.to_le_bytes()[..], &[0; 4]].concat();
    torch(&[begin, entries].concat(), &[b"]".to_vec(), text(b"0"), b"a".to_vec()].concat(), &storages)
}

/// A BERT of 100 layers whose matrices are all the same bytes.
fn one_matrix() -> Vec<u8> {
    let (hidden, up) = (512, 2048);
    let mut table = [storage(b"0", hidden * up), b"}".to_vec()].concat();
    let mut add = |name: String, shape: &[u32]| {
        table.extend([text(name.as_bytes()), tensor(shape), b"s".to_vec()].concat());
    };
    for name in ["word", "position", "token_type"] {
        add(format!("bert.embeddings.{name}_embeddings.weight"), &[64, hidden]);
    }
    let norm = |name: &str| [format!("{name}.LayerNorm.weight"), format!("{name}.LayerNorm.bias")];
    norm("bert.embeddings").into_iter().for_each(|name| add(name, &[hidden]));
    for layer in (0..100).map(|layer| format!("bert.encoder.layer.{layer}")) {
        for part in ["attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"] {
            add(format!("{layer}.{part}.weight"), &[hidden, hidden]);
        }
        add(format!("{layer}.intermediate.dense.weight"), &[up, hidden]);
        add(format!("{layer}.output.dense.weight"), &[hidden, up]);
        for name in ["attention.output", "output"] {
            norm(&format!("{layer}.{name}")).into_iter().for_each(|name| add(name, &[hidden]));
        }
    }
    let storages = [&u64::from(hidden * up).to_le_bytes()[..], &vec![0; (hidden * up * 4) as usize]].concat();
    torch(&table, &[b"]".to_vec(), text(b"0"), b"a".to_vec()].concat(), &storages)
}

/// A safetensors file with tensors on the same bytes.
fn overlapping() -> Vec<u8> {
    let tensor = json!({"dtype": "F32", "shape": [1 << 18], "data_offsets": [0, 1 << 20]});
    let header: serde_json::Map<_, _> = (0..5000).map(|n| (n.to_string(), tensor.clone())).collect();
    let header = json!(header).to_string();
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &vec![0; 1 << 20]].concat()
}

/// An ONNX graph of empty operations.
fn empty_operations() -> Vec<u8> {
    let nodes = [0x0a, 0].repeat(1 << 20);
    let mut file = vec![0x3a];
    let mut length = nodes.len();
    while length >= 0x80 {
        file.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    file.push(length as u8);
    file.extend(nodes);
    file
}

/// A fastText model whose matrix has a thousand numbers for a byte of codes.
fn quantised() -> Vec<u8> {
    let (dim, rows) = (1024i32, 1 << 20);
    let mut file: Vec<u8> = [793_712_314, 12, dim, 0, 0, 0, 0, 0, 1, 0, 1, 1, 1, 0].map(i32::to_le_bytes).concat();
    file.extend([0; 8]);
    file.extend([2, 0, 2].map(i32::to_le_bytes).concat());
    file.extend([0; 16]);
    for label in [b"a\0", b"b\0"] {
        file.extend(label);
        file.extend([0; 8]);
        file.push(1);
    }
    file.extend([1, 0]);
    file.extend([rows as i64, i64::from(dim)].map(i64::to_le_bytes).concat());
    file.extend((rows as i32).to_le_bytes());
    file.resize(file.len() + rows, 0);
    file.extend([dim, 1, dim, dim].map(i32::to_le_bytes).concat());
    file.resize(file.len() + dim as usize * 256 * 4, 0);
    file
}

/// What loading a fixture takes with one file of it replaced; it must be refused.
fn load(case: &str, file: &str, bytes: &[u8], settings: &[(&str, u32)]) -> (usize, String) {
    let folder = fixture(case, &["model.safetensors"]);
    let path = folder.path().join("config.json");
    let mut config: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    settings.iter().for_each(|(name, value)| config[*name] = json!(value));
    fs::write(path, config.to_string()).unwrap();
    fs::write(folder.path().join(file), bytes).unwrap();
    let mut said = String::new();
    let taken = megabytes(|| match Encoder::load(folder.path(), Options::default()) {
        Ok(_) => said.push_str("it was loaded"),
        Err(error) => said = error.to_string(),
    });
    (taken, said)
}

#[test]
fn a_small_file_takes_little_memory_whatever_it_claims() {
    let large = [
        ("hidden_size", 512),
        ("num_hidden_layers", 100),
        ("num_attention_heads", 8),
        ("intermediate_size", 2048),
        ("max_position_embeddings", 64),
    ];
    let words = json!({"model.embeddings.tok_embeddings.weight":
        {"dtype": "I8", "shape": [1, 1 << 20], "data_offsets": [0, 1 << 20]}});
    let words = words.to_string();
    let wide = [&(words.len() as u64).to_le_bytes()[..], words.as_bytes(), &vec![0; 1 << 20]].concat();
    let marks = torch(&b"(".repeat(2 << 20), b"]", b"");
    let memories = torch(&[b"N".to_vec(), b"\x94".repeat(2 << 20)].concat(), b"]", b"");
    for (case, file, bytes, settings, words) in [
        ("bert", "pytorch_model.bin", long_key(), &large[..], "storage"),
        ("bert", "pytorch_model.bin", long_name(), &large[..], "the weights hold no"),
        ("bert", "pytorch_model.bin", one_matrix(), &large[..], "more numbers than its files hold"),
        ("bert", "pytorch_model.bin", marks, &[], "more marks"),
        ("bert", "pytorch_model.bin", memories, &[], "remembers more"),
        ("bert", "model.safetensors", overlapping(), &[], "does not begin where"),
        ("bert", "model.onnx", empty_operations(), &[], "more operations"),
        (
            "modernbert",
            "model.safetensors",
            wide,
            &[("hidden_size", 1 << 20), ("num_attention_heads", 1)],
            "hidden_size",
        ),
        ("bert", "config.json", vec![b' '; 5 << 20], &[], "larger than 4 MB"),
    ] {
        let (taken, said) = load(case, file, &bytes, settings);
        assert!(said.contains(words), "{file}: {said}");
        assert!(taken < 64, "{file} of {} bytes took {taken} MB: {said}", bytes.len());
    }
    let folder = fixture("xlm-roberta", &["model.safetensors"]);
    fs::write(folder.path().join("sentencepiece.bpe.model"), b"\x0a\x02\x0a\x00".repeat(2 << 20)).unwrap();
    let taken = megabytes(|| assert!(check_tokenizer(folder.path()).is_err()));
    assert!(taken < 64, "the pieces took {taken} MB");
    let taken = megabytes(|| assert!(LanguageIdentifier::parse(&quantised()).is_err()));
    assert!(taken < 64, "the language model took {taken} MB");
}
