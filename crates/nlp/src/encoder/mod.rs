//! Our own engine for models of the BERT family, on the processor: a text's pieces in, logits and hidden states out.
//!
//! A model folder is what Hugging Face repositories hold: `config.json`, weights in one of the [`CONTAINERS`], a
//! tokenizer. Texts of a call are cut into pieces, long ones into windows, and windows are packed one after another
//! into batches of a number of pieces, without padding. Each batch is run by one thread from end to end; threads take
//! batches until none is left. The arithmetic of a text depends on that text alone, so its result has the same bits in
//! any batch and on any number of threads.

mod attention;
mod config;
mod families;
mod kernel;
mod linear;
mod model;
mod ops;
mod protobuf;
mod sentencepiece;
mod threads;
mod tokenizer;
mod unigram;
mod weights;
mod windows;

pub use config::{Activation, Family};
pub use kernel::Isa;
pub use linear::Precision;
pub use model::Level;
pub use ops::probabilities;
pub(crate) use threads::map as map_threads;
pub use tokenizer::Tokens;
pub use weights::{CONTAINERS, shards};

use crate::error::{Error, Result};
use config::ModelConfig;
use families::Loader;
use model::{Head, Model, Scratch};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use tokenizer::Pieces;
use weights::Weights;
use windows::{Part, Window};

/// How an encoder runs.
#[derive(Debug, Clone)]
pub struct Options {
    pub precision: Precision,
    /// Threads that work at once; the processor's cores by default.
    pub threads: usize,
    /// Pieces of a batch: more amortise the reading of weights, fewer keep activations in the cache.
    pub token_budget: usize,
}

impl Default for Options {
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self { precision: Precision::Int8, threads, token_budget: 96 }
    }
}

/// What is known of a head.
#[derive(Debug, Clone)]
pub struct HeadInfo {
    /// `sentiment`, `emotion`, ... of the shipped model; `classifier` of a Hugging Face model.
    pub name: String,
    pub level: Level,
    /// By index of the logits; empty for a projection.
    pub labels: Vec<String>,
    /// Divides logits before the softmax.
    pub temperature: f32,
    /// Taken from the logit of the label O.
    pub o_bias: f32,
    /// Kinds of entities as the model names them, and as the product does.
    pub kinds: Vec<(String, String)>,
    /// Labels do not exclude each other: a sigmoid each instead of a softmax.
    pub multi_label: bool,
}

/// What an encoder says of one text.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reading {
    /// Mean of the hidden states of all pieces; `[hidden]`.
    pub pooled: Vec<f32>,
    /// For each head its logits: `[labels]` for texts, `[pieces, labels]` for pieces.
    pub logits: Vec<Vec<f32>>,
    /// The text's pieces.
    pub tokens: Tokens,
    /// Windows that the text was read in; one for all but long texts.
    pub windows: usize,
}

/// A loaded model.
pub struct Encoder {
    name: String,
    family: Family,
    pieces: Pieces,
    model: Model,
    heads: Vec<(HeadInfo, Head)>,
    window: usize,
    isa: Isa,
    options: Options,
    scratch: Mutex<Vec<Scratch>>,
}

impl Encoder {
    /// Loads a model folder.
    pub fn load(dir: &Path, options: Options) -> Result<Self> {
        let config = ModelConfig::read(dir)?;
        let weights = Weights::open(dir)?;
        let loader = Loader::new(&config, &weights, options.precision).map_err(|e| within(dir, e))?;
        let model = loader.model().map_err(|e| within(dir, e))?;
        let heads = heads(&config, &loader).map_err(|e| within(dir, e))?;
        weights.expect_unchanged()?;
        let pieces = Pieces::load(dir)?;
        let window = loader.window();
        if window < pieces.prefix.len() + pieces.suffix.len() + 4 {
            return Err(Error::malformed(dir, format!("{window} positions leave no room for a text")));
        }
        let name = match &config.overheard {
            Some(ours) => format!("{} {}", ours.name, ours.version),
            None => dir.file_name().map_or_else(|| "model".into(), |name| name.to_string_lossy().into_owned()),
        };
        let (family, isa) = (config.family, Isa::detect());
        Ok(Self { name, family, pieces, model, heads, window, isa, options, scratch: Mutex::default() })
    }

    /// Name and version of the model.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn family(&self) -> Family {
        self.family
    }

    /// Instructions in use.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// Uses the given instructions instead of the best; for comparisons.
    pub fn with_isa(mut self, isa: Isa) -> Self {
        if kernel::Isa::available().contains(&isa) {
            self.isa = isa;
        }
        self
    }

    /// Width of the hidden states.
    pub fn hidden(&self) -> usize {
        self.model.hidden
    }

    /// The heads, in the order of [`Reading::logits`].
    pub fn heads(&self) -> impl ExactSizeIterator<Item = &HeadInfo> {
        self.heads.iter().map(|(info, _)| info)
    }

    /// Cuts a text into pieces, without special tokens.
    pub fn tokens(&self, text: &str) -> Result<Tokens> {
        self.pieces.cut(text)
    }

    /// Reads texts; one answer each, in order. A text that the tokenizer refuses does not spoil the others.
    pub fn read(&self, texts: &[&str]) -> Vec<Result<Reading>> {
        let cut: Vec<Result<Tokens>> =
            threads::map(self.options.threads, texts.len(), 16, |i| self.pieces.cut(texts[i]))
                .into_iter()
                .map(|result| result.unwrap_or_else(|| Err(Error::Text("the tokenizer failed on it".into()))))
                .collect();
        let mut windows = Vec::new();
        let room = self.window - self.pieces.prefix.len() - self.pieces.suffix.len();
        for (text, tokens) in cut.iter().enumerate() {
            if let Ok(tokens) = tokens {
                windows.extend(windows::cut(text, tokens.ids.len(), room));
            }
        }
        let batches = self.batches(&windows);
        let parts =
            threads::map(self.options.threads, batches.len(), 1, |i| self.run(&windows[batches[i].clone()], &cut));
        let mut found: Vec<Vec<Part>> = texts.iter().map(|_| Vec::new()).collect();
        for (batch, parts) in batches.iter().zip(parts) {
            let parts = parts.unwrap_or_default();
            for (window, part) in windows[batch.clone()].iter().zip(parts) {
                found[window.text].push(part);
            }
        }
        cut.into_iter()
            .zip(found)
            .map(|(tokens, parts)| tokens.and_then(|tokens| self.combine(tokens, &parts)))
            .collect()
    }

    /// Ranges of windows of about the token budget each, fewer where there is not enough work for all threads.
    fn batches(&self, windows: &[Window]) -> Vec<std::ops::Range<usize>> {
        let special = self.pieces.prefix.len() + self.pieces.suffix.len();
        let total: usize = windows.iter().map(|w| w.end - w.begin + special).sum();
        let budget = self.options.token_budget.min(total.div_ceil(self.options.threads.max(1))).max(1);
        let mut batches = Vec::new();
        let (mut begin, mut pieces) = (0, 0);
        for (i, window) in windows.iter().enumerate() {
            pieces += window.end - window.begin + special;
            if pieces >= budget {
                batches.push(begin..i + 1);
                (begin, pieces) = (i + 1, 0);
            }
        }
        if begin < windows.len() {
            batches.push(begin..windows.len());
        }
        batches
    }

    /// Runs one batch of windows.
    fn run(&self, windows: &[Window], cut: &[Result<Tokens>]) -> Vec<Part> {
        let mut scratch = self.scratch.lock().unwrap_or_else(|e| e.into_inner()).pop().unwrap_or_default();
        let (ids, spans) = windows::pack(windows, cut, &self.pieces.prefix, &self.pieces.suffix);
        self.model.run(self.isa, &ids, &spans, &mut scratch);
        let hidden = self.model.hidden;
        let parts = windows
            .iter()
            .zip(&spans)
            .map(|(window, span)| {
                let states = &scratch.hidden[span.begin * hidden..][..span.length * hidden];
                self.part(window, states)
            })
            .collect();
        self.scratch.lock().unwrap_or_else(|e| e.into_inner()).push(scratch);
        parts
    }

    /// What one window contributes: its own pieces, and the special tokens.
    fn part(&self, window: &Window, states: &[f32]) -> Part {
        let hidden = self.model.hidden;
        let first = self.pieces.prefix.len() + window.own_begin - window.begin;
        let own = &states[first * hidden..][..(window.own_end - window.own_begin) * hidden];
        let specials = states[..self.pieces.prefix.len() * hidden].chunks_exact(hidden);
        let after = states[states.len() - self.pieces.suffix.len() * hidden..].chunks_exact(hidden);
        let mut sum = vec![0.0f32; hidden];
        let mut count = 0;
        for row in specials.chain(own.chunks_exact(hidden)).chain(after) {
            sum.iter_mut().zip(row).for_each(|(s, v)| *s += v);
            count += 1;
        }
        let logits = self
            .heads
            .iter()
            .map(|(info, head)| match info.level {
                Level::Mean => Vec::new(),
                Level::First => head.logits(self.isa, &states[..hidden]),
                Level::Piece => head.logits(self.isa, own),
            })
            .collect();
        Part { sum, count, own: window.own_end - window.own_begin, logits }
    }

    /// Puts the windows of a text together: pieces side by side, means over all pieces, first-piece logits weighted by
    /// the pieces that they speak for.
    fn combine(&self, tokens: Tokens, parts: &[Part]) -> Result<Reading> {
        if parts.is_empty() {
            return Err(Error::Text("the model failed on it".into()));
        }
        let mut pooled = vec![0.0f32; self.model.hidden];
        for part in parts {
            pooled.iter_mut().zip(&part.sum).for_each(|(p, s)| *p += s);
        }
        let count = parts.iter().map(|p| p.count).sum::<usize>().max(1) as f32;
        pooled.iter_mut().for_each(|p| *p /= count);
        let logits = self.heads.iter().enumerate().map(|(i, (info, head))| match info.level {
            Level::Mean => head.logits(self.isa, &pooled),
            Level::First => windows::weighted_mean(parts, i),
            Level::Piece => parts.iter().flat_map(|part| part.logits[i].iter().copied()).collect(),
        });
        let logits = logits.collect();
        Ok(Reading { logits, pooled, tokens, windows: parts.len() })
    }
}

/// Whether the engine runs the model of a folder, told from its `config.json` alone.
pub fn check(dir: &Path) -> Result<()> {
    let config = ModelConfig::read(dir)?;
    if config.overheard.is_none() {
        config.labels_pieces()?;
    }
    Ok(())
}

/// Whether the engine reads the tokenizer of a folder, which needs `config.json` beside it.
pub fn check_tokenizer(dir: &Path) -> Result<()> {
    Pieces::load(dir).map(drop)
}

/// A problem of the weights, told with the folder.
fn within(dir: &Path, error: Error) -> Error {
    match error {
        Error::Invalid(problem) => Error::malformed(PathBuf::from(dir), problem),
        other => other,
    }
}

/// The heads that a configuration names.
fn heads(config: &ModelConfig, loader: &Loader<'_>) -> Result<Vec<(HeadInfo, Head)>> {
    let Some(ours) = &config.overheard else {
        let head = loader.classifier()?;
        let info = HeadInfo {
            name: "classifier".into(),
            level: head.level,
            labels: config.labels.clone(),
            temperature: 1.0,
            o_bias: 0.0,
            kinds: Vec::new(),
            multi_label: config.word("problem_type") == Some("multi_label_classification"),
        };
        return Ok(vec![(info, head)]);
    };
    ours.heads
        .iter()
        .map(|(name, settings)| {
            let head = loader.own_head(name, settings)?;
            let info = HeadInfo {
                name: name.clone(),
                level: head.level,
                labels: settings.labels.clone(),
                temperature: if settings.temperature > 0.0 { settings.temperature } else { 1.0 },
                o_bias: settings.o_bias,
                kinds: settings.kinds.iter().map(|(a, b)| (a.clone(), b.clone())).collect(),
                multi_label: false,
            };
            Ok((info, head))
        })
        .collect()
}
