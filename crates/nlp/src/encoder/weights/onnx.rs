//! Weights out of an ONNX graph, by the names that the parameters had in torch.
//!
//! Exporters keep the names of embeddings, norms and biases. The matrices of dense layers they turn and rename; their
//! names come back from where they stand in the graph: a product whose sum with `NAME.bias` is taken is `NAME.weight`,
//! and a product without a sum carries its module's path in its own name, or in a note of torch's newer exporter. A
//! graph that was quantised, or fused for one engine, does not say any more which matrix is which; it is refused.
//!
//! ```text
//! model:      7 graph
//! graph:      1 node (repeated)    5 initialiser (repeated)
//! node:       1 input (repeated)   2 output (repeated)   3 name   4 operation   5 attribute (repeated)   7 domain
//!             9 note (repeated)
//! attribute:  1 name               3 whole number
//! tensor:     1 axis (repeated)    2 type   4 floats   8 name   9 bytes   13 external (repeated)   14 where
//! external, note:   1 key          2 value
//! ```

use super::super::protobuf::{Field, Message};
use super::source::Source;
use super::{FILES_MAX, Tensor, is_file_name};
use safetensors::Dtype;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

/// Operations, tensors, and names of what goes in and out of operations, each at most: a model of 24 layers has about
/// 3,000, 1,000 and 10,000.
const NODES_MAX: usize = 1 << 17;
/// Axes of a tensor at most.
const AXES_MAX: usize = 8;

/// Opens a file that stands beside the graph and holds bytes of its tensors.
pub(super) type Beside<'a> = &'a mut dyn FnMut(&str) -> Result<Arc<Source>, String>;

/// The weights of a graph, by name.
pub(super) fn tensors(file: &Arc<Source>, beside: Beside<'_>) -> Result<Vec<(String, Tensor)>, String> {
    let graph = Graph::read(file)?;
    graph.check()?;
    let mut found = HashMap::new();
    for tensor in &graph.tensors {
        if let Some(placed) =
            tensor.place(file, beside).map_err(|problem| format!("tensor {:?}: {problem}", tensor.name))?
        {
            found.insert(tensor.name.to_owned(), placed);
        }
    }
    let aliases = graph.nodes.iter().filter(|node| node.operation == "Identity");
    for node in aliases {
        if let ([input, ..], [output, ..]) = (node.inputs.as_slice(), node.outputs.as_slice())
            && let Some(tensor) = found.get(*input).cloned()
        {
            found.insert((*output).to_owned(), tensor);
        }
    }
    let named = graph.matrices(&found)?;
    found.extend(named);
    Ok(found.into_iter().collect())
}

/// Files beside the graph that hold bytes of its tensors.
pub(super) fn files(file: &Source) -> Result<Vec<String>, String> {
    let graph = Graph::read(file)?;
    let mut found: Vec<String> = graph.tensors.iter().filter_map(|tensor| tensor.location.map(str::to_owned)).collect();
    found.sort_unstable();
    found.dedup();
    match found.iter().find(|name| !is_file_name(name)) {
        Some(name) => Err(format!("{name:?} is no name of a file beside it")),
        None if found.len() > FILES_MAX => Err(format!("its numbers are in more than {FILES_MAX} files")),
        None => Ok(found),
    }
}

#[derive(Default)]
struct Graph<'a> {
    nodes: Vec<Node<'a>>,
    tensors: Vec<Constant<'a>>,
}

/// An operation.
#[derive(Default)]
struct Node<'a> {
    name: &'a str,
    operation: &'a str,
    /// Empty for ONNX's own operations.
    domain: &'a str,
    inputs: Vec<&'a str>,
    outputs: Vec<&'a str>,
    /// Of a dense layer: its matrix stands as torch has it, outputs by inputs.
    turned: bool,
    /// Modules that it stands in, as Python lists them: `['', 'bert', 'bert.pooler', 'tanh']`.
    scopes: &'a str,
}

/// An initialiser.
#[derive(Default)]
struct Constant<'a> {
    name: &'a str,
    kind: u64,
    shape: Vec<usize>,
    bytes: Option<&'a [u8]>,
    location: Option<&'a str>,
    offset: usize,
    length: Option<usize>,
}

impl<'a> Graph<'a> {
    fn read(file: &'a Source) -> Result<Self, String> {
        let mut found = Self::default();
        let (mut graphs, mut names) = (0, 0);
        for field in Message(file.in_memory().ok_or("it is not in memory")?) {
            let Field::Bytes(7, graph) = field? else { continue };
            graphs += 1;
            for field in Message(graph) {
                match field? {
                    Field::Bytes(1, node) => {
                        let node = Node::read(node)?;
                        names += 1 + node.inputs.len() + node.outputs.len();
                        found.nodes.push(node);
                    }
                    Field::Bytes(5, tensor) => found.tensors.push(Constant::read(tensor)?),
                    _ => {}
                }
                if names.max(found.tensors.len()) > NODES_MAX {
                    return Err("it has more operations or tensors than any model".into());
                }
            }
        }
        if graphs != 1 || found.nodes.is_empty() {
            return Err("it holds no ONNX graph".into());
        }
        Ok(found)
    }

    /// Refuses graphs that do other arithmetic than the model they were made of.
    fn check(&self) -> Result<(), String> {
        let quantised = |node: &&Node<'_>| {
            let name = node.operation;
            name.contains("Quantize")
                || name.ends_with("Integer")
                || name.starts_with("QLinear")
                || name.ends_with("NBits")
        };
        if let Some(node) = self.nodes.iter().find(quantised) {
            return Err(format!(
                "the graph is quantised ({}): take the one in full precision, usually onnx/model.onnx; it is rounded to \
                 8 bits here",
                node.operation
            ));
        }
        match self.nodes.iter().find(|node| !matches!(node.domain, "" | "ai.onnx")) {
            Some(node) => Err(format!(
                "the graph is fused for one engine ({} of {}): take the one that was not optimised",
                node.operation, node.domain
            )),
            None => Ok(()),
        }
    }

    /// The matrices of dense layers by their names in torch, outputs by inputs.
    fn matrices(&self, known: &HashMap<String, Tensor>) -> Result<HashMap<String, Tensor>, String> {
        let biases = self.biases(known);
        let mut found: HashMap<String, Tensor> = HashMap::new();
        for node in self.nodes.iter().filter(|node| matches!(node.operation, "MatMul" | "Gemm")) {
            let Some(matrix) = node.inputs.get(1).and_then(|name| known.get(*name)) else { continue };
            if matrix.shape.len() != 2 {
                continue;
            }
            let bias = node
                .inputs
                .get(2)
                .or_else(|| biases.get(node.outputs.first()?))
                .filter(|bias| known.contains_key(**bias));
            let module = bias.and_then(|bias| bias.strip_suffix(".bias")).map(str::to_owned).or_else(|| node.module());
            let Some(module) = module else {
                return Err(format!(
                    "which layer the matrix {:?} belongs to can't be told: the operation {:?} has no named bias and no \
                     path for a name",
                    node.inputs[1], node.name
                ));
            };
            let matrix = if node.turned { matrix.clone() } else { matrix.transposed() };
            let name = format!("{module}.weight");
            // A layer may be used twice, and its matrix be there twice; two layers that share a bias can't be told apart.
            if found.get(&name).is_some_and(|known| !known.equals(&matrix)) {
                return Err(format!("two matrices of the graph would be {name:?}"));
            }
            found.insert(name, matrix);
        }
        Ok(found)
    }

    /// What is added to the output of an operation, where it is an initialiser.
    fn biases(&self, known: &HashMap<String, Tensor>) -> HashMap<&'a str, &'a str> {
        let sums = self.nodes.iter().filter(|node| node.operation == "Add");
        let sums = sums.filter_map(|node| match node.inputs.as_slice() {
            [a, b] if known.contains_key(*a) => Some((*b, *a)),
            [a, b] if known.contains_key(*b) => Some((*a, *b)),
            _ => None,
        });
        sums.collect()
    }
}

impl<'a> Node<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, String> {
        let mut found = Self::default();
        for field in Message(bytes) {
            match field? {
                Field::Bytes(1, name) => found.inputs.push(text(name)?),
                Field::Bytes(2, name) => found.outputs.push(text(name)?),
                Field::Bytes(3, name) => found.name = text(name)?,
                Field::Bytes(4, name) => found.operation = text(name)?,
                Field::Bytes(5, attribute) => found.turned |= is_set(attribute, b"transB")?,
                Field::Bytes(7, name) => found.domain = text(name)?,
                Field::Bytes(9, note) => {
                    if let ("pkg.torch.onnx.name_scopes", scopes) = entry(note)? {
                        found.scopes = scopes;
                    }
                }
                _ => {}
            }
            if found.inputs.len() + found.outputs.len() > NODES_MAX {
                return Err("an operation with more names than any model has".into());
            }
        }
        Ok(found)
    }

    /// `/bert/encoder/layer.0/output/dense/MatMul` -> `bert.encoder.layer.0.output.dense`; or the module of its note.
    fn module(&self) -> Option<String> {
        if let Some((path, _)) = self.name.strip_prefix('/').and_then(|name| name.rsplit_once('/')) {
            return Some(path.replace('/', "."));
        }
        let mut scopes = self.scopes.rsplit('\'').skip(1).step_by(2);
        scopes.nth(1).filter(|module| !module.is_empty()).map(str::to_owned)
    }
}

impl<'a> Constant<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, String> {
        let mut found = Self::default();
        let mut outside = false;
        for field in Message(bytes) {
            match field? {
                Field::Varint(1, axis) => found.axis(axis)?,
                Field::Bytes(1, axes) => {
                    let mut axes = Message(axes);
                    while !axes.0.is_empty() {
                        found.axis(axes.varint().ok_or("an axis is cut off")?)?;
                    }
                }
                Field::Varint(2, kind) => found.kind = kind,
                Field::Bytes(8, name) => found.name = text(name)?,
                Field::Bytes(4 | 9, bytes) => found.bytes = Some(bytes),
                Field::Bytes(13, entry) => found.outside(entry)?,
                Field::Varint(14, place) => outside = place == 1,
                _ => {}
            }
        }
        if !outside {
            found.location = None;
        } else if found.location.is_none() {
            return Err(format!("tensor {:?}: the file that holds it is not named", found.name));
        }
        Ok(found)
    }

    fn axis(&mut self, axis: u64) -> Result<(), String> {
        if self.shape.len() == AXES_MAX {
            return Err(format!("tensor {:?} has more than {AXES_MAX} axes", self.name));
        }
        let axis = usize::try_from(axis).ok().filter(|n| *n <= 1 << 40);
        self.shape.push(axis.ok_or("an axis of an impossible length")?);
        Ok(())
    }

    fn outside(&mut self, bytes: &'a [u8]) -> Result<(), String> {
        let (key, value) = entry(bytes)?;
        let number = || value.parse::<usize>().map_err(|_| format!("{value:?} where a number of bytes must stand"));
        match key {
            "location" => self.location = Some(value),
            "offset" => self.offset = number()?,
            "length" => self.length = Some(number()?),
            _ => {}
        }
        Ok(())
    }

    /// The tensor in the file that holds its bytes; none for kinds that no weights have.
    fn place(&self, file: &Arc<Source>, beside: Beside<'_>) -> Result<Option<Tensor>, String> {
        let dtype = match self.kind {
            1 => Dtype::F32,
            10 => Dtype::F16,
            11 => Dtype::F64,
            16 => Dtype::BF16,
            _ => return Ok(None),
        };
        let count = self.shape.iter().try_fold(dtype.bitsize() / 8, |count, &n| count.checked_mul(n));
        let (file, range) = match self.location {
            Some(name) if is_file_name(name) => {
                let file = beside(name)?;
                let length = self.length.or(count).ok_or("it is larger than memory")?;
                let end = self.offset.checked_add(length).filter(|end| *end <= file.length());
                let end = end.ok_or_else(|| format!("{name} is too short for it: the file is not whole"))?;
                (file, self.offset..end)
            }
            Some(name) => return Err(format!("{name:?} is no name of a file beside the graph")),
            None => (Arc::clone(file), self.bytes.map_or(0..0, |bytes| range_in(file.in_memory(), bytes))),
        };
        if count != Some(range.len()) {
            return Err(format!("shape {:?} of {dtype:?} in {} bytes", self.shape, range.len()));
        }
        Tensor::contiguous(&file, range, dtype, self.shape.clone()).map(Some)
    }
}

/// Where a part of a file's bytes lies in it.
fn range_in(file: Option<&[u8]>, part: &[u8]) -> Range<usize> {
    let begin = part.as_ptr().addr() - file.unwrap_or_default().as_ptr().addr();
    begin..begin + part.len()
}

fn text(bytes: &[u8]) -> Result<&str, String> {
    str::from_utf8(bytes).map_err(|_| "a name is no text".into())
}

/// A key with its value.
fn entry(bytes: &[u8]) -> Result<(&str, &str), String> {
    let (mut key, mut value) = ("", "");
    for field in Message(bytes) {
        match field? {
            Field::Bytes(1, found) => key = text(found)?,
            Field::Bytes(2, found) => value = text(found)?,
            _ => {}
        }
    }
    Ok((key, value))
}

/// Whether an attribute has that name and a number that is not zero.
fn is_set(attribute: &[u8], name: &[u8]) -> Result<bool, String> {
    let (mut named, mut set) = (false, false);
    for field in Message(attribute) {
        match field? {
            Field::Bytes(1, found) => named = found == name,
            Field::Varint(3, value) => set = value != 0,
            _ => {}
        }
    }
    Ok(named && set)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::path::{Path, PathBuf};
    use std::sync::LazyLock;

    static FILE: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/parity/containers/distilbert.onnx");
        std::fs::read(folder.join("onnx/model.onnx")).unwrap()
    });

    fn held(bytes: &[u8]) -> Arc<Source> {
        Arc::new(Source::of(Path::new("x.onnx"), bytes.to_vec()))
    }

    fn open(bytes: &[u8]) -> Result<HashMap<String, Tensor>, String> {
        let beside = &mut |name: &str| match name {
            "data" => Ok(held(&[0, 0, 0, 0, 0, 0, 0x80, 0x3f])),
            _ => Err(format!("there is no {name}")),
        };
        tensors(&held(bytes), beside).map(|found| found.into_iter().collect())
    }

    fn survive(bytes: &[u8]) {
        for tensor in open(bytes).unwrap_or_default().values() {
            assert!(tensor.count() <= bytes.len());
            drop(tensor.floats());
        }
    }

    #[test]
    fn a_cut_graph_is_refused_wherever_it_is_cut() {
        assert!(open(&FILE).unwrap().len() > 50);
        // Behind the graph only the version of its operations follows, 4 bytes.
        let end = FILE.len() - 4;
        for length in (0..end).step_by(end / 300).chain(end - 20..end) {
            assert!(open(&FILE[..length]).is_err(), "{length} bytes were taken");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn damaged_graphs_neither_crash_nor_take_memory(
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
        ) {
            let mut bytes = FILE.clone();
            for (at, byte) in changes {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            survive(&bytes);
        }

        #[test]
        fn anything_is_answered(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            survive(&bytes);
            survive(&field(7, &field(5, &bytes)));
        }
    }

    /// A field of bytes; short ones only.
    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        let length = bytes.len();
        [&[number << 3 | 2, (length & 0x7f) as u8 | 0x80, (length >> 7) as u8], bytes].concat()
    }

    fn node(operation: &str, domain: &str, name: &str, inputs: &[&str], output: &str) -> Vec<u8> {
        let inputs: Vec<u8> = inputs.iter().flat_map(|input| field(1, input.as_bytes())).collect();
        let named = [(2, output), (3, name), (4, operation), (7, domain)].map(|(n, text)| field(n, text.as_bytes()));
        field(1, &[inputs, named.concat()].concat())
    }

    fn matrix(name: &str, rows: u8, columns: u8, rest: &[u8]) -> Vec<u8> {
        let head = [8, rows, 8, columns, 16, 1];
        field(5, &[&head, field(8, name.as_bytes()).as_slice(), rest].concat())
    }

    /// The numbers 0, 1, 2, ... of a matrix.
    fn numbers(count: u8) -> Vec<u8> {
        field(9, &(0..count).map(|n| f32::from(n).to_le_bytes()).collect::<Vec<_>>().concat())
    }

    fn graph(parts: &[Vec<u8>]) -> Vec<u8> {
        field(7, &parts.concat())
    }

    #[test]
    fn matrices_get_their_names_and_their_side_back() {
        let bias = field(5, &[&[8, 3, 16, 1], field(8, b"a.dense.bias").as_slice(), &numbers(3)].concat());
        let found = open(&graph(&[
            node("MatMul", "", "node_1", &["x", "val_1"], "y"),
            node("Add", "", "node_2", &["y", "a.dense.bias"], "z"),
            node("MatMul", "", "/b/layers.0/Wo/MatMul", &["z", "val_2"], "u"),
            node("MatMul", "", "attention", &["z", "u"], "v"),
            node("MatMul", "", "again", &["x", "val_3"], "w"),
            node("Add", "", "node_3", &["a.dense.bias", "w"], "t"),
            matrix("val_3", 2, 3, &numbers(6)),
            matrix("val_1", 2, 3, &numbers(6)),
            matrix("val_2", 3, 1, &numbers(3)),
            bias,
        ]));
        let found = found.unwrap();
        let dense = &found["a.dense.weight"];
        assert_eq!(
            (dense.shape.as_slice(), dense.floats().unwrap()),
            (&[3, 2][..], vec![0.0, 3.0, 1.0, 4.0, 2.0, 5.0])
        );
        assert_eq!(found["b.layers.0.Wo.weight"].shape, [1, 3]);
        assert_eq!(found["a.dense.bias"].floats().unwrap(), [0.0, 1.0, 2.0]);
    }

    #[test]
    fn the_note_of_the_newer_exporter_names_a_layer_without_bias() {
        let module = |scopes: &'static str| Node { name: "node_linear", scopes, ..Node::default() }.module();
        let scopes = "['', 'model', 'model.layers.0', 'model.layers.0.attn', 'model.layers.0.attn.Wqkv', 'linear']";
        assert_eq!(module(scopes).as_deref(), Some("model.layers.0.attn.Wqkv"));
        assert_eq!(module("['', 'linear']"), None);
        assert_eq!(module(""), None);
    }

    #[test]
    fn numbers_beside_the_graph_are_found_and_nothing_elsewhere() {
        let outside = |location: &str, length: &str| {
            let entry =
                |key: &str, value: &str| field(13, &[field(1, key.as_bytes()), field(2, value.as_bytes())].concat());
            let rest =
                [entry("location", location), entry("offset", "4"), entry("length", length), vec![0x70, 1]].concat();
            open(&graph(&[node("Relu", "", "r", &["x"], "y"), matrix("m", 1, 1, &rest)]))
        };
        assert_eq!(outside("data", "4").unwrap()["m"].floats().unwrap(), [1.0]);
        for (location, length, words) in [
            ("../data", "4", "no name of a file beside"),
            ("/etc/passwd", "4", "no name of a file beside"),
            ("other", "4", "there is no other"),
            ("data", "8", "too short"),
            ("data", "-1", "number of bytes"),
            ("data", "3", "in 3 bytes"),
        ] {
            let error = outside(location, length).err().unwrap();
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn a_graph_that_does_not_tell_is_refused_with_the_reason() {
        let plain = node("MatMul", "", "node_1", &["x", "m"], "y");
        for (parts, words) in [
            (vec![node("MatMulInteger", "", "", &["x", "m"], "y")], "quantised (MatMulInteger)"),
            (vec![node("DynamicQuantizeLinear", "", "", &["x"], "y")], "quantised (DynamicQuantizeLinear)"),
            (vec![node("Attention", "com.microsoft", "", &["x"], "y")], "Attention of com.microsoft"),
            (vec![plain.clone(), matrix("m", 1, 1, &numbers(1))], "\"node_1\" has no named bias"),
            (
                vec![
                    node("MatMul", "", "/a/MatMul", &["x", "m"], "y"),
                    node("MatMul", "", "/a/MatMul", &["x", "n"], "z"),
                    matrix("m", 1, 2, &numbers(2)),
                    matrix("n", 1, 2, &field(9, &[0; 8])),
                ],
                "two matrices of the graph would be \"a.weight\"",
            ),
            (vec![plain.clone(), matrix("m", 2, 2, &numbers(3))], "in 12 bytes"),
            (vec![matrix("m", 1, 1, &numbers(1))], "no ONNX graph"),
        ] {
            let error = open(&graph(&parts)).err().unwrap();
            assert!(error.contains(words), "{words}: {error}");
        }
    }
}
