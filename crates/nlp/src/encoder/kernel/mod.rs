//! Inner loops: products of a tile of rows with a panel of sixteen output columns. Which instructions are used is
//! decided once, when a model is loaded, by what the processor has and by a trial against plain Rust.
//!
//! Integer products are exact, so the int8 path gives the same bits on every processor. Each output is summed over
//! the inner dimension in one fixed order, whatever the number of rows, so a text gives the same bits in any batch.

mod isa;
#[cfg(target_arch = "x86_64")]
mod x86;

use isa::Instructions;
pub use isa::Isa;

/// Output columns of a panel.
pub(crate) const PANEL: usize = 16;
/// Rows of the largest tile: with two registers of sums a row, as many as leave room for weights and products among the
/// sixteen registers of AVX2. Six would fit by count, but the compiler then keeps sums in memory.
pub(crate) const ROWS: usize = 4;

/// A trial: the product of small known matrices, every tile height, must equal the plain one bit for bit.
fn agrees(isa: Isa) -> bool {
    const INNER: usize = 22;
    let rows: Vec<i16> = (0..ROWS * INNER).map(|i| ((i * 7919) % 4001) as i16 - 2000).collect();
    let panel: Vec<i8> = (0..PANEL * INNER).map(|i| ((i * 104_729) % 255) as u8 as i8).collect();
    (1..=ROWS).all(|height| {
        let (mut ours, mut plain) = ([0i32; ROWS * PANEL], [0i32; ROWS * PANEL]);
        tile_i16(isa, &rows[..height * INNER], INNER, &panel, &mut ours);
        tile_i16(Isa::PLAIN, &rows[..height * INNER], INNER, &panel, &mut plain);
        ours[..height * PANEL] == plain[..height * PANEL]
    })
}

/// Product of up to [`ROWS`] rows of 16-bit activations with one panel of 8-bit weights.
///
/// `rows`: height x inner, row-major, `inner` even. `panel`: for each pair of inner indices, for each of the sixteen
/// columns, two weights. `out`: height x 16 sums, row-major; what lies beyond is of no meaning.
#[inline]
pub(crate) fn tile_i16(isa: Isa, rows: &[i16], inner: usize, panel: &[i8], out: &mut [i32; ROWS * PANEL]) {
    assert!(
        inner.is_multiple_of(2)
            && panel.len() == inner * PANEL
            && rows.len().is_multiple_of(inner)
            && (1..=ROWS).contains(&(rows.len() / inner))
    );
    match isa.instructions() {
        #[cfg(target_arch = "x86_64")]
        #[expect(unsafe_code, reason = "call of a function compiled for AVX2")]
        // SAFETY: an `Isa` with these instructions proves that the processor has them.
        Instructions::Avx2 => unsafe { x86::i16_avx2(four(rows, inner), panel, out) },
        #[cfg(target_arch = "x86_64")]
        #[expect(unsafe_code, reason = "call of a function compiled for AVX-512")]
        // SAFETY: as above.
        Instructions::Avx512Vnni => unsafe { x86::i16_vnni(four(rows, inner), panel, out) },
        _ => tile_i16_plain(rows, inner, panel, out),
    }
}

/// The rows of a tile; where there are fewer than four, the first stands in, for its sums are not looked at.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn four<T>(rows: &[T], inner: usize) -> [&[T]; ROWS] {
    let row = |h: usize| {
        let at = if (h + 1) * inner <= rows.len() { h * inner } else { 0 };
        &rows[at..][..inner]
    };
    [row(0), row(1), row(2), row(3)]
}

fn tile_i16_plain(rows: &[i16], inner: usize, panel: &[i8], out: &mut [i32; ROWS * PANEL]) {
    for (row, sums) in rows.chunks_exact(inner).zip(out.as_chunks_mut::<PANEL>().0) {
        let mut acc = [0i32; PANEL];
        for (pair, weights) in row.as_chunks::<2>().0.iter().zip(panel.as_chunks::<{ 2 * PANEL }>().0) {
            for (column, sum) in acc.iter_mut().enumerate() {
                let product = i32::from(pair[0]).wrapping_mul(i32::from(weights[2 * column]));
                *sum = sum
                    .wrapping_add(product)
                    .wrapping_add(i32::from(pair[1]).wrapping_mul(i32::from(weights[2 * column + 1])));
            }
        }
        *sums = acc;
    }
}

/// Product of up to [`ROWS`] rows of f32 with one panel of f32 weights.
///
/// `rows`: height x inner. `panel`: for each inner index sixteen weights. `out`: height x 16 sums; what lies beyond is of no meaning.
#[inline]
pub(crate) fn tile_f32(isa: Isa, rows: &[f32], inner: usize, panel: &[f32], out: &mut [f32; ROWS * PANEL]) {
    assert!(
        panel.len() == inner * PANEL && rows.len().is_multiple_of(inner) && (1..=ROWS).contains(&(rows.len() / inner))
    );
    match isa.instructions() {
        #[cfg(target_arch = "x86_64")]
        #[expect(unsafe_code, reason = "call of a function compiled for AVX2")]
        // SAFETY: an `Isa` with these instructions proves that the processor has AVX2 and FMA.
        Instructions::Avx2 | Instructions::Avx512Vnni => unsafe { x86::f32_avx2(four(rows, inner), panel, out) },
        _ => tile_f32_plain(rows, inner, panel, out),
    }
}

fn tile_f32_plain(rows: &[f32], inner: usize, panel: &[f32], out: &mut [f32; ROWS * PANEL]) {
    for (row, sums) in rows.chunks_exact(inner).zip(out.as_chunks_mut::<PANEL>().0) {
        let mut acc = [0f32; PANEL];
        for (value, weights) in row.iter().zip(panel.as_chunks::<PANEL>().0) {
            for (sum, weight) in acc.iter_mut().zip(weights) {
                *sum += value * weight;
            }
        }
        *sums = acc;
    }
}

/// Declares a function over slices whose body is compiled twice: once for every processor, once with AVX2, where the
/// compiler uses wider vectors. The arithmetic is the same (no fused multiply-add), so the results are as well.
macro_rules! vectorised {
    ($(#[$doc:meta])* $vis:vis fn $name:ident($($arg:ident: $kind:ty),* $(,)?) $body:block) => {
        $(#[$doc])*
        $vis fn $name(isa: $crate::encoder::kernel::Isa, $($arg: $kind),*) {
            #[inline(always)]
            fn body($($arg: $kind),*) $body
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2")]
                fn wide($($arg: $kind),*) {
                    body($($arg),*);
                }
                if isa.has_avx2() {
                    #[expect(unsafe_code, reason = "call of a function compiled for AVX2")]
                    // SAFETY: an `Isa` with AVX2 proves that the processor has it.
                    unsafe { wide($($arg),*) };
                    return;
                }
            }
            let _plain = isa;
            body($($arg),*);
        }
    };
}
pub(crate) use vectorised;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_instruction_set_of_this_processor_gives_the_plain_integers() {
        for isa in Isa::available() {
            assert!(agrees(isa), "{isa:?}");
        }
    }

    #[test]
    fn f32_tiles_agree_with_the_plain_ones_and_ignore_the_height() {
        const INNER: usize = 37;
        let rows: Vec<f32> = (0..ROWS * INNER).map(|i| ((i * 7919) % 401) as f32 / 200.0 - 1.0).collect();
        let panel: Vec<f32> = (0..PANEL * INNER).map(|i| ((i * 104_729) % 255) as f32 / 128.0 - 1.0).collect();
        for isa in Isa::available() {
            let (mut whole, mut plain) = ([0f32; ROWS * PANEL], [0f32; ROWS * PANEL]);
            tile_f32(isa, &rows, INNER, &panel, &mut whole);
            tile_f32(Isa::PLAIN, &rows, INNER, &panel, &mut plain);
            assert!(whole.iter().zip(&plain).all(|(a, b)| (a - b).abs() < 1e-4), "{isa:?}");
            for height in 1..ROWS {
                let mut part = [0f32; ROWS * PANEL];
                tile_f32(isa, &rows[..height * INNER], INNER, &panel, &mut part);
                assert_eq!(part[..height * PANEL], whole[..height * PANEL], "{isa:?} height {height}");
            }
        }
    }
}
