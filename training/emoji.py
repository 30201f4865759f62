"""The polarity of emoji, for posts that hold nothing else: crates/nlp/src/understand/emoji.txt.

Run: python emoji.py [--data ../../shared/data]. The logarithm of how much more often an emoji stands in positive texts than
in negative ones: the mean of two sources, sentiment (UMSAB and the sets in extra/) and TweetEval's emotion (joy and
optimism against anger and sadness). Training parts only; an emoji that fewer than five texts have is left out.
"""

import argparse
import json
import math
from collections import Counter
from pathlib import Path

OUTPUT = Path(__file__).parent.parent / "crates/nlp/src/understand/emoji.txt"
SMOOTHING = 2
TEXTS_MIN = 5


def is_emoji(character):
    # The signs of gender stand in joined emoji ("🤷‍♀️"), whose mood is not theirs.
    if character in "♀♂":
        return False
    return 0x1F300 <= ord(character) <= 0x1F3FA or 0x1F400 <= ord(character) <= 0x1FAFF or 0x2600 <= ord(character) <= 0x27BF


def labelled(folder):
    texts = (folder / "train_text.txt").read_text().split("\n")
    return zip(texts, (folder / "train_labels.txt").read_text().split("\n"))


def sentiment(data):
    for folder in sorted((data / "umsab").iterdir()):
        yield from ((text, {"0": -1, "2": 1}.get(label)) for text, label in labelled(folder))
    for path in sorted((data / "extra").glob("*.jsonl")):
        for line in path.read_text().splitlines():
            example = json.loads(line)
            yield example["text"], {0: -1, 2: 1}.get(example["label"])


def emotion(data):
    for text, label in labelled(data / "tweeteval/emotion"):
        yield text, {"0": -1, "1": 1, "2": 1, "3": -1}.get(label)


def polarities(examples):
    """For each emoji, the logarithm of the ratio and the number of texts."""
    counts, totals = {-1: Counter(), 1: Counter()}, Counter()
    for text, pole in examples:
        found = {character for character in text if is_emoji(character)}
        if pole and found:
            counts[pole].update(found)
            totals[pole] += 1
    share = lambda emoji, pole: (counts[pole][emoji] + SMOOTHING) / totals[pole]
    emoji = counts[-1].keys() | counts[1].keys()
    return {e: (math.log(share(e, 1) / share(e, -1)), counts[-1][e] + counts[1][e]) for e in emoji}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path(__file__).parent / "../../shared/data")
    data = parser.parse_args().data
    sources = [polarities(sentiment(data)), polarities(emotion(data))]
    lines = []
    for emoji in sorted(set().union(*sources)):
        found = [source[emoji] for source in sources if source.get(emoji, (0, 0))[1] >= TEXTS_MIN]
        if found:
            lines.append(f"{emoji} {sum(value for value, _ in found) / len(found):.2f}\n")
    OUTPUT.write_text("".join(lines))
    print(f"{len(lines)} emoji in {OUTPUT}")


if __name__ == "__main__":
    main()
