"""Reads every labelled set into examples; one place that knows files and licences.

A sentence example is a text with one class. An entity example is a list of words,
each with the set of labels that the source's own label allows: a source that says
only ORG allows both `organisation` and `group`, and the loss is taken over the sum.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path

from text import USER, normalise

KINDS = ["person", "location", "organisation", "group", "product", "work"]
LABELS = ["O"] + [f"{mark}-{kind}" for kind in KINDS for mark in "BI"]
UMSAB = ["arabic", "english", "french", "german", "hindi", "italian", "portuguese", "spanish"]
# A source's kind -> ours. MISC covers products, works, events and nationalities: those
# tokens are only known not to be a person, a place or an organisation.
KIND_OF = {
    "person": ["person"],
    "location": ["location"],
    "corporation": ["organisation"],
    "group": ["group"],
    "product": ["product"],
    "creative-work": ["work"],
    "PER": ["person"],
    "LOC": ["location"],
    "ORG": ["organisation", "group"],
    "MISC": ["product", "work", "O"],
    "OTH": ["O"],
}
EXTRA_SENTIMENT = {
    "thai_wisesight": "th",
    "indonesian_smsa": "id",
    "indonesian_nusax": "id",
    "portuguese_mozambique_afrisenti": "pt",
}
EXTRA_ENTITIES = [
    "tweebank_ner",
    "uner_portuguese",
    "uner_danish",
    "uner_swedish",
    "uner_croatian",
    "uner_slovak",
    "uner_chinese",
]


@dataclass
class Example:
    """One text. `label` for a sentence task, `words` with `allowed` label ids for entities."""

    task: str
    source: str
    text: str = ""
    label: int = -1
    words: list[str] = field(default_factory=list)
    allowed: list[tuple[int, ...]] = field(default_factory=list)
    gold: list[str] = field(default_factory=list)
    spaced: bool = True


def allowed_ids(tag: str) -> tuple[int, ...]:
    """`B-ORG` -> ids of B-organisation and B-group."""
    if tag == "O":
        return (0,)
    mark, kind = tag.split("-", 1)
    return tuple(LABELS.index(k if k == "O" else f"{mark}-{k}") for k in KIND_OF[kind])


def read_conll(path: Path, source: str) -> list[Example]:
    """Reads word TAB tag lines; a line without a word ends a sentence."""
    examples, words, tags = [], [], []
    for line in [*path.read_text().split("\n"), ""]:
        parts = line.rstrip("\r").split("\t")
        if len(parts) >= 2 and parts[0].strip():
            words.append(parts[0].strip())
            tags.append(parts[1].strip())
        elif words:
            allowed = [allowed_ids(tag) for tag in tags]
            spaced = source != "uner_chinese"
            examples.append(Example("entities", source, "", -1, words, allowed, tags, spaced))
            words, tags = [], []
    return examples


def read_split(folder: Path, split: str, task: str, source: str) -> list[Example]:
    """Reads TweetEval's layout: one text a line, one label a line."""
    texts = (folder / f"{split}_text.txt").read_text().rstrip("\n").split("\n")
    labels = (folder / f"{split}_labels.txt").read_text().split()
    pairs = zip(texts, labels, strict=True)
    return [Example(task, source, normalise(text), int(label)) for text, label in pairs]


def sentence_sets(root: Path, split: str) -> list[Example]:
    """Sentiment (nine sources), emotion and offensive in the named split."""
    found = []
    for task in ("sentiment", "emotion", "offensive"):
        found += read_split(root / "tweeteval" / task, split, task, f"tweeteval-{task}")
    for language in UMSAB:
        found += read_split(root / "umsab" / language, split, "sentiment", f"umsab-{language}")
    return found


def extra_sentiment(root: Path) -> list[Example]:
    """Sentiment in Thai, Indonesian and Portuguese of Mozambique; these have no split of their own."""
    found = []
    for name in EXTRA_SENTIMENT:
        for line in (root / "extra" / f"{name}.jsonl").read_text().splitlines():
            row = json.loads(line)
            found.append(Example("sentiment", name, normalise(row["text"]), row["label"]))
    return found


def hinted(root: Path) -> list[Example]:
    """English posts with the emoji that stood in them as their label: a hint at feeling, and texts
    for other models to label."""
    kept_away = {e.text for e in sentence_sets(root, "val")}
    found = read_split(root / "tweeteval" / "emoji", "train", "emoji", "tweeteval-emoji")
    return [e for e in found if e.text not in kept_away]


def entity_sets(root: Path, split: str) -> list[Example]:
    """WNUT17 and BTC in the named split."""
    found = []
    for name in ("wnut17", "btc"):
        found += read_conll(root / name / f"{split}.conll", name)
    return found


def training(root: Path) -> list[Example]:
    """Everything trained on, without texts that occur in a validation split (UMSAB's
    English and TweetEval share an origin); every 20th extra text is held back by `held_back`."""
    kept_away = {e.text for e in sentence_sets(root, "val")}
    sentences = sentence_sets(root, "train")
    sentences += [e for i, e in enumerate(extra_sentiment(root)) if i % 20]
    sentences = [e for e in sentences if e.text not in kept_away]
    entities = entity_sets(root, "train")
    for name in EXTRA_ENTITIES:
        rows = read_conll(root / "extra" / f"{name}.conll", name)
        entities += [e for i, e in enumerate(rows) if i % 20]
    return sentences + entities


def held_back(root: Path) -> list[Example]:
    """Every 80th text of the extra sets, of the 20th that training leaves out: enough to see a language fail."""
    found = [e for i, e in enumerate(extra_sentiment(root)) if i % 80 == 0]
    for name in EXTRA_ENTITIES:
        rows = read_conll(root / "extra" / f"{name}.conll", name)
        found += [e for i, e in enumerate(rows) if i % 80 == 0]
    return found


def is_user(word: str) -> bool:
    """A user name is found by rule, so the model neither learns nor answers for it."""
    return USER.fullmatch(word) is not None
