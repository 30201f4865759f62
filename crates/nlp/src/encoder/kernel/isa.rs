//! Which vector instructions the inner loops may use. An [`Isa`] is a proof: its field is private to this file, and each
//! but the plain one is made only where the processor was seen to have the instructions, so the calls of code that is
//! compiled for them are sound wherever one is at hand.

/// Instructions that the inner loops may use, on this processor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Isa(Instructions);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(target_arch = "x86_64"), expect(dead_code, reason = "only x86 has choices"))]
pub(super) enum Instructions {
    /// What every processor of the architecture has.
    Plain,
    /// 256-bit integers (AVX2), fused multiply-add.
    Avx2,
    /// The former and 512-bit integers with 16-bit dot products (AVX-512 F, BW, VNNI).
    Avx512Vnni,
}

impl Isa {
    /// What every processor of the architecture has.
    pub const PLAIN: Self = Self(Instructions::Plain);

    /// The best that this processor has and that agrees with plain Rust on a trial product.
    pub fn detect() -> Self {
        Self::available().into_iter().find(|isa| super::agrees(*isa)).unwrap_or(Self::PLAIN)
    }

    /// What this processor has, the best first.
    pub(crate) fn available() -> Vec<Self> {
        #[cfg_attr(not(target_arch = "x86_64"), expect(unused_mut, reason = "only x86 has choices"))]
        let mut found = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
            if avx2
                && is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512vnni")
            {
                found.push(Self(Instructions::Avx512Vnni));
            }
            if avx2 {
                found.push(Self(Instructions::Avx2));
            }
        }
        found.push(Self::PLAIN);
        found
    }

    pub(super) fn instructions(self) -> Instructions {
        self.0
    }

    /// Whether AVX2 is among them.
    pub(crate) fn has_avx2(self) -> bool {
        self != Self::PLAIN
    }
}
