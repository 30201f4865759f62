//! Self-attention within each sequence of a packed batch: [pieces, 3 x hidden] in, [pieces, hidden] out. Sequences do
//! not see each other and nothing is padded but rows to a multiple of sixteen, so a text's result does not depend on
//! its neighbours.

use super::kernel::Isa;
use super::ops;

/// A sequence within a packed batch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    pub(crate) begin: usize,
    pub(crate) length: usize,
}

/// How positions enter the scores.
pub(crate) enum Positions {
    /// They were added to the embeddings.
    Absolute,
    /// Queries and keys are turned by an angle that grows with the position; with a radius, pieces further away than
    /// that are not seen.
    Rotary { angles: std::sync::Arc<Angles>, radius: Option<usize> },
    /// Scores between contents and relative positions.
    Disentangled(Disentangled),
}

/// Cosines and sines, [positions, width / 2].
pub(crate) struct Angles {
    cosines: Vec<f32>,
    sines: Vec<f32>,
    half: usize,
}

/// Projected embeddings of relative positions of one layer, for each head [width, 2 x span].
pub(crate) struct Disentangled {
    /// For queries (content to position); empty when the model has none.
    pub(crate) keys: Vec<f32>,
    /// For keys (position to content); empty when the model has none.
    pub(crate) queries: Vec<f32>,
    pub(crate) span: usize,
    /// Distances beyond half of them share logarithmic buckets; zero for none.
    pub(crate) buckets: usize,
    pub(crate) distance_max: usize,
}

/// Buffers of one sequence and head, reused.
#[derive(Default)]
pub(crate) struct Buffers {
    queries: Vec<f32>,
    keys: Vec<f32>,
    values: Vec<f32>,
    scores: Vec<f32>,
    mixed: Vec<f32>,
    relative: Vec<f32>,
    from_queries: Vec<f32>,
    from_keys: Vec<f32>,
    rows: Vec<f32>,
}

/// Rows are padded to a multiple of this.
const LANES: usize = 16;

impl Angles {
    pub(crate) fn new(positions: usize, width: usize, theta: f64) -> Self {
        let half = width / 2;
        let angle = |i: usize| (i / half) as f64 * theta.powf(-((i % half) as f64 * 2.0 / width as f64));
        let all = 0..positions * half;
        let cosines = all.clone().map(|i| angle(i).cos() as f32).collect();
        Self { cosines, sines: all.map(|i| angle(i).sin() as f32).collect(), half }
    }

    fn turn(&self, position: usize, row: &mut [f32]) {
        let at = position * self.half;
        let (low, high) = row.split_at_mut(self.half);
        let angles = self.cosines[at..].iter().zip(&self.sines[at..]);
        for ((l, h), (cosine, sine)) in low.iter_mut().zip(high).zip(angles) {
            (*l, *h) = (*l * cosine - *h * sine, *h * cosine + *l * sine);
        }
    }
}

impl Disentangled {
    /// Row of the embeddings for the distance from a query to a key, 0 .. 2 x span.
    fn index(&self, distance: isize) -> usize {
        let span = self.span as isize;
        self.bucket(distance).saturating_add(span).clamp(0, 2 * span - 1) as usize
    }

    fn bucket(&self, distance: isize) -> isize {
        let middle = (self.buckets / 2) as isize;
        let away = distance.abs();
        if self.buckets == 0 || away <= middle {
            return distance;
        }
        let (middle_f, most) = (middle as f32, self.distance_max as f32 - 1.0);
        let steps = ((away as f32 / middle_f).ln() / (most / middle_f).ln() * (middle_f - 1.0)).ceil();
        (steps as isize).saturating_add(middle) * distance.signum()
    }

    fn parts(&self) -> usize {
        1 + usize::from(!self.keys.is_empty()) + usize::from(!self.queries.is_empty())
    }
}

/// The sizes of a layer's attention.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Heads {
    pub(crate) count: usize,
    /// Values of one head.
    pub(crate) width: usize,
}

impl Heads {
    fn hidden(self) -> usize {
        self.count * self.width
    }

    /// Attention of all sequences and heads. `qkv`: [pieces, 3 x hidden]; `out`: [pieces, hidden].
    pub(crate) fn attend(
        self,
        isa: Isa,
        spans: &[Span],
        positions: &Positions,
        qkv: &[f32],
        out: &mut [f32],
        buffers: &mut Buffers,
    ) {
        let hidden = self.hidden();
        for span in spans {
            let qkv = &qkv[span.begin * 3 * hidden..][..span.length * 3 * hidden];
            let out = &mut out[span.begin * hidden..][..span.length * hidden];
            for head in 0..self.count {
                self.gather(head, positions, qkv, buffers);
                self.score(isa, span.length, head, positions, buffers);
                self.mix(isa, span.length, head, out, buffers);
            }
        }
    }

    /// Copies one head's queries (scaled) row by row, its keys transposed, its values padded.
    fn gather(self, head: usize, positions: &Positions, qkv: &[f32], buffers: &mut Buffers) {
        let (hidden, width) = (self.hidden(), self.width);
        let length = qkv.len() / (3 * hidden);
        let (columns, padded) = (length.next_multiple_of(LANES), width.next_multiple_of(LANES));
        let parts = if let Positions::Disentangled(relative) = positions { relative.parts() } else { 1 };
        let scale = 1.0 / ((width * parts) as f32).sqrt();
        refill(&mut buffers.queries, length * width);
        refill(&mut buffers.keys, columns * width);
        refill(&mut buffers.values, length * padded);
        refill(&mut buffers.rows, width);
        for (i, row) in qkv.chunks_exact(3 * hidden).enumerate() {
            let part = |n: usize| &row[n * hidden + head * width..][..width];
            let query = &mut buffers.queries[i * width..][..width];
            query.copy_from_slice(part(0));
            buffers.rows.copy_from_slice(part(1));
            if let Positions::Rotary { angles, .. } = positions {
                angles.turn(i, query);
                angles.turn(i, &mut buffers.rows);
            }
            query.iter_mut().for_each(|q| *q *= scale);
            for (k, value) in buffers.rows.iter().enumerate() {
                buffers.keys[k * columns + i] = *value;
            }
            buffers.values[i * padded..][..width].copy_from_slice(part(2));
        }
    }

    /// Scores of all pairs, softmax over the keys.
    fn score(self, isa: Isa, length: usize, head: usize, positions: &Positions, buffers: &mut Buffers) {
        let columns = length.next_multiple_of(LANES);
        refill(&mut buffers.scores, length * columns);
        ops::product(isa, &buffers.queries, self.width, self.width, &buffers.keys, columns, &mut buffers.scores);
        match positions {
            Positions::Rotary { radius: Some(radius), .. } => {
                hide_distant(&mut buffers.scores, columns, length, *radius)
            }
            Positions::Disentangled(relative) => self.add_relative(isa, length, head, relative, buffers),
            _ => {}
        }
        ops::softmax(isa, &mut buffers.scores, columns, length);
    }

    /// Values mixed by the scores, written to the head's columns.
    fn mix(self, isa: Isa, length: usize, head: usize, out: &mut [f32], buffers: &mut Buffers) {
        let (columns, padded) = (length.next_multiple_of(LANES), self.width.next_multiple_of(LANES));
        refill(&mut buffers.mixed, length * padded);
        ops::product(isa, &buffers.scores, columns, length, &buffers.values, padded, &mut buffers.mixed);
        for (row, mixed) in out.chunks_exact_mut(self.hidden()).zip(buffers.mixed.chunks_exact(padded)) {
            row[head * self.width..][..self.width].copy_from_slice(&mixed[..self.width]);
        }
    }

    /// Adds what queries say of relative positions and what relative positions say of keys.
    fn add_relative(self, isa: Isa, length: usize, head: usize, relative: &Disentangled, buffers: &mut Buffers) {
        let furthest = length as isize - 1;
        // Only the buckets within reach of this length; the index grows with the distance.
        let (first, last) = (relative.index(-furthest), relative.index(furthest));
        let reach = (last - first + 1).next_multiple_of(LANES);
        let scale = 1.0 / ((self.width * relative.parts()) as f32).sqrt();
        let columns = length.next_multiple_of(LANES);
        if !relative.keys.is_empty() {
            self.take_relative(&relative.keys, head, relative.span, first..last + 1, &mut buffers.relative);
            refill(&mut buffers.from_queries, length * reach);
            ops::product(
                isa,
                &buffers.queries,
                self.width,
                self.width,
                &buffers.relative,
                reach,
                &mut buffers.from_queries,
            );
        }
        if !relative.queries.is_empty() {
            self.take_relative(&relative.queries, head, relative.span, first..last + 1, &mut buffers.relative);
            refill(&mut buffers.rows, length * self.width);
            for (j, row) in buffers.rows.chunks_exact_mut(self.width).enumerate() {
                row.iter_mut().enumerate().for_each(|(k, v)| *v = buffers.keys[k * columns + j] * scale);
            }
            refill(&mut buffers.from_keys, length * reach);
            ops::product(isa, &buffers.rows, self.width, self.width, &buffers.relative, reach, &mut buffers.from_keys);
        }
        for i in 0..length {
            for j in 0..length {
                let at = relative.index(i as isize - j as isize) - first;
                let from_query = buffers.from_queries.get(i * reach + at).copied().unwrap_or(0.0);
                let from_key = buffers.from_keys.get(j * reach + at).copied().unwrap_or(0.0);
                buffers.scores[i * columns + j] += from_query + from_key;
            }
        }
    }

    /// One head's rows of the relative embeddings within a range, [width, range padded].
    fn take_relative(self, all: &[f32], head: usize, span: usize, range: std::ops::Range<usize>, into: &mut Vec<f32>) {
        let reach = range.len().next_multiple_of(LANES);
        refill(into, self.width * reach);
        let rows = all[head * self.width * 2 * span..].chunks_exact(2 * span);
        for (row, into) in rows.zip(into.chunks_exact_mut(reach)) {
            into[..range.len()].copy_from_slice(&row[range.clone()]);
        }
    }
}

/// Local attention: pieces further away than the radius get no weight.
fn hide_distant(scores: &mut [f32], columns: usize, length: usize, radius: usize) {
    for (i, row) in scores.chunks_exact_mut(columns).enumerate() {
        for (j, score) in row[..length].iter_mut().enumerate() {
            if i.abs_diff(j) > radius {
                *score = f32::NEG_INFINITY;
            }
        }
    }
}

/// Zeros of the given number, in memory that is there already where possible.
pub(crate) fn refill(buffer: &mut Vec<f32>, length: usize) {
    buffer.clear();
    buffer.resize(length, 0.0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn far_distances_share_buckets_and_near_ones_do_not() {
        let relative =
            Disentangled { keys: Vec::new(), queries: Vec::new(), span: 256, buckets: 256, distance_max: 512 };
        assert_eq!((relative.index(0), relative.index(100), relative.index(-128)), (256, 356, 128));
        assert_eq!(relative.bucket(511), 255);
        assert_eq!(relative.bucket(-300), -relative.bucket(300));
        assert!(relative.bucket(300) > 128 && relative.bucket(300) < 255);
    }
}
