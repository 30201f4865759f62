"""The encoder and its heads in PyTorch, as small as training needs it.

BERT of 12 layers x 384. Query, key and value are one matrix while training and
are split again by `named_tensors`. Dropout has one mask a post and layer half, which
costs nothing beside a mask for every piece. Softmax attention is written out, which is faster on a
processor than the fused kernel for posts of about 35 pieces.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

HEADS = {"sentiment": 3, "emotion": 4, "offensive": 2, "entities": 13}
PARTS = ("query", "key", "value")
DROPOUT = 0.1


def drop(x: torch.Tensor, training: bool) -> torch.Tensor:
    """Zeroes the same random features of all pieces of a post; x: [batch, length, hidden]."""
    if not training:
        return x
    kept = x.new_empty(len(x), 1, x.shape[-1]).bernoulli_(1.0 - DROPOUT)
    return x * kept.div_(1.0 - DROPOUT)


class Layer(nn.Module):
    """One encoder layer, layer norm after each half as in BERT."""

    def __init__(self, hidden: int, intermediate: int, heads: int, epsilon: float):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(hidden, 3 * hidden)
        self.out = nn.Linear(hidden, hidden)
        self.norm1 = nn.LayerNorm(hidden, eps=epsilon)
        self.up = nn.Linear(hidden, intermediate)
        self.down = nn.Linear(intermediate, hidden)
        self.norm2 = nn.LayerNorm(hidden, eps=epsilon)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """x: [batch, length, hidden]; mask: [batch, 1, 1, length], -1e9 on padding, else 0."""
        batch, length, hidden = x.shape
        width = hidden // self.heads
        qkv = self.qkv(x).view(batch, length, 3, self.heads, width).permute(2, 0, 3, 1, 4)
        query, key, value = qkv.unbind(0)
        scores = (query * width**-0.5) @ key.transpose(-1, -2) + mask
        mixed = (scores.softmax(-1) @ value).transpose(1, 2).reshape(batch, length, hidden)
        x = self.norm1(x + drop(self.out(mixed), self.training))
        return self.norm2(x + drop(self.down(F.gelu(self.up(x))), self.training))


class Model(nn.Module):
    """Embeddings, layers, heads. `embed` is apart, so that a trainer can update its rows sparsely."""

    def __init__(self, config: dict):
        super().__init__()
        hidden, epsilon = config["hidden_size"], config["layer_norm_eps"]
        self.config = config
        self.words = nn.Parameter(torch.zeros(config["vocab_size"], hidden), requires_grad=False)
        self.positions = nn.Parameter(torch.zeros(config["max_position_embeddings"], hidden))
        self.types = nn.Parameter(torch.zeros(config["type_vocab_size"], hidden), requires_grad=False)
        self.norm = nn.LayerNorm(hidden, eps=epsilon)
        sizes = (hidden, config["intermediate_size"], config["num_attention_heads"], epsilon)
        self.layers = nn.ModuleList(Layer(*sizes) for _ in range(config["num_hidden_layers"]))
        self.heads = nn.ModuleDict({name: nn.Linear(hidden, n) for name, n in HEADS.items()})
        self.heads["embedding"] = nn.Linear(hidden, hidden)

    def encode(
        self, ids: torch.Tensor, words: torch.Tensor | None = None, frozen: int = 0
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """ids: [batch, length], 1 is padding. Returns hidden states and the mean over the pieces.

        With `frozen` > 0 the embeddings and that many lowest layers are run without gradients.
        """
        present = ids != 1
        mask = torch.where(present, 0.0, -1e9)[:, None, None, :]
        with torch.set_grad_enabled(torch.is_grad_enabled() and frozen == 0):
            if words is None:
                words = F.embedding(ids, self.words)
            x = self.norm(words + self.positions[: ids.shape[1]] + self.types[0])
        for index, layer in enumerate(self.layers):
            with torch.set_grad_enabled(torch.is_grad_enabled() and index >= frozen):
                x = layer(x, mask)
        weight = present.to(x.dtype)
        pooled = (x * weight[..., None]).sum(1) / weight.sum(1, keepdim=True)
        return x, pooled


def layer_names(index: int) -> dict[str, str]:
    """Our names of a layer's tensors and the Hugging Face names they stand for."""
    prefix, ours = f"encoder.layer.{index}.", f"layers.{index}."
    pairs = {
        "out": "attention.output.dense",
        "norm1": "attention.output.LayerNorm",
        "up": "intermediate.dense",
        "down": "output.dense",
        "norm2": "output.LayerNorm",
    }
    return {f"{ours}{a}.{k}": f"{prefix}{b}.{k}" for a, b in pairs.items() for k in ("weight", "bias")}


def names(config: dict) -> dict[str, str]:
    """All one-to-one names; query, key and value are handled apart."""
    found = {
        "words": "embeddings.word_embeddings.weight",
        "positions": "embeddings.position_embeddings.weight",
        "types": "embeddings.token_type_embeddings.weight",
        "norm.weight": "embeddings.LayerNorm.weight",
        "norm.bias": "embeddings.LayerNorm.bias",
    }
    for index in range(config["num_hidden_layers"]):
        found |= layer_names(index)
    return found


def load(config: dict, tensors: dict[str, np.ndarray], seed: int = 1) -> Model:
    """Builds the model from tensors under Hugging Face names; absent heads start small and seeded."""
    torch.manual_seed(seed)
    model = Model(config)
    state = model.state_dict()
    for ours, theirs in names(config).items():
        state[ours] = torch.from_numpy(np.array(tensors[theirs], dtype=np.float32))
    for index in range(config["num_hidden_layers"]):
        for kind in ("weight", "bias"):
            prefix = f"encoder.layer.{index}.attention.self"
            parts = [np.array(tensors[f"{prefix}.{part}.{kind}"], dtype=np.float32) for part in PARTS]
            state[f"layers.{index}.qkv.{kind}"] = torch.from_numpy(np.concatenate(parts))
    for name in model.heads:
        for kind in ("weight", "bias"):
            key = f"heads.{name}.{kind}"
            if key in tensors:
                state[key] = torch.from_numpy(np.array(tensors[key], dtype=np.float32))
            elif kind == "bias":
                state[key].zero_()
            elif name == "embedding":
                state[key] = torch.eye(config["hidden_size"])
            else:
                state[key].normal_(0.0, 0.02)
    model.load_state_dict(state)
    return model.eval()


def named_tensors(model: Model) -> dict[str, torch.Tensor]:
    """The model's tensors under Hugging Face names, the opposite of `load`."""
    state = {k: v.detach() for k, v in model.state_dict().items()}
    found = {theirs: state[ours] for ours, theirs in names(model.config).items()}
    for index in range(model.config["num_hidden_layers"]):
        for kind in ("weight", "bias"):
            parts = state[f"layers.{index}.qkv.{kind}"].chunk(3)
            for part, tensor in zip(PARTS, parts, strict=True):
                found[f"encoder.layer.{index}.attention.self.{part}.{kind}"] = tensor
    found |= {k: v for k, v in state.items() if k.startswith("heads.")}
    return found
