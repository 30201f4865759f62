"""Writes the fixtures that `tests/parity.rs` compares our encoder with.

For every architecture: a small model with random weights in the layout of a Hugging Face
repository, and `expected.json` with what `transformers` says of a few texts. For every
kind of tokenizer: the pieces of 1,000 nasty strings in ten scripts, as a hash each.

Needs torch, transformers, tokenizers, sentencepiece, protobuf. Run: `python generate.py`.
The result is deterministic for given package versions (named in `versions.json`).
"""

import io
import json
import random
import shutil
from pathlib import Path

import safetensors.torch
import sentencepiece
import tokenizers
import torch
import transformers
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

HERE = Path(__file__).parent
HIDDEN, HEADS, INTERMEDIATE, LAYERS = 24, 3, 40, 3
LABELS = {0: "negative", 1: "neutral", 2: "positive"}
TAGS = {i: tag for i, tag in enumerate(["O", "B-PER", "I-PER", "B-LOC", "I-LOC"])}
SCRIPTS = {
    "latin": "abcdefghijklmnopqrstuvwxyzàéîõüßøşłđABCDEFGHIJKLMNOPQRSTUVWXYZÉÜİ",
    "cyrillic": "абвгдежзийклмнопрстуфхцчшщъыьэюяЁёІїЄґ",
    "greek": "αβγδεζηθικλμνξοπρστυφχψωάέήίόύώς",
    "arabic": "ابتثجحخدذرزسشصضطظعغفقكلمنهويءآأؤإئةىًٌٍَُِّْـ",
    "hebrew": "אבגדהוזחטיכלמנסעפצקרשתםןףץךָּׁ",
    "devanagari": "अआइईउऊएऐओऔकखगघचछजझटठडढतथदधनपफबभमयरलवशषसहािीुूेैोौं्",
    "thai": "กขคงจฉชซฌญฎฏฐฑฒณดตถทธนบปผฝพฟภมยรลวศษสหอฮะาำิีึืุูเแโใไ็่้๊๋์",
    "han": "的一是不了人我在有他这中大来上国个到说们為子和你地出道也時年得就那要下以生会",
    "kana": "あいうえおかきくけこさしすせそたちつてとアイウエオカキクケコサシスセソパピガっャー",
    "hangul": "가나다라마바사아자차카타파하각난달람밥삿앙잦찿컥텉팦핳을를이는",
}
ODD = [
    "\u0000", "\u200b", "\u200d", "\u200e", "\u202e", "\ufeff", "\u00a0", "\u3000", "\t", "\n", "\r\n", "  ",
    "😀", "👩‍👩‍👧", "🇩🇪", "❤️", "👍🏽", "☕", "…", "—", "’", "“", "ﬁ", "Å", "A\u030a", "ｆｕｌｌ", "①", "½", "™", "\ud7ff",
    "\U0001d54f", "e\u0301\u0323", "\u0301", "Ǆ", "İ", "ſ", "@user", "#tag", "http", "https://t.co/x?y=1&z", "$AAPL",
    "<s>", "</s>", "<mask>", "[CLS]", "[SEP]", "[MASK]", "[UNK]", "<unk>", "##ing", "▁", "Ġ", "&amp;", "''", "don't",
    "1,234.56", "3:45pm", "a" * 120, "!?!?", "......", "(((", "\\n", "\"", "`", "~", "^", "\x7f", "\x85", "\u2028",
]
TEXTS = [
    "The queue at Heathrow was endless and nobody told us why",
    "danke für nichts, schon wieder Verspätung!",
    "מה קורה עם השירות",
    "Это было прекрасно 😀",
    "यह फोन बहुत अच्छा है",
    "这家酒店的服务太差了",
    "a",
    "",
    "wow wow wow wow wow wow wow wow wow wow no no no",
    "é ü ß … — 12,5 % @user http",
]


def nasty_strings() -> list[str]:
    """1,000 strings: words of ten scripts with odd things between and inside, from one character on."""
    rng = random.Random(20_261_123)
    names = list(SCRIPTS)
    found = []
    while len(found) < 1000:
        parts = []
        for _ in range(rng.choice([1, 2, 3, 5, 8])):
            letters = SCRIPTS[names[len(found) % len(names)] if rng.random() < 0.8 else rng.choice(names)]
            word = "".join(rng.choices(letters, k=rng.randint(1, 9)))
            parts.append(rng.choice(ODD) if rng.random() < 0.3 else word)
        found.append(rng.choice([" ", " ", "", "  ", "\n"]).join(parts))
    return found


def corpus(strings: list[str]) -> list[str]:
    """What the tokenizers are trained on: their own test's letters and the texts."""
    return strings[:600] + TEXTS * 30


def wordpiece(strings: list[str]) -> Tokenizer:
    """BERT's: lower case, words, pieces marked with ##."""
    tok = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tok.normalizer = normalizers.BertNormalizer(lowercase=True)
    tok.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tok.train_from_iterator(corpus(strings), trainers.WordPieceTrainer(vocab_size=450, special_tokens=special))
    tok.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    return tok


def byte_level(strings: list[str], modern: bool) -> Tokenizer:
    """RoBERTa's and ModernBERT's: bytes, merged."""
    special = ["[CLS]", "[PAD]", "[SEP]", "[UNK]", "[MASK]"] if modern else ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    tok = Tokenizer(models.BPE())
    tok.normalizer = normalizers.NFC() if modern else None
    tok.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=special, initial_alphabet=alphabet)
    tok.train_from_iterator(corpus(strings), trainer)
    tok.post_processor = processors.TemplateProcessing(
        f"{special[0]} $A {special[2]}", special_tokens=[(special[0], 0), (special[2], 2)]
    )
    return tok


def unigram(strings: list[str], special: list[str], first: str, last: str, unknown: str) -> Tokenizer:
    """DeBERTa's and XLM-R's kind, without sentencepiece's normaliser."""
    tok = Tokenizer(models.Unigram())
    tok.normalizer = normalizers.Sequence([normalizers.Strip(), normalizers.NFKC()])
    tok.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    trainer = trainers.UnigramTrainer(vocab_size=640, special_tokens=special, unk_token=unknown)
    tok.train_from_iterator(corpus(strings), trainer)
    tok.post_processor = processors.TemplateProcessing(
        f"{first} $A {last}", special_tokens=[(first, special.index(first)), (last, special.index(last))]
    )
    return tok


def sentencepiece_model(strings: list[str]) -> bytes:
    """What older XLM-R repositories hold: with sentencepiece's normaliser."""
    lines = [line for text in corpus(strings) for line in text.replace("\0", "").splitlines() if line.strip()]
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_writer=written, vocab_size=640, model_type="unigram",
        character_coverage=0.98, num_threads=1, minloglevel=2,
    )  # fmt: skip
    return written.getvalue()


def randomise(model: torch.nn.Module, seed: int, dtype: torch.dtype) -> None:
    """Weights large enough that every part of the network shows in the logits, rounded to the stored type."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in model.named_parameters():
            noise = torch.randn(tensor.shape, generator=generator)
            if tensor.dim() > 1:
                value = noise * (0.5 if "embedding" in name else 1.5 * tensor.shape[-1] ** -0.5)
            else:
                value = noise * 0.1 + (1.0 if "norm" in name.lower() and name.endswith("weight") else 0.0)
            tensor.copy_(value.to(dtype).float())


def common(vocab: int) -> dict:
    """Sizes that all configurations share; odd ones, so that padding inside the kernels is tried."""
    return dict(
        vocab_size=vocab, hidden_size=HIDDEN, num_hidden_layers=LAYERS, num_attention_heads=HEADS,
        intermediate_size=INTERMEDIATE, max_position_embeddings=96,
    )  # fmt: skip


def configurations(vocabs: dict[str, int]) -> dict[str, tuple]:
    """Folder -> (configuration, class of task, tokenizer, stored type)."""
    T = transformers
    bert = T.BertConfig(**common(vocabs["wordpiece"]))
    distil = T.DistilBertConfig(
        vocab_size=vocabs["wordpiece"], dim=HIDDEN, n_layers=LAYERS, n_heads=HEADS, hidden_dim=INTERMEDIATE,
        max_position_embeddings=96,
    )  # fmt: skip
    ids = dict(bos_token_id=0, pad_token_id=1, eos_token_id=2, type_vocab_size=1)
    roberta = T.RobertaConfig(**common(vocabs["bytes"]), **ids, layer_norm_eps=1e-5)
    xlmr = T.XLMRobertaConfig(**common(vocabs["sentencepiece"]), **ids, layer_norm_eps=1e-5)
    plain = T.XLMRobertaConfig(**common(vocabs["unigram"]), **ids, layer_norm_eps=1e-5)
    relative = dict(
        relative_attention=True, position_buckets=16, max_relative_positions=96, norm_rel_ebd="layer_norm",
        pos_att_type=["p2c", "c2p"], layer_norm_eps=1e-7, pooler_hidden_size=HIDDEN, pad_token_id=0,
    )  # fmt: skip
    v3 = T.DebertaV2Config(
        **common(vocabs["deberta"]), **relative, share_att_key=True, position_biased_input=False, type_vocab_size=0
    )
    v2 = T.DebertaV2Config(**common(vocabs["deberta"]), **relative, share_att_key=False, type_vocab_size=2)
    modern = T.ModernBertConfig(
        **common(vocabs["modern"]), global_attn_every_n_layers=2, local_attention=8, classifier_pooling="mean",
        pad_token_id=1, bos_token_id=0, eos_token_id=2, cls_token_id=0, sep_token_id=2,
    )  # fmt: skip
    return {
        "bert": (bert, "Sequence", "wordpiece", torch.float32),
        "bert-tokens": (bert, "Token", "wordpiece-json", torch.float16),
        "distilbert": (distil, "Sequence", "wordpiece-json", torch.float32),
        "roberta": (roberta, "Sequence", "bytes", torch.bfloat16),
        "xlm-roberta": (xlmr, "Sequence", "sentencepiece", torch.float16),
        "xlm-roberta-tokens": (plain, "Token", "unigram", torch.bfloat16),
        "deberta-v2": (v2, "Sequence", "deberta", torch.float16),
        "deberta-v3": (v3, "Token", "deberta", torch.float16),
        "modernbert": (modern, "Sequence", "modern", torch.bfloat16),
        "modernbert-tokens": (modern, "Token", "modern", torch.float16),
    }


def save_tokenizer(folder: Path, kind: str, tok: Tokenizer | bytes) -> None:
    """Newer repositories have tokenizer.json; older ones only their vocabulary."""
    if kind == "wordpiece":
        pieces = sorted(tok.get_vocab().items(), key=lambda item: item[1])
        (folder / "vocab.txt").write_text("".join(f"{piece}\n" for piece, _ in pieces), encoding="utf-8", newline="\n")
        settings = {"tokenizer_class": "BertTokenizer", "do_lower_case": True}
        (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    elif kind == "bytes":
        model = json.loads(tok.to_str())["model"]
        (folder / "vocab.json").write_text(json.dumps(model["vocab"], ensure_ascii=False))
        merges = [" ".join(m) if isinstance(m, list) else m for m in model["merges"]]
        (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n")
        (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "RobertaTokenizer"}))
    elif kind == "sentencepiece":
        (folder / "sentencepiece.bpe.model").write_bytes(tok)
    else:
        tok.save(str(folder / "tokenizer.json"), pretty=False)


def reference_tokenizer(folder: Path, kind: str, tok: Tokenizer):
    """Ids as `transformers` gives them: for old files through its own conversion."""
    if kind == "wordpiece":
        fast = transformers.BertTokenizer.from_pretrained(str(folder))
    elif kind == "bytes":
        fast = transformers.RobertaTokenizer.from_pretrained(str(folder))
    elif kind == "sentencepiece":
        fast = transformers.XLMRobertaTokenizer.from_pretrained(str(folder))
    else:
        fast = transformers.PreTrainedTokenizerFast(tokenizer_object=tok)
    return lambda text: fast(text)["input_ids"]


def fingerprint(ids: list[int]) -> str:
    """FNV-1a, 64 bits, over the ids as little-endian u32."""
    value = 0xCBF29CE484222325
    for byte in b"".join(i.to_bytes(4, "little") for i in ids):
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return f"{value:016x}"


def write_case(folder: Path, config, task: str, kind: str, dtype, tok: Tokenizer, strings: list[str], seed: int) -> None:
    """One folder: model, tokenizer, expectations."""
    folder.mkdir()
    config = type(config)(**{**config.to_dict(), "id2label": LABELS if task == "Sequence" else TAGS})
    maker = getattr(transformers, f"AutoModelFor{task}Classification")
    model = maker.from_config(config, attn_implementation="eager").eval()
    randomise(model, seed, dtype)
    save_tokenizer(folder, kind, tok)
    encode = reference_tokenizer(folder, kind, tok)
    rows = []
    with torch.no_grad():
        for text in TEXTS:
            ids = encode(text)
            logits = model(input_ids=torch.tensor([ids]), attention_mask=torch.ones(1, len(ids), dtype=torch.long)).logits[0]
            rows.append({"text": text, "ids": ids, "logits": [round(v, 6) for v in logits.flatten().tolist()]})
    stored = model.to(dtype)
    stored.save_pretrained(folder, safe_serialization=True)
    expected = {"labels": list((LABELS if task == "Sequence" else TAGS).values()), "texts": rows}
    if not (kind == "wordpiece-json" and task == "Token") and "tokens" not in folder.name:
        expected["nasty"] = [fingerprint(encode(text)) for text in strings]
    (folder / "expected.json").write_text(json.dumps(expected, ensure_ascii=False) + "\n")


def write_own(folder: Path, tok: Tokenizer, seed: int) -> None:
    """The shipped model's format in small: int8 matrices with scales, heads on the mean and on pieces."""
    folder.mkdir()
    config = transformers.BertConfig(**common(tok.get_vocab_size()), pad_token_id=1)
    bert = transformers.BertModel(config, add_pooling_layer=False).eval()
    randomise(bert, seed, torch.float32)
    generator = torch.Generator().manual_seed(seed)
    heads = {
        "sentiment": {"labels": list(LABELS.values()), "pooling": "mean", "temperature": 1.5},
        "emotion": {"labels": ["anger", "joy", "optimism", "sadness"], "pooling": "mean", "temperature": 1.0},
        "offensive": {"labels": ["not-offensive", "offensive"], "pooling": "mean", "temperature": 1.0},
        "entities": {"labels": ["O", "B-person", "I-person", "B-group", "I-group"], "level": "first-piece",
                     "temperature": 1.0, "kinds": {"person": "person", "group": "organisation"}},
        "embedding": {"pooling": "mean", "projection": "heads.embedding", "normalise": "l2"},
    }  # fmt: skip
    tensors, state = {}, bert.state_dict()
    for name, tensor in state.items():
        if tensor.dim() == 2 and ("word_embeddings" in name or name.startswith("encoder.")):
            scale = tensor.abs().amax(1).clamp_min(1e-12) / 127
            integers = (tensor / scale[:, None]).round().to(torch.int8)
            state[name] = integers.float() * scale[:, None]
            tensors[name], tensors[f"{name}.scale"] = integers, scale
        elif tensor.is_floating_point():
            state[name] = tensor.half().float() if "position_embeddings" in name else tensor
            tensors[name] = tensor.half() if "position_embeddings" in name else tensor
    bert.load_state_dict(state)
    for name, head in heads.items():
        width = len(head.get("labels", range(HIDDEN)))
        tensors[f"heads.{name}.weight"] = torch.randn(width, HIDDEN, generator=generator) * 0.5
        tensors[f"heads.{name}.bias"] = torch.randn(width, generator=generator) * 0.1
    safetensors.torch.save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / "model.safetensors")
    ours = {"format": 1, "name": "tiny", "version": "1.0", "input": "", "heads": heads}
    (folder / "config.json").write_text(json.dumps(config.to_dict() | {"overheard": ours}) + "\n")
    tok.save(str(folder / "tokenizer.json"), pretty=False)
    rows = []
    for text in TEXTS:
        ids = torch.tensor([tok.encode(text).ids])
        with torch.no_grad():
            hidden = bert(ids, attention_mask=torch.ones_like(ids)).last_hidden_state[0]
        logits = {}
        for name, head in heads.items():
            states = hidden[1:-1] if "level" in head else hidden.mean(0)
            values = states @ tensors[f"heads.{name}.weight"].T + tensors[f"heads.{name}.bias"]
            logits[name] = [round(v, 6) for v in values.flatten().tolist()]
        rows.append({"text": text, "ids": ids[0].tolist(), "logits": logits})
    (folder / "expected.json").write_text(json.dumps(rows, ensure_ascii=False) + "\n")


def write_camembert(folder: Path, sentencepiece_file: Path, strings: list[str]) -> None:
    """How CamemBERT numbers the pieces of the same sentencepiece model; a tokenizer alone, its model is RoBERTa's."""
    folder.mkdir()
    config = json.loads((sentencepiece_file.parent / "config.json").read_text()) | {"model_type": "camembert"}
    (folder / "config.json").write_text(json.dumps(config) + "\n")
    shutil.copy(sentencepiece_file, folder / sentencepiece_file.name)
    tok = transformers.CamembertTokenizer.from_pretrained(str(folder))
    (folder / sentencepiece_file.name).unlink()
    ids = [tok(text)["input_ids"] for text in strings]
    expected = {"first": ids[0][0], "last": ids[0][-1], "nasty": [fingerprint(row) for row in ids]}
    (folder / "tokens.json").write_text(json.dumps(expected) + "\n")


def main() -> None:
    """Everything, from nothing."""
    strings = nasty_strings()
    (HERE / "nasty.json").write_text(json.dumps(strings, ensure_ascii=True) + "\n")
    xlmr = (["<s>", "<pad>", "</s>", "<unk>", "<mask>"], "<s>", "</s>", "<unk>")
    deberta = (["[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]"], "[CLS]", "[SEP]", "[UNK]")
    toks = {
        "wordpiece": wordpiece(strings),
        "bytes": byte_level(strings, modern=False),
        "modern": byte_level(strings, modern=True),
        "unigram": unigram(strings, *xlmr),
        "deberta": unigram(strings, *deberta),
    }
    toks["wordpiece-json"] = toks["wordpiece"]
    sizes = {name: tok.get_vocab_size() for name, tok in toks.items()}
    toks["sentencepiece"] = sentencepiece_model(strings)
    # XLM-R counts one special token more in front and the mask behind.
    cases = configurations(sizes | {"sentencepiece": 640 + 2})
    for seed, (name, (config, task, kind, dtype)) in enumerate(cases.items()):
        shutil.rmtree(HERE / name, ignore_errors=True)
        write_case(HERE / name, config, task, kind, dtype, toks[kind], strings, seed)
    shutil.rmtree(HERE / "camembert", ignore_errors=True)
    write_camembert(HERE / "camembert", HERE / "xlm-roberta" / "sentencepiece.bpe.model", strings)
    shutil.rmtree(HERE / "overheard", ignore_errors=True)
    write_own(HERE / "overheard", toks["unigram"], 99)
    versions = {"torch": torch.__version__, "transformers": transformers.__version__, "tokenizers": tokenizers.__version__}
    (HERE / "versions.json").write_text(json.dumps(versions) + "\n")


if __name__ == "__main__":
    main()
