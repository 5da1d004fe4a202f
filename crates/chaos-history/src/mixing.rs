//! The two functions from which every seeded draw and digest of this project is made: written once, because a seed that meant one run
//! must mean it for ever. None of it is meant to be secret.

/// By which the state of SplitMix64 goes on: 2^64 over the golden ratio, odd.
pub const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// SplitMix64's finalizer, a bijection of 64 bits (Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014,
/// with Stafford's constants). The generator's n-th number is that of the seed plus n times [`GOLDEN`].
#[must_use]
pub const fn mix(bits: u64) -> u64 {
    let bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// FNV-1a, 64 bits (Fowler, Noll and Vo).
#[must_use]
pub fn fnv_1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_give_the_published_numbers() {
        assert_eq!(mix(GOLDEN), 0xe220_a839_7b1d_cdaf, "SplitMix64's first number of seed 0");
        assert_eq!(fnv_1a(b"foobar"), 0x8594_4171_f739_67e8);
    }
}
