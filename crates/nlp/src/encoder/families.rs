//! Where each family of models keeps its tensors, and how it differs: this file turns a folder's configuration and
//! weights into a [`Model`] and its heads. Names follow Hugging Face.

use super::attention::{Angles, Disentangled, Heads, Positions};
use super::config::{Activation, Family, HeadConfig, ModelConfig, POSITIONS_MAX};
use super::kernel::Isa;
use super::linear::{Linear, Precision, Rounded, round_rows};
use super::model::{Embeddings, Head, Layer, Level, Model, Norm, Rows, Style, Table};
use super::ops;
use super::weights::Weights;
use crate::error::{Error, Result};
use std::sync::Arc;

/// Pieces of a window at most, special tokens included: bounds the memory of attention for models that take more.
pub(crate) const WINDOW_MAX: usize = 512;

/// What a loader needs at hand.
pub(crate) struct Loader<'a> {
    pub(crate) config: &'a ModelConfig,
    pub(crate) weights: &'a Weights,
    pub(crate) precision: Precision,
    /// Before every name of the base model: `bert.`, `roberta.`, `model.` or nothing.
    prefix: String,
}

/// Names within a layer, each after the layer's own prefix.
struct LayerNames {
    layer: &'static str,
    qkv: &'static [&'static str],
    out: &'static str,
    attention_norm: &'static str,
    up: &'static str,
    down: &'static str,
    output_norm: &'static str,
}

const BERT: LayerNames = LayerNames {
    layer: "encoder.layer",
    qkv: &["attention.self.query", "attention.self.key", "attention.self.value"],
    out: "attention.output.dense",
    attention_norm: "attention.output.LayerNorm",
    up: "intermediate.dense",
    down: "output.dense",
    output_norm: "output.LayerNorm",
};

const DISTILBERT: LayerNames = LayerNames {
    layer: "transformer.layer",
    qkv: &["attention.q_lin", "attention.k_lin", "attention.v_lin"],
    out: "attention.out_lin",
    attention_norm: "sa_layer_norm",
    up: "ffn.lin1",
    down: "ffn.lin2",
    output_norm: "output_layer_norm",
};

const DEBERTA: LayerNames =
    LayerNames { qkv: &["attention.self.query_proj", "attention.self.key_proj", "attention.self.value_proj"], ..BERT };

const MODERNBERT: LayerNames = LayerNames {
    layer: "layers",
    qkv: &["attn.Wqkv"],
    out: "attn.Wo",
    attention_norm: "attn_norm",
    up: "mlp.Wi",
    down: "mlp.Wo",
    output_norm: "mlp_norm",
};

impl<'a> Loader<'a> {
    pub(crate) fn new(config: &'a ModelConfig, weights: &'a Weights, precision: Precision) -> Result<Self> {
        let words = if config.family == Family::ModernBert {
            "embeddings.tok_embeddings.weight"
        } else {
            "embeddings.word_embeddings.weight"
        };
        let prefix = weights.names().filter_map(|name| name.strip_suffix(words)).min_by_key(|prefix| prefix.len());
        let prefix = prefix.ok_or_else(|| Error::Invalid(format!("the weights hold no {words}")))?.to_owned();
        Ok(Self { config, weights, precision, prefix })
    }

    /// The network without its heads.
    pub(crate) fn model(&self) -> Result<Model> {
        let config = self.config;
        if config.count("conv_kernel_size").unwrap_or(0) > 0 {
            return Err(Error::Unsupported("a DeBERTa with a convolution (the xlarge sizes of v2)".into()));
        }
        Ok(Model {
            embeddings: self.embeddings()?,
            layers: self.layers()?,
            final_norm: match config.family {
                Family::ModernBert => Some(self.norm(&self.name("final_norm"))?),
                _ => None,
            },
            heads: Heads { count: config.attention_heads, width: config.hidden / config.attention_heads },
            hidden: config.hidden,
        })
    }

    /// Pieces of a window, special tokens included.
    pub(crate) fn window(&self) -> usize {
        self.config.positions.min(WINDOW_MAX)
    }

    fn name(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    fn embeddings(&self) -> Result<Embeddings> {
        let config = self.config;
        let modern = config.family == Family::ModernBert;
        let words =
            self.name(if modern { "embeddings.tok_embeddings.weight" } else { "embeddings.word_embeddings.weight" });
        let words = self.table(&words)?;
        let width = words.width;
        let absolute = !modern && (config.family != Family::DebertaV2 || config.flag("position_biased_input", true));
        let mut positions = Vec::new();
        if absolute {
            let offset = config.position_offset();
            let name = self.name("embeddings.position_embeddings.weight");
            let all = self.weights.floats(&name, &[config.positions + offset, width])?;
            positions = all[offset * width..][..self.window() * width].to_vec();
        }
        let types = self.name("embeddings.token_type_embeddings.weight");
        let constant = match self.weights.find(&types).map(|t| t.shape.clone()) {
            Some(shape) if shape.len() == 2 && shape[0] > 0 => {
                self.weights.floats(&types, &[shape[0], width])?[..width].to_vec()
            }
            _ => Vec::new(),
        };
        let projection = match width == config.hidden {
            true => None,
            false => Some(Linear::read(
                self.weights,
                &[self.name("embeddings.embed_proj")],
                width,
                config.hidden,
                self.precision,
            )?),
        };
        let norm = self.norm(&self.name(if modern { "embeddings.norm" } else { "embeddings.LayerNorm" }))?;
        Ok(Embeddings { words, positions, constant, norm, projection })
    }

    fn table(&self, name: &str) -> Result<Table> {
        let stored = self.weights.get(name)?;
        let &[count, width] = stored.shape.as_slice() else {
            return Err(Error::Invalid(format!("{name} is not a matrix")));
        };
        if count == 0 || width == 0 || (width != self.config.hidden && self.config.family != Family::DebertaV2) {
            return Err(Error::Invalid(format!(
                "{name} has shape {:?}, hidden size is {}",
                stored.shape, self.config.hidden
            )));
        }
        let rows = match self.weights.int8(name, &[count, width])? {
            Some((values, scales)) => Rows::Int8 { values, scales },
            None if self.precision == Precision::Exact || stored.dtype == safetensors::Dtype::I8 => {
                Rows::Exact(self.weights.floats(name, &[count, width])?)
            }
            // In 32 bits the words of a multilingual model take four times the memory of all its layers.
            None => {
                let (mut values, mut scales) = (Vec::with_capacity(count * width), Vec::with_capacity(count));
                self.weights.rows(name, [count, width], |rows| {
                    let (rounded, row_scales) = round_rows(rows, width);
                    values.extend(rounded);
                    scales.extend(row_scales);
                })?;
                Rows::Int8 { values, scales }
            }
        };
        Ok(Table { rows, count, width })
    }

    /// A layer norm; `gamma` and `beta` are the names of weights converted from TensorFlow long ago.
    fn norm(&self, name: &str) -> Result<Norm> {
        let former = self.weights.has(&format!("{name}.gamma"));
        let weight = format!("{name}.{}", if former { "gamma" } else { "weight" });
        let bias = format!("{name}.{}", if former { "beta" } else { "bias" });
        let width = self.weights.get(&weight)?.shape.iter().product();
        Ok(Norm {
            weight: self.weights.floats(&weight, &[width])?,
            bias: if self.weights.has(&bias) { self.weights.floats(&bias, &[width])? } else { Vec::new() },
            epsilon: self.config.epsilon,
        })
    }

    fn layers(&self) -> Result<Vec<Layer>> {
        let names = match self.config.family {
            Family::Bert | Family::Roberta => BERT,
            Family::DistilBert => DISTILBERT,
            Family::DebertaV2 => DEBERTA,
            Family::ModernBert => MODERNBERT,
        };
        let mut rotary = [None, None];
        (0..self.config.layers).map(|index| self.layer(index, &names, &mut rotary)).collect()
    }

    fn layer(&self, index: usize, names: &LayerNames, rotary: &mut [Option<Arc<Angles>>; 2]) -> Result<Layer> {
        let config = self.config;
        let (hidden, intermediate) = (config.hidden, config.intermediate);
        let name = |part: &str| self.name(&format!("{}.{index}.{part}", names.layer));
        let read =
            |part: &str, inputs, outputs| Linear::read(self.weights, &[name(part)], inputs, outputs, self.precision);
        let style = if config.family == Family::ModernBert { Style::PreNormGated } else { Style::PostNorm };
        let gated = usize::from(style == Style::PreNormGated) + 1;
        let qkv: Vec<String> = names.qkv.iter().map(|part| name(part)).collect();
        let first = index == 0 && style == Style::PreNormGated;
        Ok(Layer {
            style,
            positions: self.positions(index, &qkv, rotary)?,
            qkv: Linear::read(self.weights, &qkv, hidden, 3 * hidden / qkv.len(), self.precision)?,
            out: read(names.out, hidden, hidden)?,
            attention_norm: if first { None } else { Some(self.norm(&name(names.attention_norm))?) },
            up: read(names.up, hidden, gated * intermediate)?,
            down: read(names.down, intermediate, hidden)?,
            output_norm: self.norm(&name(names.output_norm))?,
            activation: config.activation,
        })
    }

    fn positions(&self, index: usize, qkv: &[String], rotary: &mut [Option<Arc<Angles>>; 2]) -> Result<Positions> {
        match self.config.family {
            Family::ModernBert => {
                let local = self.is_local(index);
                let angles = rotary[usize::from(local)].get_or_insert_with(|| {
                    let width = self.config.hidden / self.config.attention_heads;
                    Arc::new(Angles::new(self.window(), width, self.theta(local)))
                });
                let radius = self.config.count("local_attention").unwrap_or(128) / 2;
                Ok(Positions::Rotary { angles: Arc::clone(angles), radius: local.then_some(radius) })
            }
            Family::DebertaV2 if self.config.flag("relative_attention", false) => {
                Ok(Positions::Disentangled(self.disentangled(index, qkv)?))
            }
            _ => Ok(Positions::Absolute),
        }
    }

    /// Every third layer of a ModernBERT sees everything, the others their neighbourhood.
    fn is_local(&self, index: usize) -> bool {
        match self.config.raw["layer_types"][index].as_str() {
            Some(kind) => kind == "sliding_attention",
            None => !index.is_multiple_of(self.config.count("global_attn_every_n_layers").unwrap_or(3).max(1)),
        }
    }

    fn theta(&self, local: bool) -> f64 {
        let (kind, field, default) = match local {
            true => ("sliding_attention", "local_rope_theta", 10_000.0),
            false => ("full_attention", "global_rope_theta", 160_000.0),
        };
        let nested = self.config.raw["rope_parameters"][kind]["rope_theta"].as_f64();
        nested.or_else(|| self.config.number(field).map(f64::from)).unwrap_or(default)
    }

    /// Relative positions as this layer's queries and keys see them.
    fn disentangled(&self, index: usize, qkv: &[String]) -> Result<Disentangled> {
        let config = self.config;
        let hidden = config.hidden;
        let listed = |kind: &str| match &config.raw["pos_att_type"] {
            serde_json::Value::Array(kinds) => kinds.iter().any(|k| k == kind),
            serde_json::Value::String(kinds) => kinds.split('|').any(|k| k == kind),
            _ => false,
        };
        let distance_max = match config.number("max_relative_positions") {
            Some(n) if n >= 1.0 => (n as usize).min(POSITIONS_MAX),
            _ => config.positions,
        };
        let buckets = config.number("position_buckets").map_or(0, |n| n.max(0.0) as usize).min(POSITIONS_MAX);
        let span = if buckets > 0 { buckets } else { distance_max };
        let mut relative = self.weights.floats(&self.name("encoder.rel_embeddings.weight"), &[2 * span, hidden])?;
        if config.word("norm_rel_ebd").unwrap_or("none").contains("layer_norm") {
            let norm = self.norm(&self.name("encoder.LayerNorm"))?;
            ops::layer_norm(Isa::PLAIN, &mut relative, hidden, &norm.weight, &norm.bias, norm.epsilon);
        }
        let own = |part: &str| self.name(&format!("encoder.layer.{index}.attention.self.{part}"));
        let shared = config.flag("share_att_key", false);
        let project = |wanted: bool, name: String| match wanted {
            true => self.project(&relative, name),
            false => Ok(Vec::new()),
        };
        Ok(Disentangled {
            keys: project(listed("c2p"), if shared { qkv[1].clone() } else { own("pos_key_proj") })?,
            queries: project(listed("p2c"), if shared { qkv[0].clone() } else { own("pos_query_proj") })?,
            span,
            buckets,
            distance_max,
        })
    }

    /// Rows through a dense layer, then for each head [width, rows].
    fn project(&self, rows: &[f32], name: String) -> Result<Vec<f32>> {
        let hidden = self.config.hidden;
        let linear = Linear::read(self.weights, &[name], hidden, hidden, Precision::Exact)?;
        let mut out = vec![0.0; rows.len()];
        linear.apply(Isa::detect(), rows, &mut out, &mut Rounded::default());
        let count = rows.len() / hidden;
        let mut turned = vec![0.0; rows.len()];
        for (row, values) in out.chunks_exact(hidden).enumerate() {
            for (column, value) in values.iter().enumerate() {
                turned[column * count + row] = *value;
            }
        }
        Ok(turned)
    }

    /// The head of a Hugging Face classifier, for texts or for pieces.
    pub(crate) fn classifier(&self) -> Result<Head> {
        let config = self.config;
        let pieces = config.labels_pieces()?;
        let dense = self.classifier_dense(pieces)?;
        let out = if !pieces && config.family == Family::Roberta { "classifier.out_proj" } else { "classifier" };
        let inputs = dense.as_ref().map_or(config.hidden, |(linear, _)| linear.outputs);
        let mean = config.family == Family::ModernBert && config.word("classifier_pooling") == Some("mean");
        Ok(Head {
            level: if pieces {
                Level::Piece
            } else if mean {
                Level::Mean
            } else {
                Level::First
            },
            norm: match config.family {
                Family::ModernBert => Some(self.norm("head.norm")?),
                _ => None,
            },
            dense,
            out: self.dense(out, inputs, config.labels.len())?,
        })
    }

    /// The layer between the pooled state and the logits.
    fn classifier_dense(&self, pieces: bool) -> Result<Option<(Linear, Activation)>> {
        let config = self.config;
        let hidden = config.hidden;
        let found = match config.family {
            Family::ModernBert => {
                let activation = Activation::parse(config.word("classifier_activation").unwrap_or("gelu"))?;
                (self.dense("head.dense", hidden, hidden)?, activation)
            }
            _ if pieces => return Ok(None),
            Family::Bert => (self.dense(&self.name("pooler.dense"), hidden, hidden)?, Activation::Tanh),
            Family::DistilBert => (self.dense("pre_classifier", hidden, hidden)?, Activation::Relu),
            Family::Roberta => (self.dense("classifier.dense", hidden, hidden)?, Activation::Tanh),
            Family::DebertaV2 => {
                let activation = Activation::parse(config.word("pooler_hidden_act").unwrap_or("gelu"))?;
                (self.dense("pooler.dense", hidden, hidden)?, activation)
            }
        };
        Ok(Some(found))
    }

    /// A head of the shipped model.
    pub(crate) fn own_head(&self, name: &str, head: &HeadConfig) -> Result<Head> {
        let outputs = if head.labels.is_empty() { self.config.hidden } else { head.labels.len() };
        let level = match (head.level.as_deref(), head.pooling.as_deref()) {
            (Some("first-piece"), None) => Level::Piece,
            (None, Some("mean")) => Level::Mean,
            other => return Err(Error::Unsupported(format!("head {name:?} with level and pooling {other:?}"))),
        };
        Ok(Head {
            level,
            dense: None,
            norm: None,
            out: self.dense(&format!("heads.{name}"), self.config.hidden, outputs)?,
        })
    }

    /// Heads are small and sensitive: always in f32.
    fn dense(&self, name: &str, inputs: usize, outputs: usize) -> Result<Linear> {
        Linear::read(self.weights, &[name.to_owned()], inputs, outputs, Precision::Exact)
    }
}
