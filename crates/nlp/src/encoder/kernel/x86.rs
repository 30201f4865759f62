//! Tiles for x86-64. Each function may be called only where the processor has the instructions it is compiled for. Slices are
//! indexed, not pointed into: the compiler finds the checks superfluous, and with debug assertions a raw read would be
//! checked at every step.

use super::{PANEL, ROWS};
use std::arch::x86_64::*;
use std::mem::transmute;

/// `vpmaddwd`: sixteen products of 16 bits a register, summed in pairs to 32 bits. Two registers cover the panel.
///
/// # Safety
/// AVX2.
#[expect(unsafe_code, reason = "vector instructions")]
#[target_feature(enable = "avx2")]
pub(super) unsafe fn i16_avx2(rows: [&[i16]; ROWS], panel: &[i8], out: &mut [i32; ROWS * PANEL]) {
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
/// and odd pairs, hide its latency; each has a name of its own, for sums that are chosen by an index live in memory.
///
/// # Safety
/// AVX-512 F, BW and VNNI.
#[expect(unsafe_code, reason = "vector instructions")]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub(super) unsafe fn i16_vnni(rows: [&[i16]; ROWS], panel: &[i8], out: &mut [i32; ROWS * PANEL]) {
    let (mut even, mut odd) = ([_mm512_setzero_si512(); ROWS], [_mm512_setzero_si512(); ROWS]);
    let [(a, a_last), (b, b_last), (c, c_last), (d, d_last)] = rows.map(|row| row.as_chunks::<4>());
    let (weights, last) = panel.as_chunks::<{ 4 * PANEL }>();
    for ((((weights, a), b), c), d) in weights.iter().zip(a).zip(b).zip(c).zip(d) {
        // SAFETY: 64 bytes are two registers of 32.
        let [first, second] = unsafe { transmute::<[i8; 4 * PANEL], [__m256i; 2]>(*weights) };
        let (first, second) = (_mm512_cvtepi8_epi16(first), _mm512_cvtepi8_epi16(second));
        for ((even, odd), values) in even.iter_mut().zip(&mut odd).zip([a, b, c, d]) {
            let [v, w, x, y] = *values;
            *even = _mm512_dpwssd_epi32(*even, first, _mm512_set1_epi32(both([v, w])));
            *odd = _mm512_dpwssd_epi32(*odd, second, _mm512_set1_epi32(both([x, y])));
        }
    }
    if let [weights] = last.as_chunks::<{ 2 * PANEL }>().0 {
        // SAFETY: 32 bytes are one register of 32.
        let weights = _mm512_cvtepi8_epi16(unsafe { transmute::<[i8; 2 * PANEL], __m256i>(*weights) });
        for (sum, values) in even.iter_mut().zip([a_last, b_last, c_last, d_last]) {
            if let [x, y] = *values {
                *sum = _mm512_dpwssd_epi32(*sum, weights, _mm512_set1_epi32(both([x, y])));
            }
        }
    }
    for (even, odd) in even.iter_mut().zip(odd) {
        *even = _mm512_add_epi32(*even, odd);
    }
    // SAFETY: four registers of sixteen sums are four rows.
    *out = unsafe { transmute::<[__m512i; ROWS], [i32; ROWS * PANEL]>(even) };
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
pub(super) unsafe fn f32_avx2(rows: [&[f32]; ROWS], panel: &[f32], out: &mut [f32; ROWS * PANEL]) {
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
