"""Step 5: the table of figures, on the validation splits and, where `OVERHEARD_TEST` names a
folder with test splits in the same layout, on those too.

`--fit` first chooses, on the validation splits, each head's temperature and how much the
entity head's O gives way (it is trained on sets that annotate less than WNUT17's dev and
test do), and writes them for `export.py`. `--checkpoint` evaluates fp32 weights instead of
the exported int8 ones. Logs to `work/evaluate.log`; figures go to `--figures` as JSON.
"""

import argparse
import json
import logging
import os
from pathlib import Path

import numpy as np

import data
import infer
import metrics
from data import Example

# Published figures on the kept-away tests, for reading ours beside them.
REFERENCES = {
    "tweeteval sentiment, macro recall": "RoBERTa-base 71.3, TimeLMs 73.7",
    "umsab mean, macro F1": "XLM-R base 66.8, XLM-T 69.4",
    "tweeteval emotion, macro F1": "RoBERTa-base 76.1",
    "tweeteval offensive, macro F1": "RoBERTa-base 79.5",
    "wnut17, entity F1": "winner 2017 41.9, BERTweet 56.5",
    "wnut17 organisations merged, entity F1": "",
    "btc, entity F1": "",
}
TO_WNUT = {"organisation": "corporation", "work": "creative-work"}
TO_THREE = {"person": "PER", "location": "LOC", "organisation": "ORG", "group": "ORG"}
MERGED = {"corporation": "organisation", "group": "organisation", "creative-work": "work"}


def renamed(tags: list[str], names: dict[str, str], drop: bool) -> list[str]:
    """Renames the kinds of tags; with `drop`, those without a name become O."""
    found = []
    for tag in tags:
        mark, _, kind = tag.partition("-")
        if tag != "O" and drop and kind not in names:
            found.append("O")
        else:
            found.append(tag if tag == "O" else f"{mark}-{names.get(kind, kind)}")
    return found


def decode(example: Example, scores: np.ndarray, o_bias: float) -> list[str]:
    """One label a word: user names are never entities, words within one piece go together."""
    scores = scores.astype(np.float64).copy()
    scores[:, 0] -= o_bias
    scores[infer.user_words(example), 1:] = -1e9
    return [data.LABELS[i] for i in metrics.viterbi(scores)]


def entity_figures(examples: list[Example], results: list[dict], o_bias: float) -> dict[str, float]:
    """WNUT17 by its six kinds and with organisations merged, the others by PER, LOC, ORG."""
    pairs: dict[str, list] = {}
    for example, result in zip(examples, results, strict=True):
        if example.task != "entities":
            continue
        tags = decode(example, result["words"], o_bias)
        if example.source == "wnut17":
            pairs.setdefault("wnut17", []).append((example.gold, renamed(tags, TO_WNUT, False)))
            merged = renamed(example.gold, MERGED, False), renamed(tags, {"group": "organisation"}, False)
            pairs.setdefault("wnut17 organisations merged", []).append(merged)
        else:
            gold = renamed(example.gold, {k: k for k in TO_THREE.values()}, True)
            pairs.setdefault(example.source, []).append((gold, renamed(tags, TO_THREE, True)))
    figures = {}
    for source, rows in sorted(pairs.items()):
        for name, value in metrics.entity_f1(rows).items():
            figures[f"{source}, entity {'F1' if name == 'f1' else name}"] = value
    return figures


def gather(examples: list[Example], results: list[dict], task: str, prefix: str) -> tuple[np.ndarray, np.ndarray]:
    """Gold classes and logits of the sources whose name starts with `prefix`."""
    chosen = [(e.label, r[task]) for e, r in zip(examples, results, strict=True) if e.task == task and e.source.startswith(prefix)]
    return np.array([label for label, _ in chosen]), np.array([logits for _, logits in chosen])


def sentence_figures(examples: list[Example], results: list[dict], temperatures: dict[str, float]) -> dict[str, float]:
    """Macro recall and F1 by source; calibration by head; UMSAB's mean."""
    figures, umsab = {}, []
    sources = sorted({(e.task, e.source) for e in examples if e.task != "entities"})
    for task, source in sources:
        gold, logits = gather(examples, results, task, source)
        table = metrics.confusion(gold, logits.argmax(-1), logits.shape[1])
        name = source.replace("tweeteval-", "tweeteval ").replace("umsab-", "umsab ")
        if source == "tweeteval-sentiment":
            figures[f"{name}, macro recall"] = metrics.macro_recall(table)
        figures[f"{name}, macro F1"] = metrics.macro_f1(table)
        probabilities = metrics.softmax(logits / temperatures.get(task, 1.0))
        if not source.startswith("umsab"):
            figures[f"{name}, calibration error"] = metrics.calibration_error(gold, probabilities)
        else:
            umsab.append(metrics.macro_f1(table))
    if umsab:
        figures["umsab mean, macro F1"] = float(np.mean(umsab))
        gold, logits = gather(examples, results, "sentiment", "umsab")
        probabilities = metrics.softmax(logits / temperatures.get("sentiment", 1.0))
        figures["umsab, calibration error"] = metrics.calibration_error(gold, probabilities)
    return figures


def fit(examples: list[Example], results: list[dict]) -> dict:
    """Temperatures with the least calibration error, the O bias with the best mean F1 of WNUT17 and BTC."""
    temperatures = {}
    for task in infer.TASKS:
        prefixes = ["tweeteval", "umsab"] if task == "sentiment" else ["tweeteval"]
        parts = [gather(examples, results, task, prefix) for prefix in prefixes]
        gold, logits = (np.concatenate(column) for column in zip(*parts, strict=True))
        temperatures[task] = metrics.fit_temperature(gold, logits)

    def mean_f1(bias: float) -> float:
        figures = entity_figures(examples, results, bias)
        return (figures["wnut17, entity F1"] + figures["btc, entity F1"]) / 2

    judged = [i for i, e in enumerate(examples) if e.source in ("wnut17", "btc")]
    examples, results = [examples[i] for i in judged], [results[i] for i in judged]
    biases = [round(b, 2) for b in np.arange(-0.5, 2.01, 0.25)]
    return {"temperatures": temperatures, "o_bias": max(biases, key=mean_f1)}


def all_figures(examples: list[Example], results: list[dict], fitted: dict) -> dict[str, float]:
    """Every row of the table."""
    figures = sentence_figures(examples, results, fitted["temperatures"])
    return figures | entity_figures(examples, results, fitted["o_bias"])


def splits(root: Path, name: str) -> list[Example]:
    """The examples of one split, with the held-back extra texts beside val/dev."""
    if name == "test":
        return data.sentence_sets(root, "test") + data.entity_sets(root, "test")
    return data.sentence_sets(root, "val") + data.entity_sets(root, "dev") + data.held_back(root)


def table(figures: dict[str, float]) -> str:
    """A Markdown table, the published references beside their rows."""
    lines = ["| figure | ours | published (test) |", "|---|---|---|"]
    for name, value in figures.items():
        shown = f"{value:.3f}" if "calibration" in name else f"{value:.1f}"
        lines.append(f"| {name} | {shown} | {REFERENCES.get(name, '')} |")
    return "\n".join(lines)


def main() -> None:
    """Evaluates, prints, logs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../../shared/data"))
    parser.add_argument("--work", type=Path, default=Path("work"))
    parser.add_argument("--model", type=Path, default=Path("../models/overheard-small"))
    parser.add_argument("--checkpoint", type=Path, help="evaluate these fp32 weights")
    parser.add_argument("--fit", type=Path, help="fit temperatures and the O bias, write them here")
    parser.add_argument("--use", type=Path, help="use what an earlier --fit wrote (with --checkpoint)")
    parser.add_argument("--figures", type=Path, help="write the figures as JSON")
    parser.add_argument("--every", type=int, default=1, help="judge only every n-th example")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(filename=options.work / "evaluate.log", level=logging.INFO, format="%(asctime)s %(message)s")
    settings = json.loads((options.model / "config.json").read_text())["overheard"]["heads"]
    fitted = {"temperatures": {t: settings[t]["temperature"] for t in infer.TASKS}, "o_bias": 0.0}
    if options.use:
        fitted = json.loads(options.use.read_text())
    jobs = [("val", options.data)]
    if os.environ.get("OVERHEARD_TEST"):
        jobs.append(("test", Path(os.environ["OVERHEARD_TEST"])))
    found = {}
    for split, root in jobs:
        examples = splits(root, split)[:: options.every]
        results = infer.run(options.model, options.checkpoint, examples)
        if options.fit and split == "val":
            fitted = fit(examples, results)
            options.fit.write_text(json.dumps(fitted, indent=1))
        found[split] = figures = all_figures(examples, results, fitted)
        print(f"\n{split}, {len(examples)} examples\n\n{table(figures)}")
        logging.info("%s of %s: %s", split, options.checkpoint or options.model, json.dumps(figures))
    if options.figures:
        options.figures.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
