//! Randomness that never changes: the same seed gives the same numbers on every machine and in every release.
//!
//! Two public-domain generators of a few lines are written out here (SplitMix64 to seed, xoshiro256** to draw)
//! instead of taken from a crate: crates keep their generators stable but not what is drawn from them (ranges,
//! shuffles, choices), and identical rows after a dependency update are a promise of this dataset. Integers only:
//! floating-point functions may differ between platforms.

const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// The SplitMix64 finalizer: every input bit changes every output bit.
pub(crate) fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A number that depends on the seed, a stable name and an index, and on nothing else.
pub(crate) fn hash(seed: u64, stream: &str, index: u64) -> u64 {
    // FNV-1a over the name.
    let name = stream.bytes().fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
    });
    mix(mix(seed.wrapping_add(GOLDEN) ^ name).wrapping_add(index.wrapping_mul(GOLDEN)))
}

/// A stream of random numbers.
#[derive(Debug, Clone)]
pub(crate) struct Rng {
    state: [u64; 4],
}

impl Rng {
    /// The stream `stream` number `index` of a seed. Streams do not depend on each other, so that drawing once
    /// more for one record leaves all other records as they are.
    pub(crate) fn new(seed: u64, stream: &str, index: u64) -> Self {
        let mut z = hash(seed, stream, index);
        let mut next = || {
            z = z.wrapping_add(GOLDEN);
            mix(z)
        };
        Self { state: [next(), next(), next(), next()] }
    }

    /// The next 64 bits.
    pub(crate) fn next(&mut self) -> u64 {
        let s = &mut self.state;
        let result = s[1].wrapping_mul(5).rotate_left(7).wrapping_mul(9);
        let t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = s[3].rotate_left(45);
        result
    }

    /// A number below `n`; 0 if `n` is 0. The bias of the multiplication is below 1 in 10^12 for every range used.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        scale(self.next(), n)
    }

    /// A number between two bounds, both included.
    pub(crate) fn between(&mut self, low: i64, high: i64) -> i64 {
        debug_assert!(low <= high);
        low + self.below((high - low + 1).unsigned_abs()) as i64
    }

    /// An index into something of length `len`.
    pub(crate) fn index(&mut self, len: usize) -> usize {
        self.below(len as u64) as usize
    }

    /// True in `percent` of 100 draws.
    pub(crate) fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of `items`, which must not be empty.
    pub(crate) fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.index(items.len())]
    }

    /// An index, with the probability of its weight.
    pub(crate) fn weighted(&mut self, weights: &[u32]) -> usize {
        weighted(self.next(), weights)
    }

    /// Puts `items` in random order.
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.index(last + 1));
        }
    }
}

fn scale(fraction: u64, n: u64) -> u64 {
    ((u128::from(fraction) * u128::from(n)) >> 64) as u64
}

/// The index that a fraction (of 2^64) falls on when the weights are laid side by side.
pub(crate) fn weighted(fraction: u64, weights: &[u32]) -> usize {
    let total: u64 = weights.iter().map(|&w| u64::from(w)).sum();
    let mut at = scale(fraction, total);
    for (index, &weight) in weights.iter().enumerate() {
        let weight = u64::from(weight);
        if at < weight {
            return index;
        }
        at -= weight;
    }
    weights.len().saturating_sub(1)
}

/// Fractions that fill 0..1 evenly (an additive sequence with the golden ratio): a share of 70 % comes out as 70 %
/// among 50 records already, where independent draws would scatter by 6 points.
#[derive(Debug, Clone)]
pub(crate) struct Even {
    next: u64,
}

impl Even {
    pub(crate) fn new(seed: u64, stream: &str, index: u64) -> Self {
        Self { next: hash(seed, stream, index) }
    }

    /// The next fraction of 2^64.
    pub(crate) fn next(&mut self) -> u64 {
        self.next = self.next.wrapping_add(GOLDEN);
        self.next
    }

    /// An index, with the share of its weight.
    pub(crate) fn weighted(&mut self, weights: &[u32]) -> usize {
        weighted(self.next(), weights)
    }

    /// True for `percent` of 100 draws.
    pub(crate) fn percent(&mut self, percent: u32) -> bool {
        self.weighted(&[percent.min(100), 100 - percent.min(100)]) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_the_same_for_ever() {
        let mut rng = Rng::new(20_260_202, "test", 7);
        let drawn: Vec<u64> = (0..4).map(|_| rng.below(1_000_000)).collect();
        assert_eq!(drawn, FIRST_DRAWS);
    }

    const FIRST_DRAWS: [u64; 4] = [913_386, 251_360, 175_492, 422_807];

    #[test]
    fn even_shares_hold_in_small_numbers() {
        let mut even = Even::new(1, "test", 0);
        let hits = (0..50).filter(|_| even.percent(70)).count();
        assert!((34..=36).contains(&hits), "{hits}");
    }

    #[test]
    fn weights_of_nothing_fall_on_the_last() {
        assert_eq!(weighted(u64::MAX, &[0, 0]), 1);
        assert_eq!(weighted(0, &[0, 5, 1]), 1);
    }
}
