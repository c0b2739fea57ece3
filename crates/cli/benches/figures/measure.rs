//! Samples, medians, and how they are taken in turns.

use std::fmt;
use std::time::{Duration, Instant};

/// The smallest of some values, in their order, that `percent` of them do not exceed.
pub(crate) fn nearest_rank<T: Copy + Default>(sorted: &[T], percent: usize) -> T {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

/// Durations of one kind of work.
#[derive(Debug, Clone, Default)]
pub(crate) struct Samples(Vec<Duration>);

impl Samples {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Takes those of another in.
    pub(crate) fn extend(&mut self, other: &Self) {
        self.0.extend_from_slice(&other.0);
    }

    pub(crate) fn push(&mut self, sample: Duration) {
        self.0.push(sample);
    }

    /// The smallest sample that `percent` of the samples do not exceed.
    pub(crate) fn percentile(&self, percent: usize) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        nearest_rank(&sorted, percent)
    }

    pub(crate) fn median(&self) -> Duration {
        self.percentile(50)
    }

    /// How many times as long as `reference` this takes. Of what was measured in turns, each turn has its ratio, and this is
    /// their median: a busy moment of the machine, which both of a turn meet, counts for neither. Of others it is that of the
    /// medians.
    pub(crate) fn ratio_to(&self, reference: &Self) -> f64 {
        let ratio = |work: Duration, reference: Duration| {
            work.as_secs_f64() / reference.as_secs_f64().max(f64::MIN_POSITIVE)
        };
        if self.len() != reference.len() {
            return ratio(self.median(), reference.median());
        }
        let turns = self.0.iter().zip(&reference.0);
        let mut ratios: Vec<f64> = turns.map(|(work, reference)| ratio(*work, *reference)).collect();
        ratios.sort_unstable_by(f64::total_cmp);
        nearest_rank(&ratios, 50)
    }
}

/// The samples of two kinds of work that are compared.
#[derive(Debug, Clone, Default)]
pub(crate) struct Compared(pub(crate) [Samples; 2]);

impl Compared {
    /// Takes more of both in.
    pub(crate) fn extend(&mut self, more: [Samples; 2]) {
        self.0.iter_mut().zip(&more).for_each(|(all, more)| all.extend(more));
    }
}

/// `103 µs (98-140)`: the median with the 10th and 90th percentile.
impl fmt::Display for Samples {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, per_second) = match self.median().as_micros() {
            0..10_000 => ("µs", 1e6),
            10_000..10_000_000 => ("ms", 1e3),
            _ => ("s", 1.0),
        };
        let shown = |duration: Duration| format!("{:.0}", duration.as_secs_f64() * per_second);
        let [low, median, high] = [10, 50, 90].map(|percent| shown(self.percentile(percent)));
        write!(f, "{median} {unit} ({low}-{high}, n={})", self.0.len())
    }
}

/// How long `work` takes.
pub(crate) fn time<T, E>(work: impl FnOnce() -> Result<T, E>) -> Result<Duration, E> {
    let started = Instant::now();
    work()?;
    Ok(started.elapsed())
}

/// How long the program rests before what takes microseconds is measured: as in a server, to which such requests come now and
/// then. Right after its like the same work takes a tenth of the time, from the processor's caches alone; from a few
/// milliseconds on they have lost it, whatever else the program does (docs/performance.md, "Reset").
const REST: Duration = Duration::from_millis(20);

/// Rests, and then measures how long `work` takes.
pub(crate) fn time_after_rest<T, E>(work: impl FnOnce() -> Result<T, E>) -> Result<Duration, E> {
    std::thread::sleep(REST);
    time(work)
}

/// One of several kinds of work that are measured in turns.
pub(crate) type Work<'a> = &'a mut dyn FnMut() -> anyhow::Result<Duration>;

/// Measures all kinds of work in turns: `warm_up` rounds that do not count, then `rounds` that do. Each round has an order
/// of its own, so that none always follows the same other: what follows unlike work finds the processor's caches cold.
pub(crate) fn in_turns<const N: usize>(
    warm_up: usize,
    rounds: usize,
    mut work: [Work<'_>; N],
) -> anyhow::Result<[Samples; N]> {
    let samples = all_in_turns(warm_up, rounds, &mut work, &mut Random::new(0))?;
    let mut samples = samples.into_iter();
    Ok(std::array::from_fn(|_| samples.next().unwrap_or_default()))
}

/// [`in_turns`] of as many kinds of work as there are, in orders that are taken from `random`.
pub(crate) fn all_in_turns(
    warm_up: usize,
    rounds: usize,
    work: &mut [Work<'_>],
    random: &mut Random,
) -> anyhow::Result<Vec<Samples>> {
    let mut samples = vec![Samples::default(); work.len()];
    let mut order: Vec<usize> = (0..work.len()).collect();
    for round in 0..warm_up + rounds {
        random.shuffle(&mut order);
        for &index in &order {
            let took = work[index]()?;
            if round >= warm_up {
                samples[index].push(took);
            }
        }
    }
    Ok(samples)
}

/// Measures several worlds, or kinds of work, in blocks: in each, one after the other has its share, in another order each
/// time. Within its share the processor's caches stay with one world, as in a server. Over minutes a machine changes how fast
/// it is by more than the worlds differ; so all of them meet it alike.
pub(crate) fn in_blocks<T>(
    blocks: usize,
    worlds: &mut [T],
    mut measure_share: impl FnMut(&mut T, &mut Random) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut random = Random::new(0);
    let mut order: Vec<&mut T> = worlds.iter_mut().collect();
    for _ in 0..blocks {
        random.shuffle(&mut order);
        for world in &mut order {
            measure_share(world, &mut random)?;
        }
    }
    Ok(())
}

/// A small generator of numbers, the same in each run: a xorshift.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        // Zero would stay zero.
        Self(0x9e37_79b9_7f4a_7c15 ^ (seed + 1))
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit.max(1) as u64) as usize
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

/// How much is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effort {
    /// Everything; what is committed.
    Whole,
    /// Fewer rounds of fewer settings, for every day.
    Quick,
}

impl Effort {
    /// So many rounds, or a fifth of them.
    pub(crate) fn rounds(self, whole: usize) -> usize {
        match self {
            Self::Whole => whole,
            Self::Quick => whole.div_ceil(5),
        }
    }

    /// All of these, or the first few.
    pub(crate) fn some<T>(self, all: &[T], quick: usize) -> &[T] {
        match self {
            Self::Whole => all,
            Self::Quick => &all[..quick.min(all.len())],
        }
    }
}
