//! Tiles for x86-64. The caller (`kernel::tile_*`) has checked the sizes of all slices; each function is called only
//! where the processor has the instructions it is compiled for.

use super::{PANEL, ROWS};
use std::arch::x86_64::*;

/// Calls a tile function with its height as a constant, so that its sums stay in registers.
macro_rules! by_height {
    ($tile:ident, $rows:ident, $inner:ident, $panel:ident, $out:ident) => {{
        let height = $rows.len() / $inner;
        assert!(height <= ROWS);
        #[expect(unsafe_code, reason = "vector instructions")]
        // SAFETY: the sizes were checked by the caller and above; the instructions by the choice of `Isa`.
        unsafe {
            match height {
                6 => $tile::<6>($rows, $inner, $panel, $out),
                5 => $tile::<5>($rows, $inner, $panel, $out),
                4 => $tile::<4>($rows, $inner, $panel, $out),
                3 => $tile::<3>($rows, $inner, $panel, $out),
                2 => $tile::<2>($rows, $inner, $panel, $out),
                1 => $tile::<1>($rows, $inner, $panel, $out),
                _ => {}
            }
        }
    }};
}

pub(super) fn tile_i16_avx2(rows: &[i16], inner: usize, panel: &[i8], out: &mut [i32; ROWS * PANEL]) {
    by_height!(i16_avx2, rows, inner, panel, out);
}

pub(super) fn tile_i16_vnni(rows: &[i16], inner: usize, panel: &[i8], out: &mut [i32; ROWS * PANEL]) {
    by_height!(i16_vnni, rows, inner, panel, out);
}

pub(super) fn tile_f32_avx2(rows: &[f32], inner: usize, panel: &[f32], out: &mut [f32; ROWS * PANEL]) {
    by_height!(f32_avx2, rows, inner, panel, out);
}

/// `vpmaddwd`: sixteen products of 16 bits a register, summed in pairs to 32 bits. Two registers cover the panel.
///
/// # Safety
/// AVX2; `rows` holds H x inner values, `panel` 16 x inner, `inner` is even.
#[expect(unsafe_code, reason = "vector instructions")]
#[target_feature(enable = "avx2")]
unsafe fn i16_avx2<const H: usize>(rows: &[i16], inner: usize, panel: &[i8], out: &mut [i32; ROWS * PANEL]) {
    let mut sums = [[_mm256_setzero_si256(); 2]; H];
    let (row, weights) = (rows.as_ptr(), panel.as_ptr());
    for pair in 0..inner / 2 {
        // SAFETY: 32 bytes of panel a pair; two values of each row a pair.
        unsafe {
            let low = _mm256_cvtepi8_epi16(_mm_loadu_si128(weights.add(32 * pair).cast()));
            let high = _mm256_cvtepi8_epi16(_mm_loadu_si128(weights.add(32 * pair + 16).cast()));
            for (h, sum) in sums.iter_mut().enumerate() {
                let values = _mm256_set1_epi32(row.add(h * inner + 2 * pair).cast::<i32>().read_unaligned());
                sum[0] = _mm256_add_epi32(sum[0], _mm256_madd_epi16(low, values));
                sum[1] = _mm256_add_epi32(sum[1], _mm256_madd_epi16(high, values));
            }
        }
    }
    for (h, sum) in sums.iter().enumerate() {
        // SAFETY: `out` holds ROWS x 16 sums and H <= ROWS.
        unsafe {
            _mm256_storeu_si256(out.as_mut_ptr().add(PANEL * h).cast(), sum[0]);
            _mm256_storeu_si256(out.as_mut_ptr().add(PANEL * h + 8).cast(), sum[1]);
        }
    }
}

/// `vpdpwssd`: as above with one register for the panel and the sum in the same instruction. Two sums a row, for even
/// and odd pairs, hide its latency.
///
/// # Safety
/// AVX-512 F, BW and VNNI; `rows` holds H x inner values, `panel` 16 x inner, `inner` is even.
#[expect(unsafe_code, reason = "vector instructions")]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
unsafe fn i16_vnni<const H: usize>(rows: &[i16], inner: usize, panel: &[i8], out: &mut [i32; ROWS * PANEL]) {
    let mut sums = [[_mm512_setzero_si512(); 2]; H];
    let (row, weights) = (rows.as_ptr(), panel.as_ptr());
    for pair in 0..inner / 2 {
        // SAFETY: 32 bytes of panel a pair; two values of each row a pair.
        unsafe {
            let columns = _mm512_cvtepi8_epi16(_mm256_loadu_si256(weights.add(32 * pair).cast()));
            for (h, sum) in sums.iter_mut().enumerate() {
                let values = _mm512_set1_epi32(row.add(h * inner + 2 * pair).cast::<i32>().read_unaligned());
                sum[pair % 2] = _mm512_dpwssd_epi32(sum[pair % 2], columns, values);
            }
        }
    }
    for (h, sum) in sums.iter().enumerate() {
        // SAFETY: `out` holds ROWS x 16 sums and H <= ROWS.
        unsafe { _mm512_storeu_si512(out.as_mut_ptr().add(PANEL * h).cast(), _mm512_add_epi32(sum[0], sum[1])) };
    }
}

/// Fused multiply-add, two registers of eight for the panel.
///
/// # Safety
/// AVX2 and FMA; `rows` holds H x inner values, `panel` 16 x inner.
#[expect(unsafe_code, reason = "vector instructions")]
#[target_feature(enable = "avx2,fma")]
unsafe fn f32_avx2<const H: usize>(rows: &[f32], inner: usize, panel: &[f32], out: &mut [f32; ROWS * PANEL]) {
    let mut sums = [[_mm256_setzero_ps(); 2]; H];
    let (row, weights) = (rows.as_ptr(), panel.as_ptr());
    for k in 0..inner {
        // SAFETY: sixteen values of panel and one of each row an index.
        unsafe {
            let low = _mm256_loadu_ps(weights.add(PANEL * k));
            let high = _mm256_loadu_ps(weights.add(PANEL * k + 8));
            for (h, sum) in sums.iter_mut().enumerate() {
                let value = _mm256_set1_ps(*row.add(h * inner + k));
                sum[0] = _mm256_fmadd_ps(low, value, sum[0]);
                sum[1] = _mm256_fmadd_ps(high, value, sum[1]);
            }
        }
    }
    for (h, sum) in sums.iter().enumerate() {
        // SAFETY: `out` holds ROWS x 16 sums and H <= ROWS.
        unsafe {
            _mm256_storeu_ps(out.as_mut_ptr().add(PANEL * h), sum[0]);
            _mm256_storeu_ps(out.as_mut_ptr().add(PANEL * h + 8), sum[1]);
        }
    }
}
