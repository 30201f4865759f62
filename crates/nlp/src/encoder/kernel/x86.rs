//! Tiles for x86-64. Each function is called only where the processor has the instructions it is compiled for. Slices are
//! indexed, not pointed into: the compiler finds the checks superfluous, and with debug assertions a raw read would be
//! checked at every step.

use super::{PANEL, ROWS};
use std::arch::x86_64::*;
use std::mem::transmute;

pub(super) fn tile_i16_avx2(rows: &[i16], inner: usize, panel: &[i8], out: &mut [i32; ROWS * PANEL]) {
    #[expect(unsafe_code, reason = "vector instructions")]
    // SAFETY: chosen only where the processor has AVX2.
    unsafe {
        i16_avx2(four(rows, inner), panel, out);
    }
}

pub(super) fn tile_i16_vnni(rows: &[i16], inner: usize, panel: &[i8], out: &mut [i32; ROWS * PANEL]) {
    #[expect(unsafe_code, reason = "vector instructions")]
    // SAFETY: chosen only where the processor has AVX-512 F, BW and VNNI.
    unsafe {
        i16_vnni(four(rows, inner), panel, out);
    }
}

pub(super) fn tile_f32_avx2(rows: &[f32], inner: usize, panel: &[f32], out: &mut [f32; ROWS * PANEL]) {
    #[expect(unsafe_code, reason = "vector instructions")]
    // SAFETY: chosen only where the processor has AVX2 and FMA.
    unsafe {
        f32_avx2(four(rows, inner), panel, out);
    }
}

/// The rows of a tile; where there are fewer than four, the first stands in, for its sums are not looked at.
#[inline(always)]
fn four<T>(rows: &[T], inner: usize) -> [&[T]; ROWS] {
    let row = |h: usize| {
        let at = if (h + 1) * inner <= rows.len() { h * inner } else { 0 };
        &rows[at..][..inner]
    };
    [row(0), row(1), row(2), row(3)]
}

/// `vpmaddwd`: sixteen products of 16 bits a register, summed in pairs to 32 bits. Two registers cover the panel.
///
/// # Safety
/// AVX2.
#[expect(unsafe_code, reason = "vector instructions")]
#[target_feature(enable = "avx2")]
unsafe fn i16_avx2(rows: [&[i16]; ROWS], panel: &[i8], out: &mut [i32; ROWS * PANEL]) {
    let mut sums = [[_mm256_setzero_si256(); 2]; ROWS];
    let [a, b, c, d] = rows;
    let (a, b, c, d) = (a.as_chunks::<2>().0, b.as_chunks::<2>().0, c.as_chunks::<2>().0, d.as_chunks::<2>().0);
    let weights = panel.as_chunks::<{ 2 * PANEL }>().0;
    for ((((weights, a), b), c), d) in weights.iter().zip(a).zip(b).zip(c).zip(d) {
        // SAFETY: 32 bytes are two registers of sixteen.
        let [low, high] = unsafe { transmute::<[i8; 2 * PANEL], [__m128i; 2]>(*weights) };
        let (low, high) = (_mm256_cvtepi8_epi16(low), _mm256_cvtepi8_epi16(high));
        for (sum, pair) in sums.iter_mut().zip([a, b, c, d]) {
            let values = _mm256_set1_epi32(both(*pair));
            sum[0] = _mm256_add_epi32(sum[0], _mm256_madd_epi16(low, values));
            sum[1] = _mm256_add_epi32(sum[1], _mm256_madd_epi16(high, values));
        }
    }
    // SAFETY: eight registers of eight sums are four rows of sixteen.
    *out = unsafe { transmute::<[[__m256i; 2]; ROWS], [i32; ROWS * PANEL]>(sums) };
}

/// `vpdpwssd`: as above with one register for the panel and the sum in the same instruction. Two sums a row, for even
/// and odd pairs, hide its latency.
///
/// # Safety
/// AVX-512 F, BW and VNNI.
#[expect(unsafe_code, reason = "vector instructions")]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
unsafe fn i16_vnni(rows: [&[i16]; ROWS], panel: &[i8], out: &mut [i32; ROWS * PANEL]) {
    let mut sums = [[_mm512_setzero_si512(); 2]; ROWS];
    let [a, b, c, d] = rows;
    let (a, b, c, d) = (a.as_chunks::<2>().0, b.as_chunks::<2>().0, c.as_chunks::<2>().0, d.as_chunks::<2>().0);
    let weights = panel.as_chunks::<{ 2 * PANEL }>().0;
    for (i, ((((weights, a), b), c), d)) in weights.iter().zip(a).zip(b).zip(c).zip(d).enumerate() {
        // SAFETY: 32 bytes are one register of 32.
        let weights = _mm512_cvtepi8_epi16(unsafe { transmute::<[i8; 2 * PANEL], __m256i>(*weights) });
        for (sum, pair) in sums.iter_mut().zip([a, b, c, d]) {
            let values = _mm512_set1_epi32(both(*pair));
            sum[i & 1] = _mm512_dpwssd_epi32(sum[i & 1], weights, values);
        }
    }
    let [a, b, c, d] = sums;
    let sums = [
        _mm512_add_epi32(a[0], a[1]),
        _mm512_add_epi32(b[0], b[1]),
        _mm512_add_epi32(c[0], c[1]),
        _mm512_add_epi32(d[0], d[1]),
    ];
    // SAFETY: four registers of sixteen sums are four rows.
    *out = unsafe { transmute::<[__m512i; ROWS], [i32; ROWS * PANEL]>(sums) };
}

/// Two values as one, for a register that repeats them.
#[inline(always)]
fn both(pair: [i16; 2]) -> i32 {
    i32::from(pair[0]) & 0xffff | i32::from(pair[1]) << 16
}

/// Fused multiply-add, two registers of eight for the panel.
///
/// # Safety
/// AVX2 and FMA.
#[expect(unsafe_code, reason = "vector instructions")]
#[target_feature(enable = "avx2,fma")]
unsafe fn f32_avx2(rows: [&[f32]; ROWS], panel: &[f32], out: &mut [f32; ROWS * PANEL]) {
    let mut sums = [[_mm256_setzero_ps(); 2]; ROWS];
    let [a, b, c, d] = rows;
    for ((((weights, a), b), c), d) in panel.as_chunks::<PANEL>().0.iter().zip(a).zip(b).zip(c).zip(d) {
        // SAFETY: sixteen values are two registers of eight.
        let [low, high] = unsafe { transmute::<[f32; PANEL], [__m256; 2]>(*weights) };
        for (sum, value) in sums.iter_mut().zip([a, b, c, d]) {
            let value = _mm256_set1_ps(*value);
            sum[0] = _mm256_fmadd_ps(low, value, sum[0]);
            sum[1] = _mm256_fmadd_ps(high, value, sum[1]);
        }
    }
    // SAFETY: eight registers of eight sums are four rows of sixteen.
    *out = unsafe { transmute::<[[__m256; 2]; ROWS], [f32; ROWS * PANEL]>(sums) };
}
