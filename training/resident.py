"""All examples as tensors on one device, so that a step needs nothing from the processor but row numbers.

A row is one text in pieces. A sentence example is one row; an entity example has
several, its words joined differently in each. Every row has a target for every head:
from its own label, from other models (`soft`), or none (weight 0).
"""

from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from zlib import crc32

import numpy as np
import torch
from tokenizers import Tokenizer

import data
import model as encoder
import teacher
from batches import LIMIT, RATES, Sampler, class_weights
from data import Example

VARIANTS = 4
TASKS = ("sentiment", "emotion", "offensive", "emoji")
CLASSES = {task: encoder.HEADS[task] for task in TASKS[:3]} | {"emoji": 20}
LABELS = len(data.LABELS)
WIDTH = 384


def encode_share(tokenizer: Path, share: tuple[int, list[Example]]) -> list[tuple]:
    """Pieces and entity targets of a share of the examples, `VARIANTS` times for entities."""
    seed, examples = share
    sampler = Sampler(examples, Tokenizer.from_file(str(tokenizer)), {}, 0, seed)
    return [[sampler.encode(e) for _ in range(VARIANTS if e.task == "entities" else 1)] for e in examples]


def encode_prefixed(tokenizer: Path, share: tuple[int, list[Example]]) -> list[list[int]]:
    """Pieces of sentence examples as the base wants them for its own embedding."""
    loaded = Tokenizer.from_file(str(tokenizer))
    loaded.enable_truncation(LIMIT)
    return [encoding.ids for encoding in loaded.encode_batch([teacher.PREFIX + e.text for e in share[1]])]


def in_shares(work, tokenizer: Path, examples: list[Example], processes: int) -> list:
    """Runs `work` over the examples in parallel and gives its results in their order."""
    size = -(-len(examples) // (processes * 4))
    shares = [(start, examples[start : start + size]) for start in range(0, len(examples), size)]
    with ProcessPoolExecutor(processes) as pool:
        return [item for part in pool.map(partial(work, tokenizer), shares) for item in part]


def padded(pieces: list[list[int]], width: int) -> torch.Tensor:
    """[rows, width], 1 is padding."""
    table = np.ones((len(pieces), width), np.int32)
    for row, ids in enumerate(pieces):
        table[row, : len(ids)] = ids
    return torch.from_numpy(table)


@dataclass
class Source:
    """Examples of one origin: the first row of each, how many rows each has, how often one is drawn."""

    first: np.ndarray
    variants: int
    rate: tuple[float, float]


class Corpus:
    """Rows of every source on `device`."""

    def __init__(self, examples: list[Example], tokenizer: Path, processes: int, folds: int, device: str):
        self.device = device
        encoded = in_shares(encode_share, tokenizer, examples, processes)
        rows = [(example, *variant) for example, variants in zip(examples, encoded, strict=True) for variant in variants]
        self.lengths = np.array([len(ids) for _, ids, _ in rows])
        self.ids = padded([ids for _, ids, _ in rows], LIMIT).to(device)
        self.sources = self.group(examples)
        self.folds = np.array([crc32(self.key(example).encode()) % folds for example, _, _ in rows])
        self.texts = [example.text for example, _, _ in rows]
        self.fill_sentences(rows)
        self.fill_entities(rows)
        self.teacher = torch.zeros(len(rows), WIDTH, dtype=torch.float16, device=device)
        self.taught = torch.zeros(len(rows), device=device)
        self.soft = {task: torch.zeros(len(rows), n, device=device) for task, n in CLASSES.items()}
        self.soft_entities = torch.zeros(len(rows), LIMIT, LABELS, dtype=torch.float16, device=device)

    @staticmethod
    def key(example: Example) -> str:
        """What puts an example in a fold: one text is never on both sides."""
        return example.text or " ".join(example.words)

    @staticmethod
    def group(examples: list[Example]) -> dict[str, Source]:
        """First rows by source."""
        first: dict[str, list[int]] = {}
        row = 0
        for example in examples:
            first.setdefault(example.source, []).append(row)
            row += VARIANTS if example.task == "entities" else 1
        kinds = {example.source: example.task for example in examples}
        return {
            name: Source(np.array(rows), VARIANTS if kinds[name] == "entities" else 1, rate_of(name))
            for name, rows in first.items()
        }

    def fill_sentences(self, rows: list[tuple]) -> None:
        """One-hot targets and weights by task; a class's weight is as `Sampler` has it."""
        weights = class_weights([example for example, _, _ in rows])
        self.gold, self.weight = {}, {}
        for task, classes in CLASSES.items():
            gold, weight = np.zeros((len(rows), classes), np.float32), np.zeros(len(rows), np.float32)
            for row, (example, _, _) in enumerate(rows):
                if example.task == task:
                    gold[row, example.label] = 1.0
                    weight[row] = weights[example.source, example.label]
            self.gold[task] = torch.from_numpy(gold).to(self.device)
            self.weight[task] = torch.from_numpy(weight).to(self.device)

    def fill_entities(self, rows: list[tuple]) -> None:
        """Allowed labels as bits and a weight for each piece; 0 where nothing is judged."""
        bits = 1 << np.arange(LABELS)
        allowed, weight = np.zeros((len(rows), LIMIT), np.int16), np.zeros((len(rows), LIMIT), np.float16)
        for row, (_, _, targets) in enumerate(rows):
            for piece, mask, value in targets:
                allowed[row, piece], weight[row, piece] = bits[mask].sum(), value
        self.allowed = torch.from_numpy(allowed).to(self.device)
        self.piece_weight = torch.from_numpy(weight).to(self.device)
        self.has_entities = torch.from_numpy(weight.any(1)).to(self.device)

    def __len__(self) -> int:
        return len(self.lengths)


def rate_of(source: str) -> tuple[float, float]:
    """How often a source is passed over, first and last."""
    return RATES.get(source) or RATES[source.split("-")[0].split("_")[0]]


class Feed:
    """An endless stream of (length, row numbers): full batches of texts of like length."""

    def __init__(self, corpus: Corpus, rates: dict[str, float], without: int | None, budget: int, lengths: list[int], seed: int):
        self.corpus, self.budget, self.lengths = corpus, budget, lengths
        self.random = np.random.default_rng(seed)
        self.sources = []
        for name, source in corpus.sources.items():
            rate = (rates[name], rates[name]) if name in rates else source.rate
            first = source.first if without is None else source.first[corpus.folds[source.first] != without]
            if max(rate) > 0:
                self.sources.append(Source(first, source.variants, rate))
        self.orders = [np.empty(0, int) for _ in self.sources]
        self.waiting: dict[int, list[np.ndarray]] = {length: [] for length in lengths}

    def pieces_a_pass(self) -> float:
        """Pieces that every source gives once at its mean rate."""
        return sum(self.corpus.lengths[s.first].sum() * sum(s.rate) / 2 for s in self.sources)

    def draw(self, progress: float, count: int) -> np.ndarray:
        """Row numbers of all sources at their rates; each source is passed over in turn, reshuffled."""
        shares = np.array([len(s.first) * (s.rate[0] + (s.rate[1] - s.rate[0]) * progress) for s in self.sources])
        drawn = []
        for index, wanted in enumerate(self.random.multinomial(count, shares / shares.sum())):
            source = self.sources[index]
            while len(self.orders[index]) < wanted:
                self.orders[index] = np.concatenate([self.orders[index], self.random.permutation(source.first)])
            rows, self.orders[index] = np.split(self.orders[index], [wanted])
            drawn.append(rows + self.random.integers(source.variants, size=wanted))
        return np.concatenate(drawn)

    def batches(self, progress: float, count: int = 4096):
        """Draws `count` rows and yields the batches that have become full."""
        rows = self.random.permutation(self.draw(progress, count))
        slot = np.searchsorted(self.lengths, self.corpus.lengths[rows])
        full = []
        for place, length in enumerate(self.lengths):
            size = self.budget // length
            waiting = np.concatenate([*self.waiting[length], rows[slot == place]])
            whole = len(waiting) // size * size
            full += [(length, part) for part in waiting[:whole].reshape(-1, size)]
            self.waiting[length] = [waiting[whole:]]
        self.random.shuffle(full)
        yield from full
