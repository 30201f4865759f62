"""Draws examples by source, turns them into pieces, and cuts batches of like length.

Entity sentences get their words joined anew each time: with a space everywhere, or
half the time as a person would have typed them, so that the head does not lean on
the spaces of a treebank.
"""

import random
from collections import Counter
from dataclasses import dataclass

import numpy as np
import torch
from tokenizers import Tokenizer

import data
from data import Example
from text import normalise

# How often a source is passed over, against TweetEval's sentiment once: (first, last).
RATES = {
    "tweeteval-sentiment": (1.0, 0.8),
    "tweeteval-emotion": (2.5, 3.0),
    "tweeteval-offensive": (0.6, 0.6),
    "tweeteval-emoji": (0.0, 0.0),
    "umsab": (2.2, 3.4),
    "thai_wisesight": (0.12, 0.15),
    "indonesian_smsa": (0.15, 0.15),
    "indonesian_nusax": (1.0, 1.0),
    "portuguese_mozambique_afrisenti": (0.4, 0.5),
    "wnut17": (5.0, 6.0),
    "btc": (3.5, 3.5),
    "tweebank_ner": (1.5, 1.5),
    "uner": (0.45, 0.35),
}
LIMIT = 128
CONTINUATION = 0.3
LOWER_CASE = 0.1
CLOSING = set(".,!?;:)]}%…’”'\"") | {"...", "..", "!!", "??", "n't", "'s", "'m", "'re", "'ve", "'ll", "'d"}
OPENING = set("([{“#@$")
# A class's weight is its rarity to this power: macro figures want 1, calibration wants 0.
BALANCE = 0.75


@dataclass
class Batch:
    """One padded batch and, for each task, which rows it judges."""

    ids: torch.Tensor
    rows: dict[str, tuple[torch.Tensor, torch.Tensor, torch.Tensor]]
    pieces: tuple[torch.Tensor, torch.Tensor, torch.Tensor] | None
    teacher: tuple[torch.Tensor, torch.Tensor] | None


def allowed_mask(ids: tuple[int, ...], first: bool) -> np.ndarray:
    """Which labels a piece may have; a continuation has I- where its word has B-."""
    mask = np.zeros(len(data.LABELS), bool)
    for index in ids:
        mask[index if first or index == 0 or index % 2 == 0 else index + 1] = True
    return mask


def join(words: list[str], spaced: bool, natural: bool) -> tuple[str, list[int]]:
    """Joins words into a text; returns it with each word's first character."""
    text, starts, glue = "", [], True
    for word in words:
        tight = glue or (natural and (word in CLOSING))
        if text and spaced and not tight:
            text += " "
        starts.append(len(text))
        text += word
        glue = natural and word in OPENING
    return text, starts


def clean_words(example: Example, natural: bool) -> tuple[list[str], list[tuple[int, ...] | None]]:
    """Normalises word by word; None marks a user name, for which nothing is learned."""
    words, allowed = [], []
    for word, ids in zip(example.words, example.allowed, strict=True):
        if data.is_user(word):
            words.append("@user")
            allowed.append(None)
        elif natural and words and words[-1] == "@" and allowed[-1] != (0,):
            words[-1], allowed[-1] = "@user", None
        else:
            words.append("http" if word.startswith("URL") and word[3:].isdigit() else normalise(word) or word)
            allowed.append(ids)
    return words, allowed


def first_pieces(offsets: list[tuple[int, int]], starts: list[int]) -> list[int]:
    """For each word, the first piece whose range is not empty and reaches past the word's start."""
    found, piece = [], 0
    for start in starts:
        while piece < len(offsets) and offsets[piece][1] <= max(start, offsets[piece][0]):
            piece += 1
        found.append(piece if piece < len(offsets) else -1)
    return found


def class_weights(examples: list[Example]) -> dict[tuple[str, int], float]:
    """(source, class) -> its rarity to the power BALANCE, mean 1 over the source's examples."""
    counts = Counter((e.source, e.label) for e in examples)
    totals = Counter(e.source for e in examples)
    raw = {key: (totals[key[0]] / n) ** BALANCE for key, n in counts.items()}
    sums = Counter()
    for (source, label), n in counts.items():
        sums[source] += raw[source, label] * n
    return {key: value * totals[key[0]] / sums[key[0]] for key, value in raw.items()}


class Sampler:
    """An endless stream of batches from one worker's share of the examples."""

    def __init__(
        self, examples: list[Example], tokenizer: Tokenizer, teacher: dict[str, int], budget: int, seed: int
    ):
        self.tokenizer, self.teacher, self.budget = tokenizer, teacher, budget
        self.tokenizer.enable_truncation(LIMIT)
        self.random = random.Random(seed)
        self.by_source: dict[str, list[Example]] = {}
        for example in examples:
            self.by_source.setdefault(example.source, []).append(example)
        self.order = {source: [] for source in self.by_source}
        self.weights = class_weights(examples)

    def draw(self, progress: float, count: int) -> list[Example]:
        """Examples of all sources at their rates; each source is passed over in turn, reshuffled."""
        sources = list(self.by_source)
        shares = []
        for source in sources:
            first, last = RATES.get(source) or RATES[source.split("-")[0].split("_")[0]]
            shares.append(len(self.by_source[source]) * (first + (last - first) * progress))
        drawn = []
        for source in self.random.choices(sources, shares, k=count):
            if not self.order[source]:
                self.order[source] = self.random.sample(range(len(self.by_source[source])), len(self.by_source[source]))
            drawn.append(self.by_source[source][self.order[source].pop()])
        return drawn

    def encode(self, example: Example) -> tuple[list[int], list[tuple[int, np.ndarray, float]]]:
        """Pieces, and for entities (piece, allowed labels, weight)."""
        if example.task != "entities":
            return self.tokenizer.encode(example.text).ids, []
        natural = self.random.random() < 0.5
        words, allowed = clean_words(example, natural)
        text, starts = join(words, example.spaced, natural)
        if self.random.random() < LOWER_CASE and len(text.lower()) == len(text):
            text = text.lower()
        encoding = self.tokenizer.encode(text)
        firsts = first_pieces(encoding.offsets[1:-1], starts)
        targets = []
        for word, piece in enumerate(firsts):
            after = next((p for p in firsts[word + 1 :] if p > piece), len(encoding.ids) - 2)
            if piece < 0 or allowed[word] is None or (word and firsts[word - 1] == piece):
                continue
            targets.append((piece + 1, allowed_mask(allowed[word], True), 1.0))
            rest = allowed_mask(allowed[word], False)
            targets += [(p + 1, rest, CONTINUATION) for p in range(piece + 1, after)]
        return encoding.ids, targets

    def batches(self, progress: float, count: int = 640):
        """Draws `count` examples and yields them as batches of at most `budget` pieces with padding."""
        drawn = [(example, *self.encode(example)) for example in self.draw(progress, count)]
        drawn.sort(key=lambda item: len(item[1]))
        groups, group = [], []
        for item in drawn:
            if group and (len(group) + 1) * len(item[1]) > self.budget:
                groups.append(group)
                group = []
            group.append(item)
        groups.append(group)
        self.random.shuffle(groups)
        for group in groups:
            yield self.collate(group)

    def collate(self, group: list) -> Batch:
        """Pads one group and gathers each task's rows."""
        length = max(len(ids) for _, ids, _ in group)
        ids = torch.full((len(group), length), 1)
        rows: dict[str, list] = {}
        where, masks, weights, teacher = [], [], [], []
        for row, (example, pieces, targets) in enumerate(group):
            ids[row, : len(pieces)] = torch.tensor(pieces)
            for piece, mask, weight in targets:
                where.append(row * length + piece)
                masks.append(mask)
                weights.append(weight)
            if example.task != "entities":
                weight = self.weights[example.source, example.label]
                rows.setdefault(example.task, []).append((row, example.label, weight))
                if example.text in self.teacher:
                    teacher.append((row, self.teacher[example.text]))
        columns = {
            task: (torch.tensor([r for r, _, _ in v]), torch.tensor([c for _, c, _ in v]), torch.tensor([w for _, _, w in v]))
            for task, v in rows.items()
        }
        pieces = (torch.tensor(where), torch.from_numpy(np.stack(masks)), torch.tensor(weights)) if where else None
        taught = (torch.tensor([r for r, _ in teacher]), torch.tensor([t for _, t in teacher])) if teacher else None
        return Batch(ids, columns, pieces, taught)
