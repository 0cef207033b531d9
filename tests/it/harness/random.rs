//! Chance that can be had again: numbers from a seed, which is printed.

use std::time::{SystemTime, UNIX_EPOCH};

use super::binaries::variable;

/// SplitMix64.
pub struct Random(u64);

impl Random {
    /// `LATTICE_TEST_SEED`, or a new seed; printed, so that a failure can be repeated.
    pub fn seeded() -> Self {
        let given = variable("LATTICE_TEST_SEED").map(|text| {
            text.to_str().and_then(|text| text.parse().ok()).expect("LATTICE_TEST_SEED is a number")
        });
        let clock = || {
            let now =
                SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is after 1970");
            u64::from(now.subsec_nanos()) ^ now.as_secs()
        };
        let seed = given.unwrap_or_else(clock);
        println!("LATTICE_TEST_SEED={seed} repeats this");
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Less than `limit`.
    pub fn below(&mut self, limit: usize) -> usize {
        let limit = u64::try_from(limit).expect("a usize is no more than 64 bits");
        usize::try_from(self.next() % limit).expect("it is less than a usize")
    }

    /// Once in so many times.
    pub fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    pub fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }

    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}
