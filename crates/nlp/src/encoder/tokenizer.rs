//! Text to pieces and back: `tokenizer.json`, or the older files of a repository, from which the same description is
//! made (`vocab.txt` of BERT, `vocab.json` and `merges.txt` of RoBERTa, `sentencepiece.bpe.model` of XLM-RoBERTa and
//! CamemBERT). The work is done by the crate `tokenizers`; cutting words into unigram pieces by our own, for its
//! memory.

use super::sentencepiece;
use super::unigram::Unigram;
use crate::error::{Error, Result};
use crate::file;
use serde::Deserialize;
use serde_json::{Value, json};
use std::panic::catch_unwind;
use std::path::Path;
use tokenizers::{
    DecoderWrapper, Encoding, ModelWrapper, NormalizerWrapper, PostProcessorWrapper, PreTokenizerWrapper, TokenizerImpl,
};

/// Bytes of a description at most; that of XLM-RoBERTa has 17 MB, the largest that are in use 35 MB. Reading one takes up to
/// twenty times its size for a moment.
const DESCRIPTION_MAX: usize = 64 << 20;
/// How many times as long a normalizer may make a text; three bytes for a space are usual.
const GROWTH_MAX: usize = 64;
/// Bytes of the older files at most: vocabularies of 250,000 pieces have 5 MB.
const FILE_MAX: usize = 16 << 20;

/// The library's tokenizer around a way to cut words.
type Around<M> = TokenizerImpl<M, NormalizerWrapper, PreTokenizerWrapper, PostProcessorWrapper, DecoderWrapper>;

enum Tokenizer {
    Unigram(Box<Around<Unigram>>),
    Any(Box<Around<ModelWrapper>>),
}

impl Tokenizer {
    /// Reads a `tokenizer.json`. Lengths are ours to handle, in windows: truncation and padding are not taken over.
    fn read(description: &[u8]) -> tokenizers::Result<Self> {
        #[derive(Deserialize)]
        struct Kind {
            model: ModelKind,
            #[serde(default)]
            normalizer: Value,
        }
        #[derive(Deserialize)]
        struct ModelKind {
            r#type: Option<String>,
            unk_id: Option<u32>,
            #[serde(default)]
            byte_fallback: bool,
        }
        let Kind { model, normalizer } = serde_json::from_slice(description)?;
        if growth(&normalizer) > GROWTH_MAX {
            return Err(format!("its normalizer makes a text more than {GROWTH_MAX} times as long").into());
        }
        let unigram = model.r#type.as_deref() == Some("Unigram") && model.unk_id.is_some() && !model.byte_fallback;
        Ok(if unigram {
            let mut tokenizer: Around<Unigram> = serde_json::from_slice(description)?;
            tokenizer.with_truncation(None)?.with_padding(None);
            Self::Unigram(Box::new(tokenizer))
        } else {
            let mut tokenizer: Around<ModelWrapper> = serde_json::from_slice(description)?;
            tokenizer.with_truncation(None)?.with_padding(None);
            Self::Any(Box::new(tokenizer))
        })
    }

    fn encode(&self, text: &str, special: bool) -> Result<Encoding> {
        let encoded = match self {
            Self::Unigram(tokenizer) => tokenizer.encode(text, special),
            Self::Any(tokenizer) => tokenizer.encode(text, special),
        };
        encoded.map_err(|e| Error::Text(format!("tokenizer: {e}")))
    }
}

/// How many times as long replacements make a text at most, one after another.
fn growth(normalizer: &Value) -> usize {
    let length = |field: &str| normalizer[field].as_str().map_or(1, |text| text.len().max(1));
    let parts = normalizer["normalizers"].as_array().into_iter().flatten().map(growth);
    parts.fold(length("content").max(length("prepend")), usize::saturating_mul)
}

/// A tokenizer with the special tokens that stand around every sequence.
pub(crate) struct Pieces {
    tokenizer: Tokenizer,
    pub(crate) prefix: Vec<u32>,
    pub(crate) suffix: Vec<u32>,
}

/// A text in pieces, without special tokens.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tokens {
    pub ids: Vec<u32>,
    /// Bytes of the text that each piece stands for.
    pub offsets: Vec<(usize, usize)>,
}

impl Pieces {
    /// Loads what a folder has.
    pub(crate) fn load(dir: &Path) -> Result<Self> {
        let own = dir.join("tokenizer.json");
        let description = if own.exists() {
            file::read(&own, DESCRIPTION_MAX)?
        } else {
            serde_json::to_vec(&describe(dir)?).map_err(|e| Error::malformed(dir, e.to_string()))?
        };
        Self::read(&description).map_err(|problem| Error::malformed(&own, problem))
    }

    /// Makes the tokenizer of a description. The library panics at some that are wrong (a damaged table of characters);
    /// that is an error of the file like any other.
    fn read(description: &[u8]) -> Result<Self, String> {
        let made = catch_unwind(|| {
            let tokenizer = Tokenizer::read(description).map_err(|e| e.to_string())?;
            let (prefix, suffix) = around(&tokenizer).map_err(|e| e.to_string())?;
            Ok(Self { tokenizer, prefix, suffix })
        });
        made.unwrap_or_else(|_| Err("the tokenizer's description is damaged".into()))
    }

    /// Cuts a text into pieces.
    pub(crate) fn cut(&self, text: &str) -> Result<Tokens> {
        let encoding = self.tokenizer.encode(text, false)?;
        Ok(Tokens { ids: encoding.get_ids().to_vec(), offsets: encoding.get_offsets().to_vec() })
    }
}

/// Special tokens before and after a sequence, told from what they add to a word.
fn around(tokenizer: &Tokenizer) -> Result<(Vec<u32>, Vec<u32>)> {
    let encode = |special| Ok::<_, Error>(tokenizer.encode("a", special)?.get_ids().to_vec());
    let (bare, dressed) = (encode(false)?, encode(true)?);
    let at = dressed.windows(bare.len().max(1)).position(|window| window == bare);
    match at {
        Some(at) => Ok((dressed[..at].to_vec(), dressed[at + bare.len()..].to_vec())),
        None => Err(Error::Invalid("the tokenizer's special tokens do not stand around the text".into())),
    }
}

/// A description like `tokenizer.json` from the older files. Many tokenizers keep files of these names, and not all of them
/// cut alike: a class that is not known here is refused, as its pieces would be others.
fn describe(dir: &Path) -> Result<Value> {
    let there = |name: &str| dir.join(name).exists();
    let settings = match there("tokenizer_config.json") {
        true => read_json(&dir.join("tokenizer_config.json"))?,
        false => json!({}),
    };
    let config = read_json(&dir.join("config.json"))?;
    if there("vocab.txt") {
        expect_class("vocab.txt", &settings, &config, &["Bert", "DistilBert"])?;
        return wordpiece(dir, &settings);
    }
    if there("vocab.json") && there("merges.txt") {
        expect_class("vocab.json", &settings, &config, &["Roberta"])?;
        return byte_level(dir, &settings);
    }
    if there("sentencepiece.bpe.model") {
        let class = expect_class("sentencepiece.bpe.model", &settings, &config, &["XLMRoberta", "Camembert"])?;
        let camembert = class == "Camembert";
        let layout = if camembert { &sentencepiece::CAMEMBERT } else { &sentencepiece::XLM_ROBERTA };
        let strip = settings["mask_token"]["lstrip"].as_bool().unwrap_or(camembert);
        return sentencepiece::describe(&dir.join("sentencepiece.bpe.model"), layout, strip);
    }
    Err(Error::Unsupported(format!(
        "{} holds none of tokenizer.json, vocab.txt, vocab.json with merges.txt, sentencepiece.bpe.model",
        dir.display()
    )))
}

/// Which of the classes that are known a tokenizer is of; where none is named, it is that of the model's type.
fn expect_class<'a>(file: &str, settings: &Value, config: &Value, known: &[&'a str]) -> Result<&'a str> {
    let named = [settings, config].into_iter().find_map(|value| value["tokenizer_class"].as_str());
    let class = named.unwrap_or_else(|| match config["model_type"].as_str() {
        Some("bert") => "BertTokenizer",
        Some("distilbert") => "DistilBertTokenizer",
        Some("roberta") => "RobertaTokenizer",
        Some("xlm-roberta") => "XLMRobertaTokenizer",
        Some("camembert") => "CamembertTokenizer",
        _ => "unnamed",
    });
    // Japanese models cut words by a dictionary first.
    let words = settings["word_tokenizer_type"].as_str().filter(|kind| *kind != "basic");
    let plain = class.trim_end_matches("Fast").trim_end_matches("Tokenizer");
    if let Some(class) = known.iter().find(|class| **class == plain).filter(|_| words.is_none()) {
        return Ok(class);
    }
    Err(Error::Unsupported(format!(
        "{file} of a tokenizer of the class {class}{}; with a tokenizer.json beside it, the model could be read \
         (save_pretrained of a fast tokenizer in Python writes one)",
        words.map(|kind| format!(", words by {kind}")).unwrap_or_default()
    )))
}

fn read_json(path: &Path) -> Result<Value> {
    serde_json::from_slice(&file::read(path, FILE_MAX)?).map_err(|e| Error::malformed(path, e.to_string()))
}

/// BERT and DistilBERT: words cut by a vocabulary, one piece a line.
fn wordpiece(dir: &Path, settings: &Value) -> Result<Value> {
    let text = file::read_text(&dir.join("vocab.txt"), FILE_MAX)?;
    let vocab: serde_json::Map<String, Value> =
        text.lines().enumerate().map(|(id, piece)| (piece.trim_end_matches('\r').to_owned(), json!(id))).collect();
    let token = |field: &str, default: &str| special(settings, field, default);
    let [cls, sep] = [token("cls_token", "[CLS]"), token("sep_token", "[SEP]")];
    let names = [
        token("pad_token", "[PAD]"),
        token("unk_token", "[UNK]"),
        cls.clone(),
        sep.clone(),
        token("mask_token", "[MASK]"),
    ];
    let added = added_tokens(&vocab, &names, settings);
    Ok(json!({
        "version": "1.0",
        "added_tokens": added,
        "normalizer": {
            "type": "BertNormalizer", "clean_text": true,
            "handle_chinese_chars": settings["tokenize_chinese_chars"].as_bool().unwrap_or(true),
            "strip_accents": settings["strip_accents"].as_bool(),
            "lowercase": settings["do_lower_case"].as_bool().unwrap_or(true),
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": template(&vocab, &cls, &sep)?,
        "model": {
            "type": "WordPiece", "unk_token": names[1], "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100, "vocab": vocab,
        },
    }))
}

/// RoBERTa: bytes merged by rank.
fn byte_level(dir: &Path, settings: &Value) -> Result<Value> {
    let path = dir.join("vocab.json");
    let Value::Object(vocab) = read_json(&path)? else {
        return Err(Error::malformed(path, "not an object"));
    };
    let text = file::read_text(&dir.join("merges.txt"), FILE_MAX)?;
    let merges: Vec<Vec<&str>> = text
        .lines()
        .filter(|line| !line.starts_with("#version") && !line.trim().is_empty())
        .map(|line| line.split(' ').collect())
        .collect();
    let token = |field: &str, default: &str| special(settings, field, default);
    let [bos, eos] = [token("cls_token", "<s>"), token("sep_token", "</s>")];
    let names = [
        bos.clone(),
        token("pad_token", "<pad>"),
        eos.clone(),
        token("unk_token", "<unk>"),
        token("mask_token", "<mask>"),
    ];
    let added = added_tokens(&vocab, &names, settings);
    let prefixed = settings["add_prefix_space"].as_bool().unwrap_or(false);
    let id = |name: &str| vocab.get(name).cloned().ok_or_else(|| Error::malformed(dir, format!("no piece {name:?}")));
    Ok(json!({
        "version": "1.0",
        "added_tokens": added,
        "normalizer": null,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": prefixed, "trim_offsets": true, "use_regex": true},
        "post_processor": {
            "type": "RobertaProcessing", "sep": [eos, id(&eos)?], "cls": [bos, id(&bos)?],
            "trim_offsets": true, "add_prefix_space": prefixed,
        },
        "model": {
            "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": "",
            "end_of_word_suffix": "", "fuse_unk": false, "byte_fallback": false, "vocab": vocab, "merges": merges,
        },
    }))
}

/// Name of a special token; it may be written as a word or as an object with its content.
fn special(settings: &Value, field: &str, default: &str) -> String {
    let value = &settings[field];
    value.as_str().or_else(|| value["content"].as_str()).unwrap_or(default).to_owned()
}

/// Special tokens with their ids; those not in the vocabulary are left out. The mask takes the space before it along
/// where the settings say so.
fn added_tokens(vocab: &serde_json::Map<String, Value>, names: &[String; 5], settings: &Value) -> Vec<Value> {
    let strip = settings["mask_token"]["lstrip"].as_bool().unwrap_or(false);
    let mut found: Vec<(u64, &String)> =
        names.iter().filter_map(|name| Some((vocab.get(name)?.as_u64()?, name))).collect();
    found.sort_unstable();
    found.dedup();
    found
        .into_iter()
        .map(|(id, name)| {
            json!({"id": id, "content": name, "single_word": false, "lstrip": strip && *name == names[4],
                   "rstrip": false, "normalized": false, "special": true})
        })
        .collect()
}

/// `[CLS] text [SEP]`.
fn template(vocab: &serde_json::Map<String, Value>, cls: &str, sep: &str) -> Result<Value> {
    let id =
        |name: &str| vocab.get(name).cloned().ok_or_else(|| Error::Invalid(format!("vocab.txt has no piece {name:?}")));
    let token = |name: &str| json!({"SpecialToken": {"id": name, "type_id": 0}});
    let text = json!({"Sequence": {"id": "A", "type_id": 0}});
    Ok(json!({
        "type": "TemplateProcessing",
        "single": [token(cls), text, token(sep)],
        "pair": [token(cls), text, token(sep), {"Sequence": {"id": "B", "type_id": 1}}, token(sep)],
        "special_tokens": {
            cls: {"id": cls, "ids": [id(cls)?], "tokens": [cls]},
            sep: {"id": sep, "ids": [id(sep)?], "tokens": [sep]},
        },
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tokenizer_that_multiplies_texts_or_is_damaged_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let load = |normalizer: Value| {
            let description = json!({
                "version": "1.0", "added_tokens": [], "normalizer": normalizer, "pre_tokenizer": null,
                "post_processor": null, "decoder": null,
                "model": {"type": "WordPiece", "unk_token": "u", "continuing_subword_prefix": "##",
                          "max_input_chars_per_word": 100, "vocab": {"u": 0, "a": 1}},
            });
            std::fs::write(folder.path().join("tokenizer.json"), description.to_string()).unwrap();
            Pieces::load(folder.path()).map(drop).map_err(|error| error.to_string())
        };
        let double = json!({"type": "Replace", "pattern": {"String": "a"}, "content": "aa"});
        let times = |count| json!({"type": "Sequence", "normalizers": vec![double.clone(); count]});
        assert_eq!(load(times(3)), Ok(()));
        assert!(load(times(40)).unwrap_err().contains("64 times as long"));
        // The library panics at this one.
        let damaged = load(json!({"type": "Precompiled", "precompiled_charsmap": "AAAA"}));
        assert!(damaged.unwrap_err().contains("tokenizer.json"));
    }

    #[test]
    fn tokenizers_that_only_look_alike_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let load = |model: &str, settings: &Value| {
            for (file, text) in [
                ("vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n".to_owned()),
                ("config.json", json!({"model_type": model}).to_string()),
                ("tokenizer_config.json", settings.to_string()),
            ] {
                std::fs::write(folder.path().join(file), text).unwrap();
            }
            Pieces::load(folder.path()).map(|pieces| pieces.prefix).map_err(|error| error.to_string())
        };
        assert_eq!(load("bert", &json!({})), Ok(vec![2]));
        assert_eq!(load("distilbert", &json!({"tokenizer_class": "DistilBertTokenizerFast"})), Ok(vec![2]));
        assert_eq!(load("roberta", &json!({"tokenizer_class": "BertTokenizer"})), Ok(vec![2]));
        for (model, settings, words) in [
            ("roberta", json!({"tokenizer_class": "BertweetTokenizer"}), "class BertweetTokenizer"),
            ("roberta", json!({}), "class RobertaTokenizer"),
            ("deberta-v2", json!({}), "class unnamed"),
            ("bert", json!({"word_tokenizer_type": "mecab"}), "words by mecab"),
        ] {
            let error = load(model, &settings).unwrap_err();
            assert!(error.contains(words) && error.contains("tokenizer.json"), "{error}");
        }
    }
}
