"""Starts the sentence heads where a logistic regression on the base's embeddings ends.

Fine-tuning from such heads keeps more of what the base knows than from random ones
(Kumar et al., "Fine-tuning can distort pretrained features", 2022), and on a busy
machine it is worth the first hour. The teacher's embeddings are centred unit vectors
c of posts with a prefix; the pooled vector of a post without it is about m + s r c,
where m is the mean of pooled vectors, s their norm and r the spread of unit vectors.
"""

import torch
import torch.nn.functional as F
from tokenizers import Tokenizer

import model as encoder
from data import Example

SAMPLE = 64
DECAY = 1e-3


def regression(features: torch.Tensor, labels: torch.Tensor, classes: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Balanced logistic regression with a quadratic penalty; returns weight and bias."""
    weight = torch.zeros(classes, features.shape[1], requires_grad=True)
    bias = torch.zeros(classes, requires_grad=True)
    counts = torch.bincount(labels, minlength=classes).clamp(min=1)
    balance = len(labels) / (classes * counts)
    solver = torch.optim.LBFGS([weight, bias], max_iter=60, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        solver.zero_grad()
        loss = F.cross_entropy(features @ weight.T + bias, labels, balance) + DECAY * weight.square().sum()
        loss.backward()
        return loss

    solver.step(closure)
    return weight.detach(), bias.detach()


@torch.no_grad()
def pooled_sample(net: encoder.Model, tokenizer: Tokenizer, texts: list[str]) -> torch.Tensor:
    """Pooled vectors of texts spread over all lengths."""
    step = max(len(texts) // SAMPLE, 1)
    chosen = texts[::step][:SAMPLE]
    return torch.cat([net.encode(torch.tensor([tokenizer.encode(text).ids]))[1] for text in chosen])


def start_heads(
    net: encoder.Model,
    tokenizer: Tokenizer,
    examples: list[Example],
    taught: dict[str, torch.Tensor],
    texts: list[str],
) -> None:
    """Sets the sentence heads and the embedding head of `net`; `texts` are the rows of `taught`."""
    pooled = pooled_sample(net, tokenizer, texts)
    mean, norm = pooled.mean(0), pooled.norm(dim=-1).mean()
    spread = norm * (1.0 - taught["mean"].square().sum()).sqrt()
    features, index = taught["embeddings"].float(), {text: row for row, text in enumerate(texts)}
    for task in ("sentiment", "emotion", "offensive"):
        known = [(index[e.text], e.label) for e in examples if e.task == task and e.text in index]
        rows, labels = torch.tensor(known).T
        weight, bias = regression(features[rows], labels, encoder.HEADS[task])
        net.heads[task].weight.data = weight / spread
        net.heads[task].bias.data = bias - weight @ mean / spread
    net.heads["embedding"].bias.data = -mean
