"""Trims XLM-R's 250,002 pieces to 96,000 and writes `tokenizer.json`.

Choosing by score alone starves every script but Latin. Kept are, in this order:
the special pieces, every piece the training texts use, every single character,
and then for each script its best pieces, up to its share of what is left.
"""

import subprocess
import sys
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

SIZE = 96_000
SPECIAL = 4
METASPACE = "▁"
# Scripts of the languages posts are mostly written in; the others get a quarter.
COMMON = set(
    "LATIN CYRILLIC CJK ARABIC DEVANAGARI HANGUL GREEK HEBREW THAI HIRAGANA KATAKANA NONE "
    "BENGALI TAMIL TELUGU".split()
)
SPM_TRAINER = (
    "import sys, sentencepiece as s; s.SentencePieceTrainer.train("
    "sentence_iterator=iter(['a b c d e f g']*20), model_prefix=sys.argv[1], vocab_size=12,"
    "normalization_rule_name='nmt_nfkc', hard_vocab_limit=False, minloglevel=2)"
)


def script(piece: str) -> str:
    """Names the script of the piece's first letter, as Unicode's character names do."""
    for character in piece:
        if character.isalpha():
            return unicodedata.name(character, "NONE").split()[0]
    return "NONE"


def fields(message: bytes) -> dict[int, bytes]:
    """Reads the length-delimited fields of a protocol buffer (the last of each number)."""
    found, at = {}, 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(message):
        key = varint()
        kind = key & 7
        if kind == 0:
            varint()
        elif kind == 2:
            length = varint()
            found[key >> 3] = message[at : at + length]
            at += length
        else:
            at += 8 if kind == 1 else 4
    return found


def charsmap(work: Path) -> bytes:
    """Takes the compiled nmt_nfkc map, XLM-R's normaliser, out of a toy SentencePiece model."""
    path = work / "charsmap.bin"
    if not path.exists():
        prefix = work / "toy"
        subprocess.run([sys.executable, "-c", SPM_TRAINER, str(prefix)], check=True)
        model = prefix.with_suffix(".model").read_bytes()
        path.write_bytes(fields(fields(model)[3])[2])
    return path.read_bytes()


def build(vocabulary: list[tuple[str, float]], normaliser: bytes) -> Tokenizer:
    """XLM-R's tokenizer over the given pieces: `<s> text </s>`."""
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=3, byte_fallback=False))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Precompiled(normaliser), normalizers.Replace(Regex(" {2,}"), " ")]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.WhitespaceSplit(),
            pre_tokenizers.Metaspace(replacement=METASPACE, prepend_scheme="always"),
        ]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return tokenizer


def choose(pieces: list[str], scores: list[float], used: Counter) -> list[int]:
    """Returns the ids to keep, ascending, so that the special pieces stay 0-3."""
    keep = set(range(SPECIAL)) | set(used)
    by_script = defaultdict(list)
    for index in range(SPECIAL, len(pieces)):
        piece = pieces[index]
        if index in keep or piece == "<mask>":
            continue
        if len(piece.removeprefix(METASPACE)) <= 1:
            keep.add(index)
        else:
            by_script[script(piece)].append(index)
    weights = {name: len(ids) * (1.0 if name in COMMON else 0.25) for name, ids in by_script.items()}
    left, total = SIZE - len(keep), sum(weights.values())
    for name, ids in by_script.items():
        ids.sort(key=lambda index: -scores[index])
        keep.update(ids[: int(left * weights[name] / total)])
    rest = sorted((i for ids in by_script.values() for i in ids if i not in keep), key=lambda i: -scores[i])
    keep.update(rest[: SIZE - len(keep)])
    return sorted(keep)


def trim(pieces: list[str], scores: list[float], texts: Iterable[str], work: Path) -> tuple[Tokenizer, list[int]]:
    """Returns the trimmed tokenizer and the ids of its pieces in the full vocabulary."""
    normaliser = charsmap(work)
    full = build(list(zip(pieces, scores, strict=True)), normaliser)
    used: Counter = Counter()
    for encoding in full.encode_batch(list(texts), add_special_tokens=False):
        used.update(encoding.ids)
    keep = choose(pieces, scores, used)
    kept = [(pieces[index], scores[index]) for index in keep]
    tokenizer = build(kept, normaliser)
    tokenizer.add_special_tokens(["<s>", "<pad>", "</s>", "<unk>"])
    return tokenizer, keep
