"""Runs a model over many texts on two processes; the same texts give the same logits however split."""

import json
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file
from tokenizers import Tokenizer

import data
import export
import model as encoder
from batches import clean_words, first_pieces, join
from data import Example

BUDGET = 2048
TASKS = ("sentiment", "emotion", "offensive")


def open_model(folder: Path, checkpoint: Path | None) -> tuple[encoder.Model, Tokenizer]:
    """The exported folder, or an fp32 checkpoint with that folder's tokenizer and sizes."""
    if checkpoint:
        settings = json.loads((folder / "config.json").read_text())
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        net = encoder.load(settings, load_file(checkpoint))
    else:
        net, tokenizer, settings = export.open_folder(folder)
    tokenizer.enable_truncation(settings["max_position_embeddings"])
    return net, tokenizer


def encode(tokenizer: Tokenizer, example: Example) -> tuple[list[int], list[int]]:
    """Pieces, and for entities each word's first piece (0 for none)."""
    if example.task != "entities":
        return tokenizer.encode(example.text).ids, []
    words, _ = clean_words(example, natural=False)
    text, starts = join(words, example.spaced, natural=False)
    encoding = tokenizer.encode(text)
    return encoding.ids, [piece + 1 for piece in first_pieces(encoding.offsets[1:-1], starts)]


@torch.no_grad()
def run_share(job: tuple[Path, Path | None, list[Example]]) -> list[dict[str, np.ndarray]]:
    """One process's examples: every head's logits, the embedding, and word scores for entities."""
    folder, checkpoint, examples = job
    net, tokenizer = open_model(folder, checkpoint)
    encoded = [encode(tokenizer, example) for example in examples]
    order = sorted(range(len(examples)), key=lambda i: len(encoded[i][0]))
    results: list[dict] = [{}] * len(examples)
    start = 0
    while start < len(order):
        end = start + 1
        while end < len(order) and len(encoded[order[end]][0]) * (end + 1 - start) <= BUDGET:
            end += 1
        group = order[start:end]
        length = len(encoded[group[-1]][0])
        ids = torch.tensor([encoded[i][0] + [1] * (length - len(encoded[i][0])) for i in group])
        hidden, pooled = net.encode(ids)
        outputs = {name: net.heads[name](pooled).numpy() for name in (*TASKS, "embedding")}
        entities = net.heads["entities"](hidden).numpy()
        for row, index in enumerate(group):
            results[index] = {name: values[row] for name, values in outputs.items()}
            results[index]["words"] = entities[row, encoded[index][1]]
        start = end
    return results


def run(folder: Path, checkpoint: Path | None, examples: list[Example], processes: int = 2) -> list[dict]:
    """All examples, in their order."""
    shares = [examples[i::processes] for i in range(processes)]
    results: list[dict] = [{}] * len(examples)
    torch.set_num_threads(1)  # forked processes must not inherit a pool of threads
    with get_context("fork").Pool(processes) as pool:
        for i, share in enumerate(pool.map(run_share, [(folder, checkpoint, share) for share in shares])):
            results[i::processes] = share
    return results


def user_words(example: Example) -> list[bool]:
    """Which words are user names, found by rule and never by the model."""
    return [data.is_user(word) for word in example.words]
