"""The figures models are judged by, and the decoding that turns entity scores into spans. Pure functions."""

import numpy as np

import data

BINS = 15


def confusion(gold: np.ndarray, said: np.ndarray, classes: int) -> np.ndarray:
    """[gold class, predicted class] counts."""
    table = np.zeros((classes, classes), int)
    np.add.at(table, (gold, said), 1)
    return table


def macro_recall(table: np.ndarray) -> float:
    """Mean over classes of recall, in percent; TweetEval's measure for sentiment."""
    return 100 * float(np.mean(np.diag(table) / np.maximum(table.sum(1), 1)))


def macro_f1(table: np.ndarray) -> float:
    """Mean over classes of F1, in percent."""
    return 100 * float(np.mean(2 * np.diag(table) / np.maximum(table.sum(0) + table.sum(1), 1)))


def softmax(logits: np.ndarray) -> np.ndarray:
    """Along the last axis."""
    shifted = np.exp(logits - logits.max(-1, keepdims=True))
    return shifted / shifted.sum(-1, keepdims=True)


def calibration_error(gold: np.ndarray, probabilities: np.ndarray) -> float:
    """Expected calibration error: |confidence - accuracy| over 15 equal bins, weighted by their posts."""
    confidence, right = probabilities.max(-1), probabilities.argmax(-1) == gold
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps = [abs(confidence[bins == b].sum() - right[bins == b].sum()) for b in range(BINS)]
    return float(sum(gaps) / len(gold))


def fit_temperature(gold: np.ndarray, logits: np.ndarray) -> float:
    """The divisor of the logits with the least calibration error, of 0.5 to 2.5."""
    candidates = np.arange(0.5, 2.501, 0.02)
    errors = [calibration_error(gold, softmax(logits / t)) for t in candidates]
    return round(float(candidates[int(np.argmin(errors))]), 2)


def transitions() -> np.ndarray:
    """0 where a label may follow another, -1e9 where I-x follows neither B-x nor I-x."""
    table = np.zeros((len(data.LABELS), len(data.LABELS)))
    for after, label in enumerate(data.LABELS):
        if label.startswith("I-"):
            for before, previous in enumerate(data.LABELS):
                if previous[2:] != label[2:]:
                    table[before, after] = -1e9
    return table


TRANSITIONS = transitions()
FIRST = np.where([label.startswith("I-") for label in data.LABELS], -1e9, 0.0)


def viterbi(scores: np.ndarray) -> list[int]:
    """scores: [words, labels] logits. The best path that the transitions allow."""
    log = scores - np.log(np.exp(scores - scores.max(-1, keepdims=True)).sum(-1, keepdims=True))
    log -= scores.max(-1, keepdims=True)
    best, back = log[0] + FIRST, []
    for row in log[1:]:
        paths = best[:, None] + TRANSITIONS
        back.append(paths.argmax(0))
        best = paths.max(0) + row
    path = [int(best.argmax())]
    for pointers in reversed(back):
        path.append(int(pointers[path[-1]]))
    return path[::-1]


def spans(tags: list[str]) -> set[tuple[int, int, str]]:
    """(first word, word after the last, kind) of each entity; an I- without its B- opens one."""
    found, start, kind = set(), None, ""
    for index, tag in enumerate([*tags, "O"]):
        inside = start is not None and tag == f"I-{kind}"
        if start is not None and not inside:
            found.add((start, index, kind))
            start = None
        if tag != "O" and not inside:
            start, kind = index, tag[2:]
    return found


def entity_f1(pairs: list[tuple[list[str], list[str]]]) -> dict[str, float]:
    """Strict match of range and kind over (gold tags, predicted tags), in percent."""
    right = said = gold = 0
    for truth, guess in pairs:
        a, b = spans(truth), spans(guess)
        right, said, gold = right + len(a & b), said + len(b), gold + len(a)
    precision, recall = right / max(said, 1), right / max(gold, 1)
    f1 = 2 * precision * recall / max(precision + recall, 1e-9)
    return {"f1": 100 * f1, "precision": 100 * precision, "recall": 100 * recall}
