//! `config.json` of a model folder, read into what the engine needs to know. Fields follow Hugging Face; the block
//! `overheard` is ours and names the heads of the shipped model.

use crate::error::{Error, Result};
use crate::file;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// Bytes of a configuration at most: one with 10,000 labels has about 600,000.
const FILE_MAX: usize = 4 << 20;
/// Sizes of a network at most, several times those of the largest of these families (DeBERTa-v2 xxlarge: 48 layers x 1536).
const WIDTH_MAX: usize = 1 << 14;
const LAYERS_MAX: usize = 1 << 10;
pub(crate) const POSITIONS_MAX: usize = 1 << 20;

/// The families of models that the engine runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    Bert,
    DistilBert,
    /// RoBERTa, XLM-RoBERTa and CamemBERT: BERT with other positions and another head.
    Roberta,
    /// DeBERTa v2 and v3: disentangled attention.
    DebertaV2,
    /// Rotary positions, gated feed-forward, attention that is local in most layers.
    ModernBert,
}

/// Non-linearities that configurations name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    Identity,
    /// With the error function.
    Gelu,
    /// With the approximation by tanh.
    GeluTanh,
    Relu,
    Silu,
    Tanh,
}

impl Activation {
    /// By its name in a configuration.
    pub(crate) fn parse(name: &str) -> Result<Self> {
        match name {
            "gelu" | "gelu_python" => Ok(Self::Gelu),
            "gelu_new" | "gelu_pytorch_tanh" | "gelu_fast" => Ok(Self::GeluTanh),
            "relu" => Ok(Self::Relu),
            "silu" | "swish" => Ok(Self::Silu),
            "tanh" => Ok(Self::Tanh),
            "linear" | "identity" => Ok(Self::Identity),
            other => Err(Error::Unsupported(format!("activation {other:?}"))),
        }
    }
}

/// A configuration, with typed access to its fields.
#[derive(Debug, Clone)]
pub(crate) struct ModelConfig {
    pub(crate) family: Family,
    pub(crate) hidden: usize,
    pub(crate) layers: usize,
    pub(crate) attention_heads: usize,
    pub(crate) intermediate: usize,
    /// Positions the model was made for, special tokens included.
    pub(crate) positions: usize,
    pub(crate) epsilon: f32,
    pub(crate) activation: Activation,
    /// Labels of a Hugging Face classifier, by index; empty when it is none.
    pub(crate) labels: Vec<String>,
    /// First of `architectures`.
    pub(crate) architecture: String,
    pub(crate) overheard: Option<Overheard>,
    pub(crate) raw: Value,
}

/// Our block of the shipped model's configuration.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Overheard {
    pub(crate) format: u32,
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) heads: BTreeMap<String, HeadConfig>,
}

/// One head of the shipped model.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct HeadConfig {
    #[serde(default)]
    pub(crate) labels: Vec<String>,
    /// `mean` of all pieces; absent for a head that judges pieces.
    pub(crate) pooling: Option<String>,
    /// `first-piece` for a head that judges words by their first piece.
    pub(crate) level: Option<String>,
    #[serde(default = "one")]
    pub(crate) temperature: f32,
    /// How much the label O gives way to entities, in logits.
    #[serde(default)]
    pub(crate) o_bias: f32,
    /// Label kinds as the model names them -> kinds of the product.
    #[serde(default)]
    pub(crate) kinds: BTreeMap<String, String>,
}

fn one() -> f32 {
    1.0
}

impl ModelConfig {
    /// Reads and checks `config.json`.
    pub(crate) fn read(dir: &Path) -> Result<Self> {
        let path = dir.join("config.json");
        let raw: Value = serde_json::from_slice(&file::read(&path, FILE_MAX)?)
            .map_err(|e| Error::malformed(&path, e.to_string()))?;
        Self::parse(raw).map_err(|e| match e {
            Error::Invalid(problem) => Error::malformed(path, problem),
            other => other,
        })
    }

    /// Takes the fields from a parsed configuration.
    pub(crate) fn parse(raw: Value) -> Result<Self> {
        let family = family(&raw)?;
        let count = |names: &[&str], max: usize| {
            first(&raw, names)
                .and_then(Value::as_u64)
                .and_then(|n| usize::try_from(n).ok())
                .filter(|n| (1..=max).contains(n))
                .ok_or_else(|| Error::Invalid(format!("no usable {:?}, a number from 1 to {max}", names[0])))
        };
        let activation = first(&raw, &["hidden_act", "activation", "hidden_activation"]);
        let positions = count(&["max_position_embeddings"], POSITIONS_MAX)?;
        let config = Self {
            family,
            hidden: count(&["hidden_size", "dim"], WIDTH_MAX)?,
            layers: count(&["num_hidden_layers", "n_layers"], LAYERS_MAX)?,
            attention_heads: count(&["num_attention_heads", "n_heads"], WIDTH_MAX)?,
            intermediate: count(&["intermediate_size", "hidden_dim"], 4 * WIDTH_MAX)?,
            // RoBERTa counts positions from the padding id plus one.
            positions: if family == Family::Roberta {
                positions.saturating_sub(position_offset(&raw))
            } else {
                positions
            },
            epsilon: number(&raw, &["layer_norm_eps", "norm_eps"]).unwrap_or(if family == Family::DebertaV2 {
                1e-7
            } else if family == Family::ModernBert {
                1e-5
            } else {
                1e-12
            }),
            activation: Activation::parse(activation.and_then(Value::as_str).unwrap_or("gelu"))?,
            labels: labels(&raw),
            architecture: raw["architectures"][0].as_str().unwrap_or_default().to_owned(),
            overheard: match raw.get("overheard") {
                Some(block) => {
                    Some(Overheard::deserialize(block).map_err(|e| Error::Invalid(format!("overheard: {e}")))?)
                }
                None => None,
            },
            raw,
        };
        config.check()
    }

    fn check(self) -> Result<Self> {
        if !self.hidden.is_multiple_of(self.attention_heads) {
            return Err(Error::Invalid("hidden_size is not a multiple of num_attention_heads".into()));
        }
        if let Some(block) = &self.overheard
            && block.format != 1
        {
            return Err(Error::Unsupported(format!(
                "format {} of an overheard model; this program reads 1",
                block.format
            )));
        }
        if self.positions < 8 {
            return Err(Error::Invalid("fewer than 8 positions".into()));
        }
        Ok(self)
    }

    /// Whether a Hugging Face classifier labels pieces rather than texts; any other model is refused.
    pub(crate) fn labels_pieces(&self) -> Result<bool> {
        match self.architecture.as_str() {
            name if name.ends_with("ForTokenClassification") => Ok(true),
            name if name.ends_with("ForSequenceClassification") => Ok(false),
            "" => Err(Error::Unsupported(
                "config.json names no architecture, so not what the model was trained for".into(),
            )),
            name => Err(Error::Unsupported(format!(
                "architecture {name:?}: neither a sequence nor a token classifier (a base model must be trained for a \
                 task first)"
            ))),
        }
    }

    /// A field that is a number, under its present or its former name.
    pub(crate) fn number(&self, name: &str) -> Option<f32> {
        number(&self.raw, &[name])
    }

    /// A field that is a count.
    pub(crate) fn count(&self, name: &str) -> Option<usize> {
        self.raw.get(name).and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok())
    }

    /// A field that is true or false.
    pub(crate) fn flag(&self, name: &str, default: bool) -> bool {
        self.raw.get(name).and_then(Value::as_bool).unwrap_or(default)
    }

    /// A field that is a word.
    pub(crate) fn word(&self, name: &str) -> Option<&str> {
        self.raw.get(name).and_then(Value::as_str)
    }

    /// First position id: RoBERTa's come after the padding id.
    pub(crate) fn position_offset(&self) -> usize {
        if self.family == Family::Roberta { position_offset(&self.raw) } else { 0 }
    }
}

fn position_offset(raw: &Value) -> usize {
    raw.get("pad_token_id").and_then(Value::as_u64).map_or(2, |id| id.min(1 << 20) as usize + 1)
}

fn first<'a>(raw: &'a Value, names: &[&str]) -> Option<&'a Value> {
    names.iter().find_map(|name| raw.get(name).filter(|v| !v.is_null()))
}

fn number(raw: &Value, names: &[&str]) -> Option<f32> {
    first(raw, names).and_then(Value::as_f64).map(|n| n as f32)
}

fn family(raw: &Value) -> Result<Family> {
    let name = raw.get("model_type").and_then(Value::as_str).unwrap_or_default();
    match name {
        "bert" => Ok(Family::Bert),
        "distilbert" => Ok(Family::DistilBert),
        "roberta" | "xlm-roberta" | "camembert" => Ok(Family::Roberta),
        "deberta-v2" => Ok(Family::DebertaV2),
        "modernbert" => Ok(Family::ModernBert),
        other => Err(Error::Unsupported(format!(
            "model type {other:?}; bert, distilbert, roberta, xlm-roberta, camembert, deberta-v2 and modernbert are read"
        ))),
    }
}

/// Labels by index from `id2label`; two nameless ones when a configuration says nothing, as in `transformers`.
fn labels(raw: &Value) -> Vec<String> {
    let Some(map) = raw.get("id2label").and_then(Value::as_object) else {
        let count = raw.get("num_labels").and_then(Value::as_u64).unwrap_or(2).min(100_000);
        return (0..count).map(|i| format!("LABEL_{i}")).collect();
    };
    let mut pairs: Vec<(usize, String)> =
        map.iter().filter_map(|(id, label)| Some((id.parse().ok()?, label.as_str()?.to_owned()))).collect();
    pairs.sort();
    pairs.into_iter().map(|(_, label)| label).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn labels_are_ordered_by_number_not_by_text() {
        let map: serde_json::Map<String, Value> = (0..12).map(|i| (i.to_string(), json!(format!("L{i}")))).collect();
        let found = labels(&json!({ "id2label": map }));
        assert_eq!(found[2], "L2");
        assert_eq!(found[11], "L11");
    }

    #[test]
    fn an_unknown_family_is_refused_with_the_known_ones() {
        let error = ModelConfig::parse(json!({"model_type": "gpt2"})).unwrap_err();
        assert!(error.to_string().contains("modernbert"), "{error}");
    }

    #[test]
    fn a_base_model_is_no_classifier() {
        let task = |architecture: &str| {
            let config = ModelConfig::parse(json!({
                "model_type": "bert", "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2,
                "intermediate_size": 16, "max_position_embeddings": 64, "architectures": [architecture]
            }));
            config.unwrap().labels_pieces().map_err(|error| error.to_string())
        };
        assert_eq!(task("BertForTokenClassification"), Ok(true));
        assert_eq!(task("BertForSequenceClassification"), Ok(false));
        assert!(task("BertForMaskedLM").unwrap_err().contains("must be trained for a task first"));
    }

    #[test]
    fn roberta_positions_exclude_the_padding_offset() {
        let config = ModelConfig::parse(json!({
            "model_type": "xlm-roberta", "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2,
            "intermediate_size": 16, "max_position_embeddings": 514, "pad_token_id": 1
        }))
        .unwrap();
        assert_eq!((config.positions, config.position_offset()), (512, 2));
    }
}
