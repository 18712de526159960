//! The fuzz targets, on a stable compiler and without libFuzzer: each runs on its corpus, and then on what a simple mutator makes of
//! that, for a second or for `NETREF_FUZZ_SECONDS`. `fuzz/README.md` has the real thing.

#![allow(clippy::unwrap_used, unreachable_pub, missing_docs, reason = "a test")]
#![allow(clippy::duplicate_mod, reason = "each target is a program of its own elsewhere")]

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

#[path = "core/memory.rs"]
mod memory;

/// What one input may take at one time: the strict limits allow 16 MiB for decoding, and inputs are small.
const MOST_MEMORY: usize = 64 << 20;
/// Longest input.
const LONGEST: usize = 4096;

macro_rules! targets {
    ($($name:ident: $path:literal),+ $(,)?) => {
        $(
            #[path = $path]
            mod $name;

            #[test]
            fn $name() {
                fuzz(stringify!($name), $name::run);
            }
        )+
    };
}

targets! {
    brine_decode: "../../../fuzz/targets/brine_decode.rs",
    brine_roundtrip: "../../../fuzz/targets/brine_roundtrip.rs",
    deframe: "../../../fuzz/targets/deframe.rs",
    exception_load: "../../../fuzz/targets/exception_load.rs",
    inflate: "../../../fuzz/targets/inflate.rs",
    message: "../../../fuzz/targets/message.rs",
    registry: "../../../fuzz/targets/registry.rs",
    session: "../../../fuzz/targets/session.rs",
}

fn fuzz(target: &str, run: fn(&[u8])) {
    let seconds = std::env::var("NETREF_FUZZ_SECONDS").map_or(1.0, |seconds| seconds.parse().unwrap());
    let end = Instant::now() + Duration::from_secs_f64(seconds);
    let corpus = corpus(target);
    assert!(!corpus.is_empty(), "there is no corpus for {target}");
    for input in &corpus {
        check(target, input, run);
    }
    let mut dice = Dice(std::process::id().into());
    let mut runs = corpus.len();
    while Instant::now() < end {
        for _ in 0..20 {
            check(target, &mutated(&corpus, &mut dice), run);
            runs += 1;
        }
    }
    println!("{target}: {runs} runs");
}

/// Runs a target on one input. A finding shows the input, to be put into the corpus and into a test of its own.
fn check(target: &str, input: &[u8], run: fn(&[u8])) {
    let (outcome, peak) = memory::peak(|| catch_unwind(AssertUnwindSafe(|| run(input))));
    if let Err(panic) = outcome {
        let hex: String = input.iter().map(|byte| format!("{byte:02x}")).collect();
        println!("{target} fails on {hex}");
        resume_unwind(panic);
    }
    assert!(peak < MOST_MEMORY, "{target} takes {peak} bytes on {input:02x?}");
}

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let files = std::fs::read_dir(&folder).unwrap();
    let mut inputs: Vec<_> = files.map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect();
    inputs.sort();
    inputs
}

/// One input of the corpus with a few changes.
fn mutated(corpus: &[Vec<u8>], dice: &mut Dice) -> Vec<u8> {
    let mut input = corpus[dice.roll(corpus.len())].clone();
    for _ in 0..=dice.roll(4) {
        let at = dice.roll(input.len() + 1);
        match dice.roll(7) {
            0 if at < input.len() => input[at] ^= 1 << dice.roll(8),
            1 if at < input.len() => input[at] = dice.next() as u8,
            2 => input.insert(at, dice.next() as u8),
            3 if at < input.len() => drop(input.drain(at..input.len().min(at + 1 + dice.roll(8)))),
            4 => {
                let other = &corpus[dice.roll(corpus.len())];
                let from = dice.roll(other.len() + 1);
                input.truncate(at);
                input.extend_from_slice(&other[from..]);
            }
            5 => {
                let piece: Vec<u8> = input[at..].iter().copied().take(1 + dice.roll(32)).collect();
                input.splice(at..at, piece);
            }
            _ => {
                const NUMBERS: [u32; 8] = [0, 1, 255, 256, 65_535, 1 << 24, i32::MAX as u32, u32::MAX];
                input.splice(at..at, NUMBERS[dice.roll(NUMBERS.len())].to_be_bytes());
            }
        }
    }
    input.truncate(LONGEST);
    input
}

/// Random numbers, good enough to choose by.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed ^ (mixed >> 27)
    }

    fn roll(&mut self, sides: usize) -> usize {
        (self.next() >> 16) as usize % sides
    }
}
