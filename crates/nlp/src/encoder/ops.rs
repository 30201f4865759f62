//! Row operations between the matrix products: layer norm, softmax, activations, quantisation. Written with sixteen
//! partial sums in a fixed order and polynomials of our own, so that they vectorise and give the same bits on every
//! processor.

use super::config::Activation;
use super::kernel::{Isa, vectorised};

/// Partial sums of a reduction.
const LANES: usize = 16;

/// Sum in a fixed order: sixteen partial sums, then those from left to right.
#[inline(always)]
fn sum_of(row: &[f32], value: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [0f32; LANES];
    let (chunks, rest) = row.as_chunks::<LANES>();
    for chunk in chunks {
        for (lane, v) in lanes.iter_mut().zip(chunk) {
            *lane += value(*v);
        }
    }
    for (lane, v) in lanes.iter_mut().zip(rest) {
        *lane += value(*v);
    }
    lanes.iter().sum()
}

/// Largest value; `floor` for an empty row.
#[inline(always)]
fn max_of(row: &[f32], floor: f32, value: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [floor; LANES];
    let (chunks, rest) = row.as_chunks::<LANES>();
    for chunk in chunks {
        for (lane, v) in lanes.iter_mut().zip(chunk) {
            let v = value(*v);
            *lane = if v > *lane { v } else { *lane };
        }
    }
    for (lane, v) in lanes.iter_mut().zip(rest) {
        *lane = lane.max(value(*v));
    }
    lanes.iter().fold(floor, |a, b| a.max(*b))
}

/// Nearest integer as f32, ties to even, for |x| < 2^22: adding 1.5 * 2^23 leaves no bits for a fraction.
#[inline(always)]
fn nearest(x: f32) -> f32 {
    (x + 12_582_912.0) - 12_582_912.0
}

/// e^x with a relative error below 3e-7: 2^n times a Taylor polynomial of degree seven on |r| <= ln 2 / 2.
#[inline(always)]
fn exp(x: f32) -> f32 {
    let x = if x > 88.0 { 88.0 } else { x };
    let x = if x < -87.0 { -87.0 } else { x };
    let n = nearest(x * std::f32::consts::LOG2_E);
    // ln 2 in two parts, the first exact in few bits.
    let r = (x - n * 0.693_359_4) + n * 2.121_944_4e-4;
    let p = 1.0 / 5040.0;
    let p = p * r + 1.0 / 720.0;
    let p = p * r + 1.0 / 120.0;
    let p = p * r + 1.0 / 24.0;
    let p = p * r + 1.0 / 6.0;
    let p = p * r + 0.5;
    let p = p * r + 1.0;
    let p = p * r + 1.0;
    // The bits of n + 1.5 * 2^23 end in n; moved to the exponent they make 2^n.
    let exponent = (n + 12_582_912.0).to_bits().wrapping_sub(0x4b40_0000).wrapping_add(127) << 23;
    p * f32::from_bits(exponent)
}

/// Error function, absolute error below 2e-7 (Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26).
#[inline(always)]
fn erf(x: f32) -> f32 {
    let a = x.abs();
    let t = 1.0 / (1.0 + 0.327_591_1 * a);
    let p = 1.061_405_4;
    let p = p * t - 1.453_152_1;
    let p = p * t + 1.421_413_8;
    let p = p * t - 0.284_496_72;
    let p = p * t + 0.254_829_6;
    (1.0 - p * t * exp(-a * a)).copysign(x)
}

#[inline(always)]
fn tanh(x: f32) -> f32 {
    1.0 - 2.0 / (exp(2.0 * x) + 1.0)
}

#[inline(always)]
fn gelu(x: f32) -> f32 {
    0.5 * x * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2))
}

vectorised! {
    fn gelu_all(values: &mut [f32]) {
        values.iter_mut().for_each(|v| *v = gelu(*v));
    }
}

vectorised! {
    fn gelu_tanh_all(values: &mut [f32]) {
        values.iter_mut().for_each(|v| *v = 0.5 * *v * (1.0 + tanh(0.797_884_6 * (*v + 0.044_715 * *v * *v * *v))));
    }
}

vectorised! {
    fn silu_all(values: &mut [f32]) {
        values.iter_mut().for_each(|v| *v /= 1.0 + exp(-*v));
    }
}

vectorised! {
    fn tanh_all(values: &mut [f32]) {
        values.iter_mut().for_each(|v| *v = tanh(*v));
    }
}

/// Applies an activation in place.
pub(crate) fn activate(isa: Isa, activation: Activation, values: &mut [f32]) {
    match activation {
        Activation::Identity => {}
        Activation::Gelu => gelu_all(isa, values),
        Activation::GeluTanh => gelu_tanh_all(isa, values),
        Activation::Relu => values.iter_mut().for_each(|v| *v = v.max(0.0)),
        Activation::Silu => silu_all(isa, values),
        Activation::Tanh => tanh_all(isa, values),
    }
}

vectorised! {
    /// `out += added`, value by value.
    pub(crate) fn add(out: &mut [f32], added: &[f32]) {
        out.iter_mut().zip(added).for_each(|(o, a)| *o += a);
    }
}

vectorised! {
    /// Layer norm of each row of `width` values, in place. An empty `shift` is zero.
    pub(crate) fn layer_norm(rows: &mut [f32], width: usize, weight: &[f32], shift: &[f32], epsilon: f32) {
        for row in rows.chunks_exact_mut(width) {
            let mean = sum_of(row, |v| v) / width as f32;
            let variance = sum_of(row, |v| (v - mean) * (v - mean)) / width as f32;
            let scale = 1.0 / (variance + epsilon).sqrt();
            if shift.is_empty() {
                row.iter_mut().zip(weight).for_each(|(v, w)| *v = (*v - mean) * scale * w);
            } else {
                row.iter_mut().zip(weight).zip(shift).for_each(|((v, w), b)| *v = (*v - mean) * scale * w + b);
            }
        }
    }
}

vectorised! {
    /// Softmax over the first `width` values of each row of `stride` values, in place.
    pub(crate) fn softmax(rows: &mut [f32], stride: usize, width: usize) {
        for row in rows.chunks_exact_mut(stride) {
            let row = &mut row[..width];
            let top = max_of(row, f32::NEG_INFINITY, |v| v);
            row.iter_mut().for_each(|v| *v = exp(*v - top));
            let scale = 1.0 / sum_of(row, |v| v);
            row.iter_mut().for_each(|v| *v *= scale);
        }
    }
}

vectorised! {
    /// Small product `out[i][n] = sum over k of left[i][k] * right[k][n]`, `k` in order. Rows of `left` are
    /// `left_stride` long, of which `inner` count; rows of `right` and `out` are `columns` long, a multiple of sixteen.
    pub(crate) fn product(left: &[f32], left_stride: usize, inner: usize, right: &[f32], columns: usize, out: &mut [f32]) {
        for (left, out) in left.chunks(4 * left_stride).zip(out.chunks_mut(4 * columns)) {
            // Where fewer than four rows are left, the first stands in; its other sums are not looked at.
            let row = |h: usize| {
                let at = if (h + 1) * left_stride <= left.len() { h * left_stride } else { 0 };
                &left[at..][..inner]
            };
            let rows = [row(0), row(1), row(2), row(3)];
            for column in (0..columns).step_by(LANES) {
                let sums = block(rows, right, columns, column);
                for (sum, out) in sums.iter().zip(out.chunks_exact_mut(columns)) {
                    out[column..][..LANES].copy_from_slice(sum);
                }
            }
        }
    }
}

/// Four rows of a product, sixteen columns.
#[inline(always)]
fn block([a, b, c, d]: [&[f32]; 4], right: &[f32], columns: usize, column: usize) -> [[f32; LANES]; 4] {
    let [mut w, mut x, mut y, mut z] = [[0f32; LANES]; 4];
    for ((((row, a), b), c), d) in right.chunks_exact(columns).zip(a).zip(b).zip(c).zip(d) {
        let Some(values) = row[column..].first_chunk::<LANES>() else { break };
        for lane in 0..LANES {
            w[lane] += a * values[lane];
            x[lane] += b * values[lane];
            y[lane] += c * values[lane];
            z[lane] += d * values[lane];
        }
    }
    [w, x, y, z]
}

vectorised! {
    /// Rounds each row of `width` values to integers in -levels..=levels; `scales[i]` times them gives the row back.
    /// Rows of `out` are `stride >= width` long; what lies beyond `width` is left as it is.
    pub(crate) fn quantise(rows: &[f32], width: usize, levels: f32, out: &mut [i16], stride: usize, scales: &mut [f32]) {
        for ((row, out), scale) in rows.chunks_exact(width).zip(out.chunks_exact_mut(stride)).zip(scales) {
            let top = max_of(row, f32::MIN_POSITIVE, f32::abs);
            let inverse = levels / top;
            *scale = top / levels;
            for (o, v) in out.iter_mut().zip(row) {
                // As in `nearest`: the low 16 bits of the sum are the integer.
                *o = (v * inverse + 12_582_912.0).to_bits() as i16;
            }
        }
    }
}

/// Softmax of a few logits, for people: plain, in f64 inside.
pub fn probabilities(logits: &[f32], temperature: f32) -> Vec<f32> {
    let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f64> = logits.iter().map(|l| f64::from((l - top) / temperature).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.iter().map(|p| (p / sum) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn polynomials_follow_the_real_functions() {
        for i in -8000..8000 {
            let x = i as f32 / 100.0;
            let want = f64::from(x).exp();
            assert!((f64::from(exp(x)) / want - 1.0).abs() < 3e-7, "exp {x}");
            assert!((f64::from(tanh(x)) - f64::from(x).tanh()).abs() < 3e-7, "tanh {x}");
        }
        // erf(0.5), erf(1), erf(2) to nine places.
        for (x, want) in [(0.0, 0.0), (0.5, 0.520_499_9), (1.0, 0.842_700_8), (-2.0, -0.995_322_3), (6.0, 1.0)] {
            assert!((erf(x) - want).abs() < 3e-7, "erf {x}");
        }
    }

    #[test]
    fn every_instruction_set_gives_the_same_bits() {
        let input: Vec<f32> = (0..3 * 53).map(|i| ((i * 7919) % 1000) as f32 / 100.0 - 5.0).collect();
        let run = |isa| {
            let mut rows = input.clone();
            activate(isa, Activation::Gelu, &mut rows);
            layer_norm(isa, &mut rows, 53, &[1.5; 53], &[0.25; 53], 1e-12);
            softmax(isa, &mut rows, 53, 53);
            let (mut integers, mut scales) = (vec![0i16; 3 * 54], vec![0f32; 3]);
            quantise(isa, &rows, 53, 8191.0, &mut integers, 54, &mut scales);
            (rows, integers, scales)
        };
        let plain = run(Isa::PLAIN);
        assert!((plain.0[..53].iter().sum::<f32>() - 1.0).abs() < 1e-5);
        for isa in Isa::available() {
            assert_eq!(run(isa), plain, "{isa:?}");
        }
    }

    #[test]
    fn quantised_rows_come_back() {
        let rows = [0.5f32, -1.0, 0.25, 0.0];
        let (mut out, mut scales) = ([0i16; 4], [0f32; 1]);
        quantise(Isa::PLAIN, &rows, 4, 8191.0, &mut out, 4, &mut scales);
        for (integer, value) in out.iter().zip(rows) {
            assert!((f32::from(*integer) * scales[0] - value).abs() <= scales[0] * 0.5001);
        }
        quantise(Isa::PLAIN, &[0.0; 4], 4, 8191.0, &mut out, 4, &mut scales);
        assert_eq!(out, [0; 4]);
    }
}
