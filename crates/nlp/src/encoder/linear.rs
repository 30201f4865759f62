//! A dense layer, `y = W x + b`, with its weights packed once at load into panels of sixteen columns.
//!
//! Int8: weights are 8-bit integers with a scale per output, activations are rounded to 12 to 16 bits with a scale per
//! piece. The rounding of activations is then far below that of the weights, and the sums are exact in 32 bits. On
//! AVX2, 16-bit products cost what 8-bit ones do: `vpmaddubsw` needs a second multiplication to widen its sums.

use super::kernel::{Isa, PANEL, ROWS, tile_f32, tile_i16};
use super::ops;
use super::weights::Weights;
use crate::error::Result;

/// How weights are held and multiplied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// As 8-bit integers with one scale an output: a quarter of the memory, about twice the speed.
    #[default]
    Int8,
    /// In 32-bit floats.
    Exact,
}

/// A packed dense layer.
pub(crate) struct Linear {
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    bias: Vec<f32>,
    panels: Panels,
}

enum Panels {
    Int8 { weights: Vec<i8>, scales: Vec<f32>, levels: f32 },
    Exact(Vec<f32>),
}

/// Activations of one product, rounded.
#[derive(Default)]
pub(crate) struct Rounded {
    values: Vec<i16>,
    scales: Vec<f32>,
}

impl Linear {
    /// Reads the named layers (`<name>.weight`, `<name>.bias` if there is one), each of the given number of outputs,
    /// and stacks them into one: query, key and value are one product.
    pub(crate) fn read(
        weights: &Weights,
        names: &[String],
        inputs: usize,
        outputs: usize,
        precision: Precision,
    ) -> Result<Self> {
        let mut bias = Vec::new();
        let (mut stored, mut scales, mut floats) = (Vec::new(), Vec::new(), Vec::new());
        // Integers are taken as they are where all of the layers have them.
        let int8 = |name: &String| weights.is_int8(&format!("{name}.weight"));
        let as_stored = precision == Precision::Int8 && names.iter().all(int8);
        for name in names {
            let matrix = format!("{name}.weight");
            let integers = if as_stored { weights.int8(&matrix, &[outputs, inputs])? } else { None };
            match integers {
                Some((integers, row_scales)) => {
                    stored.extend(integers);
                    scales.extend(row_scales);
                }
                None => floats.extend(weights.floats(&matrix, &[outputs, inputs])?),
            }
            let name = format!("{name}.bias");
            match weights.has(&name) {
                true => bias.extend(weights.floats(&name, &[outputs])?),
                false => bias.resize(bias.len() + outputs, 0.0),
            }
        }
        if precision == Precision::Exact {
            return Ok(Self::exact(&floats, bias, inputs));
        }
        if !floats.is_empty() {
            (stored, scales) = round_rows(&floats, inputs);
        }
        Ok(Self::int8(&stored, scales, bias, inputs))
    }

    /// From a row-major matrix in f32, `bias.len()` rows of `inputs`.
    pub(crate) fn exact(matrix: &[f32], bias: Vec<f32>, inputs: usize) -> Self {
        let outputs = bias.len();
        let mut packed = vec![0.0; outputs.next_multiple_of(PANEL) * inputs];
        for (row, values) in matrix.chunks_exact(inputs).enumerate() {
            let panel = row / PANEL * PANEL * inputs;
            for (k, value) in values.iter().enumerate() {
                packed[panel + k * PANEL + row % PANEL] = *value;
            }
        }
        Self { inputs, outputs, bias, panels: Panels::Exact(packed) }
    }

    /// From a row-major matrix of integers with a scale a row.
    pub(crate) fn int8(matrix: &[i8], mut scales: Vec<f32>, bias: Vec<f32>, inputs: usize) -> Self {
        let outputs = bias.len();
        let inner = inputs.next_multiple_of(2);
        let mut packed = vec![0i8; outputs.next_multiple_of(PANEL) * inner];
        for (row, values) in matrix.chunks_exact(inputs).enumerate() {
            let panel = row / PANEL * PANEL * inner;
            for (k, value) in values.iter().enumerate() {
                packed[panel + k / 2 * 2 * PANEL + row % PANEL * 2 + k % 2] = *value;
            }
        }
        scales.resize(outputs.next_multiple_of(PANEL), 0.0);
        // The largest level at which no sum of products can leave 32 bits.
        let levels = (f64::from(i32::MAX) / (128.0 * inner as f64)).min(32_000.0).floor() as f32;
        Self { inputs, outputs, bias, panels: Panels::Int8 { weights: packed, scales, levels } }
    }

    /// Products of all rows of `input` (each `inputs` long), written to `out` (each `outputs` long).
    pub(crate) fn apply(&self, isa: Isa, input: &[f32], out: &mut [f32], rounded: &mut Rounded) {
        debug_assert_eq!(input.len() / self.inputs, out.len() / self.outputs, "as many rows out as in");
        match &self.panels {
            Panels::Int8 { weights, scales, levels } => {
                let inner = self.inputs.next_multiple_of(2);
                rounded.take(isa, input, self.inputs, *levels);
                for (index, panel) in weights.chunks_exact(inner * PANEL).enumerate() {
                    let scales = &scales[index * PANEL..][..PANEL];
                    self.panel_i16(isa, index, panel, scales, rounded, out);
                }
            }
            Panels::Exact(weights) => {
                for (index, panel) in weights.chunks_exact(self.inputs * PANEL).enumerate() {
                    self.panel_f32(isa, index, panel, input, out);
                }
            }
        }
    }

    fn panel_i16(&self, isa: Isa, index: usize, panel: &[i8], scales: &[f32], rounded: &Rounded, out: &mut [f32]) {
        let inner = self.inputs.next_multiple_of(2);
        let column = index * PANEL;
        let width = PANEL.min(self.outputs - column);
        let (scales, bias) = (&scales[..width], &self.bias[column..][..width]);
        let mut sums = [0i32; ROWS * PANEL];
        let tiles = rounded.values.chunks(ROWS * inner).zip(rounded.scales.chunks(ROWS));
        for ((rows, row_scales), out) in tiles.zip(out.chunks_mut(ROWS * self.outputs)) {
            tile_i16(isa, rows, inner, panel, &mut sums);
            let sums = sums.as_chunks::<PANEL>().0;
            for ((sums, row_scale), out) in sums.iter().zip(row_scales).zip(out.chunks_exact_mut(self.outputs)) {
                let out = &mut out[column..][..width];
                for (((o, sum), scale), b) in out.iter_mut().zip(sums).zip(scales).zip(bias) {
                    *o = *sum as f32 * (row_scale * scale) + b;
                }
            }
        }
    }

    fn panel_f32(&self, isa: Isa, index: usize, panel: &[f32], input: &[f32], out: &mut [f32]) {
        let column = index * PANEL;
        let width = PANEL.min(self.outputs - column);
        let bias = &self.bias[column..][..width];
        let mut sums = [0f32; ROWS * PANEL];
        for (rows, out) in input.chunks(ROWS * self.inputs).zip(out.chunks_mut(ROWS * self.outputs)) {
            tile_f32(isa, rows, self.inputs, panel, &mut sums);
            for (sums, out) in sums.as_chunks::<PANEL>().0.iter().zip(out.chunks_exact_mut(self.outputs)) {
                let out = &mut out[column..][..width];
                out.iter_mut().zip(sums).zip(bias).for_each(|((o, sum), b)| *o = sum + b);
            }
        }
    }
}

impl Rounded {
    fn take(&mut self, isa: Isa, input: &[f32], width: usize, levels: f32) {
        let rows = input.len() / width;
        let stride = width.next_multiple_of(2);
        self.values.clear();
        self.values.resize(rows * stride, 0);
        self.scales.resize(rows, 0.0);
        ops::quantise(isa, input, width, levels, &mut self.values, stride, &mut self.scales);
    }
}

/// Rounds each row of a matrix to integers in -127..=127 with a scale.
pub(crate) fn round_rows(matrix: &[f32], width: usize) -> (Vec<i8>, Vec<f32>) {
    let mut integers = Vec::with_capacity(matrix.len());
    let mut scales = Vec::with_capacity(matrix.len() / width);
    for row in matrix.chunks_exact(width) {
        let top = row.iter().fold(f32::MIN_POSITIVE, |top, v| top.max(v.abs()));
        scales.push(top / 127.0);
        integers.extend(row.iter().map(|v| (v / top * 127.0).round() as i8));
    }
    (integers, scales)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(rows: usize, columns: usize, seed: usize) -> Vec<f32> {
        (0..rows * columns).map(|i| (((i + seed) * 7919 + i * i) % 2003) as f32 / 1000.0 - 1.0).collect()
    }

    fn naive(matrix: &[f32], bias: &[f32], input: &[f32], inputs: usize) -> Vec<f32> {
        let rows = input.chunks_exact(inputs);
        let dot = |row: &[f32], w: &[f32]| row.iter().zip(w).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
        rows.flat_map(|row| {
            matrix.chunks_exact(inputs).zip(bias).map(move |(w, b)| (dot(row, w) + f64::from(*b)) as f32)
        })
        .collect()
    }

    #[test]
    fn both_precisions_follow_the_naive_product_at_odd_sizes() {
        for (inputs, outputs, rows) in [(33, 19, 7), (16, 16, 6), (5, 3, 1), (64, 50, 13)] {
            let (weights, input) = (matrix(outputs, inputs, 3), matrix(rows, inputs, 11));
            let bias: Vec<f32> = matrix(1, outputs, 5);
            let want = naive(&weights, &bias, &input, inputs);
            let (integers, scales) = round_rows(&weights, inputs);
            let restored: Vec<f32> = integers
                .chunks(inputs)
                .zip(&scales)
                .flat_map(|(row, s)| row.iter().map(move |v| f32::from(*v) * s))
                .collect();
            let want_int8 = naive(&restored, &bias, &input, inputs);
            for isa in Isa::available() {
                let mut out = vec![0.0; rows * outputs];
                Linear::exact(&weights, bias.clone(), inputs).apply(isa, &input, &mut out, &mut Rounded::default());
                assert!(out.iter().zip(&want).all(|(a, b)| (a - b).abs() < 1e-4), "{isa:?} {inputs}x{outputs}");
                let layer = Linear::int8(&integers, scales.clone(), bias.clone(), inputs);
                layer.apply(isa, &input, &mut out, &mut Rounded::default());
                assert!(out.iter().zip(&want_int8).all(|(a, b)| (a - b).abs() < 3e-3), "{isa:?} {inputs}x{outputs}");
            }
        }
    }

    #[test]
    fn the_widest_sums_stay_within_32_bits() {
        for inputs in [2, 384, 1536, 4096] {
            let layer = Linear::int8(&vec![127; inputs], vec![1.0], vec![0.0], inputs);
            let mut out = [0.0];
            layer.apply(Isa::detect(), &vec![1.0; inputs], &mut out, &mut Rounded::default());
            let want = 127.0 * inputs as f32;
            assert!((out[0] / want - 1.0).abs() < 1e-3, "{inputs}: {} against {want}", out[0]);
        }
    }
}
