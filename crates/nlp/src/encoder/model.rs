//! The network: embeddings, layers, and the heads on top, run over a packed batch without padding.

use super::attention::{Buffers, Heads, Positions, Span, refill};
use super::config::Activation;
use super::kernel::Isa;
use super::linear::{Linear, Rounded};
use super::ops;

/// A network of the BERT family, ready to run.
pub(crate) struct Model {
    pub(crate) embeddings: Embeddings,
    pub(crate) layers: Vec<Layer>,
    /// After the last layer, where norms come before each half of a layer.
    pub(crate) final_norm: Option<Norm>,
    pub(crate) heads: Heads,
    pub(crate) hidden: usize,
}

/// What a piece is before the first layer.
pub(crate) struct Embeddings {
    pub(crate) words: Table,
    /// Added by position, [positions, width]; empty for models that turn or relate instead. The row of token type 0,
    /// the only one there is for single texts, is already in it or in `constant`.
    pub(crate) positions: Vec<f32>,
    /// Added to every piece; empty for none.
    pub(crate) constant: Vec<f32>,
    pub(crate) norm: Norm,
    /// From the width of the embeddings to that of the layers, where they differ.
    pub(crate) projection: Option<Linear>,
}

/// Word embeddings, most of a multilingual model's numbers.
pub(crate) struct Table {
    pub(crate) rows: Rows,
    pub(crate) count: usize,
    pub(crate) width: usize,
}

/// The rows of a table, one after another.
pub(crate) enum Rows {
    /// With one scale a row.
    Int8 {
        values: Vec<i8>,
        scales: Vec<f32>,
    },
    Exact(Vec<f32>),
}

/// Layer norm with its weights.
pub(crate) struct Norm {
    pub(crate) weight: Vec<f32>,
    /// Empty for none.
    pub(crate) bias: Vec<f32>,
    pub(crate) epsilon: f32,
}

/// Where the norms stand and whether the feed-forward half is gated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// BERT: norm after each half, on the sum with its input.
    PostNorm,
    /// ModernBERT: norm before each half, gated feed-forward.
    PreNormGated,
}

pub(crate) struct Layer {
    pub(crate) style: Style,
    pub(crate) positions: Positions,
    pub(crate) qkv: Linear,
    pub(crate) out: Linear,
    /// None: the first layer of ModernBERT, whose input is normed already.
    pub(crate) attention_norm: Option<Norm>,
    pub(crate) up: Linear,
    pub(crate) down: Linear,
    pub(crate) output_norm: Norm,
    pub(crate) activation: Activation,
}

/// What a head judges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// The text, by the mean of its pieces.
    Mean,
    /// The text, by its first piece.
    First,
    /// Every piece.
    Piece,
}

/// A head: an optional dense layer with its activation and norm, then the logits.
pub(crate) struct Head {
    pub(crate) level: Level,
    pub(crate) dense: Option<(Linear, Activation)>,
    pub(crate) norm: Option<Norm>,
    pub(crate) out: Linear,
}

/// Buffers of one thread, reused from batch to batch.
#[derive(Default)]
pub(crate) struct Scratch {
    /// After `run`: the hidden states, [pieces, hidden].
    pub(crate) hidden: Vec<f32>,
    qkv: Vec<f32>,
    mixed: Vec<f32>,
    added: Vec<f32>,
    up: Vec<f32>,
    rounded: Rounded,
    attention: Buffers,
}

impl Norm {
    fn apply(&self, isa: Isa, rows: &mut [f32]) {
        ops::layer_norm(isa, rows, self.weight.len(), &self.weight, &self.bias, self.epsilon);
    }
}

impl Table {
    /// Writes the row of a piece; a piece beyond the table is the padding row's neighbour zero.
    fn read(&self, id: u32, into: &mut [f32]) {
        let row = (id as usize).min(self.count - 1);
        let range = row * self.width..(row + 1) * self.width;
        match &self.rows {
            Rows::Int8 { values, scales } => {
                let scale = scales[row];
                into.iter_mut().zip(&values[range]).for_each(|(v, stored)| *v = f32::from(*stored) * scale);
            }
            Rows::Exact(values) => into.copy_from_slice(&values[range]),
        }
    }
}

impl Embeddings {
    fn read(&self, isa: Isa, ids: &[u32], spans: &[Span], scratch: &mut Scratch) {
        let width = self.words.width;
        refill(&mut scratch.added, ids.len() * width);
        for span in spans {
            let rows = scratch.added[span.begin * width..].chunks_exact_mut(width).take(span.length);
            for (position, (row, id)) in rows.zip(&ids[span.begin..]).enumerate() {
                self.words.read(*id, row);
                if let Some(values) = self.positions.get(position * width..(position + 1) * width) {
                    row.iter_mut().zip(values).for_each(|(r, p)| *r += p);
                }
                row.iter_mut().zip(&self.constant).for_each(|(r, c)| *r += c);
            }
        }
        match &self.projection {
            None => std::mem::swap(&mut scratch.hidden, &mut scratch.added),
            Some(linear) => {
                refill(&mut scratch.hidden, ids.len() * linear.outputs);
                linear.apply(isa, &scratch.added, &mut scratch.hidden, &mut scratch.rounded);
            }
        }
        self.norm.apply(isa, &mut scratch.hidden);
    }
}

impl Model {
    /// Runs packed sequences; the hidden states are then in `scratch.hidden`.
    pub(crate) fn run(&self, isa: Isa, ids: &[u32], spans: &[Span], scratch: &mut Scratch) {
        self.embeddings.read(isa, ids, spans, scratch);
        for layer in &self.layers {
            match layer.style {
                Style::PostNorm => layer.post_norm(isa, spans, self.heads, scratch),
                Style::PreNormGated => layer.pre_norm(isa, spans, self.heads, scratch),
            }
        }
        if let Some(norm) = &self.final_norm {
            norm.apply(isa, &mut scratch.hidden);
        }
    }
}

impl Layer {
    fn post_norm(&self, isa: Isa, spans: &[Span], heads: Heads, s: &mut Scratch) {
        self.attend(isa, spans, heads, s, false);
        ops::add(isa, &mut s.hidden, &s.added);
        if let Some(norm) = &self.attention_norm {
            norm.apply(isa, &mut s.hidden);
        }
        let pieces = s.hidden.len() / self.up.inputs;
        s.up.resize(pieces * self.up.outputs, 0.0);
        self.up.apply(isa, &s.hidden, &mut s.up, &mut s.rounded);
        ops::activate(isa, self.activation, &mut s.up);
        self.down.apply(isa, &s.up, &mut s.added, &mut s.rounded);
        ops::add(isa, &mut s.hidden, &s.added);
        self.output_norm.apply(isa, &mut s.hidden);
    }

    fn pre_norm(&self, isa: Isa, spans: &[Span], heads: Heads, s: &mut Scratch) {
        self.attend(isa, spans, heads, s, true);
        ops::add(isa, &mut s.hidden, &s.added);
        s.mixed.clone_from(&s.hidden);
        self.output_norm.apply(isa, &mut s.mixed);
        let pieces = s.hidden.len() / self.up.inputs;
        s.up.resize(pieces * self.up.outputs, 0.0);
        self.up.apply(isa, &s.mixed, &mut s.up, &mut s.rounded);
        // Each row holds input and gate, of one width.
        let width = self.up.outputs / 2;
        refill(&mut s.qkv, pieces * width);
        for (row, out) in s.up.chunks_exact_mut(2 * width).zip(s.qkv.chunks_exact_mut(width)) {
            let (input, gate) = row.split_at_mut(width);
            ops::activate(isa, self.activation, input);
            out.iter_mut().zip(input).zip(gate).for_each(|((o, i), g)| *o = *i * *g);
        }
        self.down.apply(isa, &s.qkv, &mut s.added, &mut s.rounded);
        ops::add(isa, &mut s.hidden, &s.added);
    }

    /// Leaves the projected attention in `added`.
    fn attend(&self, isa: Isa, spans: &[Span], heads: Heads, s: &mut Scratch, norm_first: bool) {
        let pieces = s.hidden.len() / self.qkv.inputs;
        s.qkv.resize(pieces * self.qkv.outputs, 0.0);
        match (&self.attention_norm, norm_first) {
            (Some(norm), true) => {
                s.mixed.clone_from(&s.hidden);
                norm.apply(isa, &mut s.mixed);
                self.qkv.apply(isa, &s.mixed, &mut s.qkv, &mut s.rounded);
            }
            _ => self.qkv.apply(isa, &s.hidden, &mut s.qkv, &mut s.rounded),
        }
        s.mixed.resize(s.hidden.len(), 0.0);
        heads.attend(isa, spans, &self.positions, &s.qkv, &mut s.mixed, &mut s.attention);
        s.added.resize(s.hidden.len(), 0.0);
        self.out.apply(isa, &s.mixed, &mut s.added, &mut s.rounded);
    }
}

impl Head {
    /// Logits of each row of `input`.
    pub(crate) fn logits(&self, isa: Isa, input: &[f32]) -> Vec<f32> {
        let mut rounded = Rounded::default();
        let mut input = input.to_vec();
        if let Some((dense, activation)) = &self.dense {
            let mut out = vec![0.0; input.len() / dense.inputs * dense.outputs];
            dense.apply(isa, &input, &mut out, &mut rounded);
            ops::activate(isa, *activation, &mut out);
            input = out;
        }
        if let Some(norm) = &self.norm {
            norm.apply(isa, &mut input);
        }
        let mut out = vec![0.0; input.len() / self.out.inputs * self.out.outputs];
        self.out.apply(isa, &input, &mut out, &mut rounded);
        out
    }
}
