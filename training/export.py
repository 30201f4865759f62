"""Quantises a checkpoint and writes the folder the program reads.

`model.safetensors` (int8 matrices with `<name>.scale`, the rest fp32, positions fp16),
`config.json`, `tokenizer.json` and `reference.json`: twenty texts with what the int8
weights give in fp32 arithmetic, which the Rust encoder is tested against.
"""

import argparse
import json
import logging
import shutil
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer

import data
import model as encoder
import quantise
from text import STATED, normalise

POSITIONS = "embeddings.position_embeddings.weight"
REFERENCE_TEXTS = [
    "My flight got cancelled and nobody at the desk could tell me why. Two hours on hold!",
    "@united thanks for the quick reply, you made my day 😍🎉 https://t.co/abc123",
    "Loved the new Dune movie, Zendaya was brilliant #Dune2",
    "so tired of this app crashing every single time 😡😡😡 #fail",
    "Angela Merkel sprach gestern in Berlin über die Zukunft der Europäischen Union.",
    "El servicio de atención al cliente de Movistar es un desastre, nunca contestan.",
    "Le nouveau restaurant à Lyon est magnifique, merci à toute l'équipe !",
    "O Flamengo venceu o Palmeiras no Maracanã e a torcida fez a festa",
    "Questo telefono della Samsung si scalda troppo, non lo consiglio a nessuno",
    "هذا المطعم سيء جدا والخدمة بطيئة، لن أعود إليه مرة أخرى",
    "यह फोन बहुत अच्छा है, बैटरी दो दिन चलती है",
    "このカフェのコーヒーは最高です。また行きたい☕️",
    "这家酒店的服务太差了，房间又脏又吵。",
    "이 영화 정말 재미있었어요! 김민수 감독 최고 👍",
    "ร้านนี้อร่อยมาก บริการดีด้วยครับ",
    "Москва встретила нас дождём, но отель «Метрополь» был прекрасен",
    "Η εξυπηρέτηση στο αεροδρόμιο της Αθήνας ήταν απαράδεκτη",
    "השירות בבנק לאומי היה מצוין, תודה רבה!",
    "AT&amp;T &lt;3 ... RT @some_user: @ another one, e-mail me at a.b@example.com www.example.com/x?y=1 $AAPL +5%",
    "The queue at Heathrow was endless. " * 40,
]


def config(base: dict, temperatures: dict[str, float], version: str) -> dict:
    """BERT's fields and ours."""
    tweeteval = {
        "sentiment": ["negative", "neutral", "positive"],
        "emotion": ["anger", "joy", "optimism", "sadness"],
        "offensive": ["not-offensive", "offensive"],
    }
    heads = {
        name: {"labels": labels, "pooling": "mean", "temperature": temperatures.get(name, 1.0)}
        for name, labels in tweeteval.items()
    }
    heads["entities"] = {
        "labels": data.LABELS,
        "level": "first-piece",
        "temperature": temperatures.get("entities", 1.0),
        "decoding": "viterbi: I-x only after B-x or I-x",
        "kinds": {kind: "organisation" if kind == "group" else kind for kind in data.KINDS},
    }
    heads["embedding"] = {"pooling": "mean", "projection": "heads.embedding", "normalise": "l2"}
    ours = {"format": 1, "name": "overheard-small", "version": version, "input": STATED, "heads": heads}
    return base | {"architectures": ["BertModel"], "overheard": ours}


def pack(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Quantises what is stored in int8; the positions go to fp16."""
    packed = {}
    for name, array in tensors.items():
        if quantise.is_matrix(name):
            packed[name], packed[f"{name}.scale"] = quantise.rows(array)
        elif name == POSITIONS:
            packed[name] = array.astype(np.float16)
        else:
            packed[name] = np.ascontiguousarray(array, dtype=np.float32)
    return packed


def unpack(packed: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What the program computes with: the stored weights in fp32."""
    found = {}
    for name, array in packed.items():
        if name.endswith(".scale"):
            continue
        scale = packed.get(f"{name}.scale")
        found[name] = array.astype(np.float32) if scale is None else quantise.restore(array, scale)
    return found


def open_folder(folder: Path) -> tuple[encoder.Model, Tokenizer, dict]:
    """Loads a written folder as the program would."""
    settings = json.loads((folder / "config.json").read_text())
    net = encoder.load(settings, unpack(load_file(folder / "model.safetensors")))
    return net, Tokenizer.from_file(str(folder / "tokenizer.json")), settings


@torch.no_grad()
def reference(folder: Path) -> list[dict]:
    """Runs the written folder over the twenty texts, one at a time."""
    net, tokenizer, _ = open_folder(folder)
    rows = []
    for text in REFERENCE_TEXTS:
        encoding = tokenizer.encode(normalise(text))
        ids = torch.tensor([encoding.ids])
        hidden, pooled = net.encode(ids)
        embedding = net.heads["embedding"](pooled)[0]
        logits = {name: net.heads[name](pooled)[0] for name in ("sentiment", "emotion", "offensive")}
        entities = net.heads["entities"](hidden)[0]
        rows.append(
            {
                "text": text,
                "normalised": normalise(text),
                "ids": encoding.ids,
                "pooled_first8": rounded(pooled[0, :8]),
                "pooled_norm": float(pooled.norm()),
                "embedding_first8": rounded(embedding[:8] / embedding.norm()),
                "logits": {name: rounded(values) for name, values in logits.items()},
                "entity_labels": [data.LABELS[i] for i in entities.argmax(-1).tolist()],
                "entity_logits_piece1": rounded(entities[1]),
            }
        )
    return rows


def rounded(values: torch.Tensor) -> list[float]:
    """Five decimals are more than two engines agree on."""
    return [round(v, 5) for v in values.tolist()]


def write_settings(folder: Path, base: dict, tokenizer: Path, temperatures: dict, version: str) -> None:
    """Writes the configuration and the tokenizer."""
    folder.mkdir(parents=True, exist_ok=True)
    settings = config(base, temperatures, version)
    (folder / "config.json").write_text(json.dumps(settings, indent=2, ensure_ascii=False) + "\n")
    shutil.copyfile(tokenizer, folder / "tokenizer.json")


def write(folder: Path, base: dict, tensors: dict, tokenizer: Path, temperatures: dict, version: str) -> None:
    """Writes everything but the card."""
    write_settings(folder, base, tokenizer, temperatures, version)
    save_file(pack(tensors), folder / "model.safetensors", metadata={"format": "overheard-1"})
    rows = json.dumps(reference(folder), ensure_ascii=False, indent=1)
    (folder / "reference.json").write_text(rows + "\n")


def export(work: Path, checkpoint: Path, fitted: dict, folder: Path, version: str) -> None:
    """Writes `folder` from fp32 weights; `fitted` has "temperatures" and "o_bias", as evaluate.fit gives them."""
    base = json.loads((work / "base.json").read_text())
    net = encoder.load(base, load_file(checkpoint))
    net.heads["entities"].bias.data[0] -= fitted.get("o_bias", 0.0)
    tensors = {name: tensor.numpy() for name, tensor in encoder.named_tensors(net).items()}
    write(folder, base, tensors, work / "tokenizer.json", fitted.get("temperatures", {}), version)
    size = sum(f.stat().st_size for f in folder.iterdir())
    logging.info("wrote %s from %s, %.1f MB", folder, checkpoint, size / 1e6)


def main() -> None:
    """Exports a checkpoint of `train.py` (or, without one, the base with untrained heads)."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("work"))
    parser.add_argument("--checkpoint", type=Path, help="tensors written by train.py; default: the base")
    parser.add_argument("--fitted", type=Path, help="JSON written by evaluate.py --fit")
    parser.add_argument("--version", default="2.0")
    parser.add_argument("--out", type=Path, default=Path("../models/overheard-small"))
    options = parser.parse_args()
    logging.basicConfig(filename=options.work / "export.log", level=logging.INFO, format="%(asctime)s %(message)s")
    source = options.checkpoint or options.work / "base.safetensors"
    fitted = json.loads(options.fitted.read_text()) if options.fitted else {}
    export(options.work, source, fitted, options.out, options.version)


if __name__ == "__main__":
    main()
