//! The targets over the kept corpora, and over mutations of these from fixed seeds: the part of the fuzzing that runs
//! with every change. `cargo xtask fuzz` searches further.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use fuzz_targets::TARGETS;

/// Mutations of each target, unless the variable says otherwise. Those that open a database get a tenth.
fn mutations() -> u64 {
    let given = std::env::var("DEMO_RESET_FUZZ_MUTATIONS").ok().and_then(|text| text.parse().ok());
    given.unwrap_or(1_000)
}

fn corpus(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.into_iter().map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
}

/// SplitMix64 (Steele, Lea, Flood 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }
}

/// Pieces that mean something to one of the readers.
const PIECES: [&str; 20] = [
    "\"", "'", "`", "]", "\\", "\n", "\0", "{", "}", "[", ":", ",", "null", "-1", "1e999", "é", "\u{202e}",
    ".", "=", "--",
];

/// One of the corpus with a few places changed, or two of them joined.
fn mutated(corpus: &[(PathBuf, Vec<u8>)], random: &mut Random) -> Vec<u8> {
    let mut bytes = corpus[random.below(corpus.len())].1.clone();
    for _ in 0..=random.below(6) {
        let at = random.below(bytes.len() + 1);
        match random.below(6) {
            0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            1 if at < bytes.len() => {
                bytes.remove(at);
            }
            2 => bytes.truncate(at),
            3 => {
                let piece = PIECES[random.below(PIECES.len())].bytes();
                bytes.splice(at..at, piece);
            }
            4 => {
                let other = &corpus[random.below(corpus.len())].1;
                bytes.truncate(at);
                bytes.extend_from_slice(&other[random.below(other.len() + 1)..]);
            }
            _ => bytes.insert(at, random.next() as u8),
        }
    }
    bytes
}

#[test]
fn no_target_fails_on_its_corpus_or_on_mutations_of_it() {
    for (seed, (name, target)) in TARGETS.into_iter().enumerate() {
        let corpus = corpus(name);
        assert!(corpus.len() >= 4, "{name} has a corpus");
        for (path, bytes) in &corpus {
            let outcome = catch_unwind(|| target(bytes));
            assert!(outcome.is_ok(), "{} fails", path.display());
        }
        let opens_a_database = ["identifiers", "snapshots"].contains(&name);
        let count = if opens_a_database { mutations() / 10 } else { mutations() };
        let mut random = Random(seed as u64);
        for n in 0..count {
            let bytes = mutated(&corpus, &mut random);
            let outcome = catch_unwind(AssertUnwindSafe(|| target(&bytes)));
            assert!(outcome.is_ok(), "{name}, mutation {n}: {:?}", String::from_utf8_lossy(&bytes));
        }
    }
}
