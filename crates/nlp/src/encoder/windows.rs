//! Long texts in windows: neighbours overlap, so that every piece is read with context on both sides, and each piece
//! counts in one window only. Nothing of a text is left out.

use super::attention::Span;
use super::tokenizer::Tokens;
use crate::error::Result;

/// Pieces `begin..end` of a text, read together; `own_begin..own_end` of them count here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) text: usize,
    pub(crate) begin: usize,
    pub(crate) end: usize,
    pub(crate) own_begin: usize,
    pub(crate) own_end: usize,
}

/// What a window contributes to its text.
pub(crate) struct Part {
    /// Sum of hidden states.
    pub(crate) sum: Vec<f32>,
    /// States in the sum.
    pub(crate) count: usize,
    /// Pieces that count here.
    pub(crate) own: usize,
    /// For each head; empty where only the whole text is judged.
    pub(crate) logits: Vec<Vec<f32>>,
}

/// Windows of a text of `pieces` pieces, each at most `room` long, overlapping by a quarter.
pub(crate) fn cut(text: usize, pieces: usize, room: usize) -> Vec<Window> {
    if pieces <= room {
        return vec![Window { text, begin: 0, end: pieces, own_begin: 0, own_end: pieces }];
    }
    let overlap = room / 4;
    let step = room - overlap;
    let mut windows: Vec<Window> = Vec::new();
    let mut begin = 0;
    loop {
        let end = (begin + room).min(pieces);
        let own_begin = windows.last().map_or(0, |w| w.own_end);
        let last = end == pieces;
        let own_end = if last { pieces } else { end - overlap / 2 };
        windows.push(Window { text, begin, end, own_begin, own_end });
        if last {
            return windows;
        }
        begin += step;
    }
}

/// Lays windows one after another, special tokens around each.
pub(crate) fn pack(
    windows: &[Window],
    cut: &[Result<Tokens>],
    prefix: &[u32],
    suffix: &[u32],
) -> (Vec<u32>, Vec<Span>) {
    let mut ids = Vec::new();
    let mut spans = Vec::with_capacity(windows.len());
    for window in windows {
        let begin = ids.len();
        ids.extend_from_slice(prefix);
        if let Ok(tokens) = &cut[window.text] {
            ids.extend_from_slice(&tokens.ids[window.begin..window.end]);
        }
        ids.extend_from_slice(suffix);
        spans.push(Span { begin, length: ids.len() - begin });
    }
    (ids, spans)
}

/// Mean of a head's logits over the windows, weighted by the pieces that count in each.
pub(crate) fn weighted_mean(parts: &[Part], head: usize) -> Vec<f32> {
    if let [part] = parts {
        return part.logits[head].clone();
    }
    let total = parts.iter().map(|p| p.own).sum::<usize>().max(1) as f32;
    let mut mean = vec![0.0f32; parts[0].logits[head].len()];
    for part in parts {
        let weight = part.own as f32 / total;
        mean.iter_mut().zip(&part.logits[head]).for_each(|(m, l)| *m += weight * l);
    }
    mean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_piece_counts_once_and_no_window_is_too_long() {
        for room in [4, 5, 30, 510] {
            for pieces in (0..200).chain([509, 510, 511, 512, 1000, 5003]) {
                let windows = cut(0, pieces, room);
                let mut next = 0;
                for w in &windows {
                    assert_eq!(w.own_begin, next, "{pieces} in {room}");
                    assert!(w.begin <= w.own_begin && w.own_end <= w.end && w.end - w.begin <= room);
                    next = w.own_end;
                }
                assert_eq!(next, pieces);
            }
        }
    }
}
