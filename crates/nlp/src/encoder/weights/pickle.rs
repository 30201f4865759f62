//! Python's pickle format, as far as a table of weights needs it. A pickle is a program for a machine with a stack; this
//! machine knows how to make numbers, texts, tuples, lists and dictionaries, and of all that Python could import it knows
//! the few names below, each as a word and not as code. Any other name is refused before anything is made of it.
//!
//! Everything made lies in one list, and values name each other by their place in it, so that no pickle can make the
//! reader recurse. Texts stay in the bytes of the pickle and are never copied: a pickle recalls one text as often as it
//! likes for two bytes each time. Every list that grows has a bound, so that memory is bounded as well.

use safetensors::Dtype;
use std::collections::HashMap;

/// Values of a pickle at most, and what it keeps on its stack and remembers: a model of 1,000 tensors has about 30,000.
const VALUES_MAX: usize = 1 << 19;
/// Marks within one another at most; torch needs three.
const MARKS_MAX: usize = 1000;
/// Bytes of a pickle at most: a model of 1,000 tensors has about 150,000.
pub(super) const BYTES_MAX: usize = 16 << 20;

/// Place of a value in the list.
type Id = usize;

/// What may be imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Global {
    OrderedDict,
    RebuildTensor,
    RebuildParameter,
    Storage(Dtype),
}

impl Global {
    fn named(module: &str, name: &str) -> Result<Self, String> {
        match (module, name) {
            ("collections", "OrderedDict") => return Ok(Self::OrderedDict),
            ("torch._utils", "_rebuild_tensor_v2") => return Ok(Self::RebuildTensor),
            ("torch._utils", "_rebuild_parameter") => return Ok(Self::RebuildParameter),
            _ => {}
        }
        let dtype = name.strip_suffix("Storage").filter(|_| module == "torch").and_then(|kind| match kind {
            "Double" => Some(Dtype::F64),
            "Float" => Some(Dtype::F32),
            "Half" => Some(Dtype::F16),
            "BFloat16" => Some(Dtype::BF16),
            "Long" => Some(Dtype::I64),
            "Int" => Some(Dtype::I32),
            "Short" => Some(Dtype::I16),
            "Char" => Some(Dtype::I8),
            "Byte" => Some(Dtype::U8),
            "Bool" => Some(Dtype::BOOL),
            _ => None,
        });
        dtype.map(Self::Storage).ok_or_else(|| {
            format!(
                "it asks for {module}.{name}, which a table of weights does not need; it is refused, and nothing in it \
                 was run. A file that is to be trusted can be saved anew in Python, the weights alone: \
                 torch.save(model.state_dict(), ...), or as safetensors"
            )
        })
    }
}

/// Where a tensor's numbers are: a storage of the file, and how the tensor lies in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stored<'a> {
    pub(super) key: &'a str,
    pub(super) dtype: Dtype,
    /// Numbers in the whole storage.
    pub(super) count: usize,
    /// The first number of the tensor.
    pub(super) offset: usize,
    pub(super) shape: Vec<usize>,
    /// Numbers between neighbours along each axis.
    pub(super) strides: Vec<usize>,
}

#[derive(Debug, Clone, PartialEq)]
enum Value<'a> {
    None,
    /// Booleans are numbers, as in Python.
    Int(i128),
    Float,
    Text(&'a str),
    Tuple(Vec<Id>),
    List(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    Global(Global),
    Storage {
        key: &'a str,
        dtype: Dtype,
        count: usize,
    },
    Tensor(Stored<'a>),
}

/// A pickle that was read.
pub(super) struct Unpickled<'a> {
    values: Vec<Value<'a>>,
    root: Id,
    /// Bytes it took.
    pub(super) length: usize,
}

impl<'a> Unpickled<'a> {
    /// The tensors of a dictionary, by name; of two with one name the later, as in Python.
    pub(super) fn tensors(&self) -> Result<HashMap<&'a str, &Stored<'a>>, String> {
        let Value::Dict(pairs) = &self.values[self.root] else {
            return Err("it holds no dictionary of tensors, but something else".into());
        };
        let named = pairs.iter().filter_map(|&(key, value)| match (&self.values[key], &self.values[value]) {
            (Value::Text(name), Value::Tensor(tensor)) => Some((*name, tensor)),
            _ => None,
        });
        let found: HashMap<_, _> = named.collect();
        if found.is_empty() {
            let keys = pairs.iter().filter_map(|&(key, _)| self.text(key)).filter(|key| key.len() < 100).take(5);
            let keys: Vec<_> = keys.collect();
            return Err(format!("it holds no tensors by name, but {keys:?}"));
        }
        Ok(found)
    }

    /// A whole number, if it is one.
    pub(super) fn int(&self) -> Option<i128> {
        match self.values[self.root] {
            Value::Int(n) => Some(n),
            _ => None,
        }
    }

    /// The value of a key of a dictionary that is a whole number.
    pub(super) fn entry(&self, name: &str) -> Option<i128> {
        let Value::Dict(pairs) = &self.values[self.root] else { return None };
        pairs.iter().find(|&&(key, _)| self.text(key) == Some(name)).and_then(|&(_, value)| match self.values[value] {
            Value::Int(n) => Some(n),
            _ => None,
        })
    }

    /// The texts of a list of texts.
    pub(super) fn texts(&self) -> Option<Vec<&'a str>> {
        let Value::List(ids) = &self.values[self.root] else { return None };
        ids.iter().map(|&id| self.text(id)).collect()
    }

    fn text(&self, id: Id) -> Option<&'a str> {
        match self.values[id] {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// Reads one pickle from the beginning of the bytes; `Err` says what is wrong or refused.
pub(super) fn read(bytes: &[u8]) -> Result<Unpickled<'_>, String> {
    let bytes = &bytes[..bytes.len().min(BYTES_MAX)];
    let (values, stack, marks, memo) = (Vec::new(), Vec::new(), Vec::new(), HashMap::new());
    let mut machine = Machine { bytes, at: 0, values, stack, recalled: 0, marks, memo };
    loop {
        let at = machine.at;
        let code = machine.byte()?;
        if code == b'.' {
            let root = machine.pop()?;
            return Ok(Unpickled { values: machine.values, root, length: machine.at });
        }
        machine.step(code).map_err(|problem| format!("pickle, byte {at}: {problem}"))?;
    }
}

struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    values: Vec<Value<'a>>,
    stack: Vec<Id>,
    /// Times that a value was put on the stack: what lists and tuples hold was there before.
    recalled: usize,
    /// Heights of the stack.
    marks: Vec<usize>,
    memo: HashMap<usize, Id>,
}

impl<'a> Machine<'a> {
    fn step(&mut self, code: u8) -> Result<(), String> {
        match code {
            // Protocol; frame.
            0x80 => self.take(1).map(drop),
            0x95 => self.take(8).map(drop),
            b'(' if self.marks.len() >= MARKS_MAX => Err("more marks than any table of weights has".into()),
            b'(' => {
                self.marks.push(self.stack.len());
                Ok(())
            }
            b'N' => self.push(Value::None),
            0x88 | 0x89 => self.push(Value::Int(i128::from(code == 0x88))),
            b'K' | b'M' | b'J' | 0x8a => self.int(code),
            b'G' => self.take(8).map(drop).and_then(|()| self.push(Value::Float)),
            b'X' | 0x8c => {
                let length = self.length(if code == b'X' { 4 } else { 1 })?;
                let text = self.text(length)?;
                self.push(Value::Text(text))
            }
            b'}' => self.push(Value::Dict(Vec::new())),
            b']' => self.push(Value::List(Vec::new())),
            b')' => self.push(Value::Tuple(Vec::new())),
            b't' => self.marked().and_then(|ids| self.push(Value::Tuple(ids))),
            0x85..=0x87 => self.last(usize::from(code - 0x84)).and_then(|ids| self.push(Value::Tuple(ids))),
            b'q' | b'r' | 0x94 => self.remember(code),
            b'h' | b'j' => {
                let place = self.length(if code == b'h' { 1 } else { 4 })?;
                let id = *self.memo.get(&place).ok_or("it recalls what was never stored")?;
                self.stacked(id)
            }
            b's' => self.last(2).and_then(|pair| self.insert(&pair)),
            b'u' => self.marked().and_then(|pairs| self.insert(&pairs)),
            b'a' => self.last(1).and_then(|items| self.append(&items)),
            b'e' => self.marked().and_then(|items| self.append(&items)),
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                Global::named(module, name).and_then(|global| self.push(Value::Global(global)))
            }
            0x93 => self.global_of_stack(),
            b'R' => self.call(),
            b'b' => self.last(1).and_then(|_| self.expect_dict()),
            b'Q' => self.storage(),
            other => Err(format!("operation {other:#04x} is not one that a table of weights needs; it is refused")),
        }
    }

    fn push(&mut self, value: Value<'a>) -> Result<(), String> {
        if self.values.len() >= VALUES_MAX {
            return Err("more values than any table of weights has".into());
        }
        self.values.push(value);
        self.stacked(self.values.len() - 1)
    }

    fn stacked(&mut self, id: Id) -> Result<(), String> {
        self.recalled += 1;
        if self.recalled > 2 * VALUES_MAX {
            return Err("it names its values more often than any table of weights does".into());
        }
        self.stack.push(id);
        Ok(())
    }

    fn pop(&mut self) -> Result<Id, String> {
        // What lies below a mark belongs to it.
        let floor = self.marks.last().copied().unwrap_or(0);
        if self.stack.len() <= floor {
            return Err("its stack is empty".into());
        }
        self.stack.pop().ok_or_else(|| "its stack is empty".into())
    }

    fn last(&mut self, count: usize) -> Result<Vec<Id>, String> {
        let mut found = (0..count).map(|_| self.pop()).collect::<Result<Vec<_>, _>>()?;
        found.reverse();
        Ok(found)
    }

    fn marked(&mut self) -> Result<Vec<Id>, String> {
        let floor = self.marks.pop().ok_or("a mark is missing")?;
        Ok(self.stack.split_off(floor.min(self.stack.len())))
    }

    fn top(&mut self) -> Result<&mut Value<'a>, String> {
        let id = *self.stack.last().ok_or("its stack is empty")?;
        Ok(&mut self.values[id])
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], String> {
        let found = self.bytes.get(self.at..).and_then(|rest| rest.get(..length)).ok_or("it is cut off")?;
        self.at += length;
        Ok(found)
    }

    fn byte(&mut self) -> Result<u8, String> {
        self.take(1).map(|bytes| bytes[0])
    }

    /// A little-endian number without sign.
    fn length(&mut self, width: usize) -> Result<usize, String> {
        let bytes = self.take(width)?;
        let value = bytes.iter().rev().fold(0u64, |value, &byte| value << 8 | u64::from(byte));
        usize::try_from(value).map_err(|_| "a length is too large".into())
    }

    fn text(&mut self, length: usize) -> Result<&'a str, String> {
        str::from_utf8(self.take(length)?).map_err(|_| "a text is not UTF-8".into())
    }

    fn line(&mut self) -> Result<&'a str, String> {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().take(1024).position(|&byte| byte == b'\n').ok_or("a name has no end")?;
        let text = self.text(length)?;
        self.at += 1;
        Ok(text)
    }

    fn int(&mut self, code: u8) -> Result<(), String> {
        let value = match code {
            b'K' => i128::from(self.byte()?),
            b'M' => self.length(2)? as i128,
            b'J' => i128::from(self.length(4)? as u32 as i32),
            _ => {
                let width = usize::from(self.byte()?);
                if width > 16 {
                    return Err("a number of more than 16 bytes".into());
                }
                let bytes = self.take(width)?;
                let negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
                bytes.iter().rev().fold(if negative { -1 } else { 0 }, |value, &byte| value << 8 | i128::from(byte))
            }
        };
        self.push(Value::Int(value))
    }

    fn remember(&mut self, code: u8) -> Result<(), String> {
        let place = match code {
            b'q' => self.length(1)?,
            b'r' => self.length(4)?,
            _ => self.memo.len(),
        };
        let id = *self.stack.last().ok_or("its stack is empty")?;
        if self.memo.len() >= VALUES_MAX {
            return Err("it remembers more than any table of weights needs".into());
        }
        self.memo.insert(place, id);
        Ok(())
    }

    fn insert(&mut self, pairs: &[Id]) -> Result<(), String> {
        let (pairs, rest) = pairs.as_chunks::<2>();
        match self.top()? {
            Value::Dict(entries) if rest.is_empty() => {
                entries.extend(pairs.iter().map(|&[key, value]| (key, value)));
                Ok(())
            }
            _ => Err("a key without a value, or something put into what is no dictionary".into()),
        }
    }

    fn append(&mut self, items: &[Id]) -> Result<(), String> {
        match self.top()? {
            Value::List(list) => {
                list.extend_from_slice(items);
                Ok(())
            }
            _ => Err("something appended to what is no list".into()),
        }
    }

    /// Further state of an object: of a dictionary it is metadata, which no tensor depends on.
    fn expect_dict(&mut self) -> Result<(), String> {
        match self.top()? {
            Value::Dict(_) => Ok(()),
            _ => Err("state given to what is no dictionary; it is refused".into()),
        }
    }

    fn global_of_stack(&mut self) -> Result<(), String> {
        let ids = self.last(2)?;
        let (Value::Text(module), Value::Text(name)) = (&self.values[ids[0]], &self.values[ids[1]]) else {
            return Err("a name that is no text".into());
        };
        Global::named(module, name).and_then(|global| self.push(Value::Global(global)))
    }

    /// `function(arguments)`, for the functions that are known.
    fn call(&mut self) -> Result<(), String> {
        let ids = self.last(2)?;
        let (Value::Global(function), Value::Tuple(arguments)) = (&self.values[ids[0]], &self.values[ids[1]]) else {
            return Err("a call of what is no function; it is refused".into());
        };
        let made = match (function, arguments.as_slice()) {
            (Global::OrderedDict, []) => Value::Dict(Vec::new()),
            (Global::RebuildTensor, [storage, offset, shape, strides, ..]) => {
                Value::Tensor(self.tensor(*storage, *offset, *shape, *strides)?)
            }
            (Global::RebuildParameter, [tensor, ..]) if matches!(self.values[*tensor], Value::Tensor(_)) => {
                self.values[*tensor].clone()
            }
            (function, _) => return Err(format!("{function:?} called with arguments that do not fit it")),
        };
        self.push(made)
    }

    /// Checks that every number of the tensor lies in its storage.
    fn tensor(&self, storage: Id, offset: Id, shape: Id, strides: Id) -> Result<Stored<'a>, String> {
        let Value::Storage { key, dtype, count } = self.values[storage] else {
            return Err("a tensor without a storage".into());
        };
        let offset = self.count(offset)?;
        let counts = |id: Id| match &self.values[id] {
            Value::Tuple(ids) if ids.len() <= 8 => ids.iter().map(|&id| self.count(id)).collect(),
            _ => Err("a shape that is no tuple of up to 8 numbers".to_owned()),
        };
        let (shape, strides): (Vec<usize>, Vec<usize>) = (counts(shape)?, counts(strides)?);
        Ok(Stored { key, dtype, count, offset, shape, strides })
    }

    fn count(&self, id: Id) -> Result<usize, String> {
        match self.values[id] {
            Value::Int(n) => usize::try_from(n).map_err(|_| format!("{n} where a count must stand")),
            _ => Err("something else where a count must stand".into()),
        }
    }

    /// `("storage", kind, key, device, count)`: a name for bytes beside the pickle. Old files add a view, which is none.
    fn storage(&mut self) -> Result<(), String> {
        let id = self.pop()?;
        let Value::Tuple(ids) = &self.values[id] else { return Err("a reference that is no tuple".into()) };
        if ids.len() > 6 {
            return Err("a reference to something else than a storage".into());
        }
        let parts: Vec<&Value<'_>> = ids.iter().map(|&id| &self.values[id]).collect();
        let made = match parts.as_slice() {
            [
                Value::Text(word),
                Value::Global(Global::Storage(dtype)),
                Value::Text(key),
                Value::Text(_),
                Value::Int(count),
            ]
            | [
                Value::Text(word),
                Value::Global(Global::Storage(dtype)),
                Value::Text(key),
                Value::Text(_),
                Value::Int(count),
                Value::None,
            ] if *word == "storage" => {
                let count = usize::try_from(*count).map_err(|_| "a storage of impossible length")?;
                Value::Storage { key, dtype: *dtype, count }
            }
            _ => return Err("a reference to something else than a storage".into()),
        };
        self.push(made)
    }
}
