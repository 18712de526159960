use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// This process, as [`follow_forks`] last saw it; 0 if nobody tells.
static KNOWN: AtomicU32 = AtomicU32::new(0);

/// Spares every call the question which process this is. Whoever calls this once must call it again in every forked child,
/// before anything else here is used there.
pub fn follow_forks() {
    KNOWN.store(std::process::id(), Ordering::Relaxed);
}

/// The process that this is.
pub(crate) fn id() -> u32 {
    match KNOWN.load(Ordering::Relaxed) {
        0 => std::process::id(),
        known => known,
    }
}

/// What a process has one of. A forked child gets a fresh one, and never touches its parent's, in which threads that the
/// child does not have may have held a lock.
pub(crate) struct PerProcess<T: 'static> {
    first: OnceLock<Generation<T>>,
}

struct Generation<T: 'static> {
    process: u32,
    value: T,
    /// That of a child.
    next: OnceLock<Box<Generation<T>>>,
}

impl<T: Default> PerProcess<T> {
    pub(crate) const fn new() -> Self {
        Self { first: OnceLock::new() }
    }

    /// This process's, made by the first that asks. None must be in the middle of that when the process forks.
    pub(crate) fn get(&self) -> &T {
        let process = id();
        let mut generation = self.first.get_or_init(|| Generation::new(process));
        while generation.process != process {
            generation = generation.next.get_or_init(|| Box::new(Generation::new(process)));
        }
        &generation.value
    }
}

impl<T: Default> Generation<T> {
    fn new(process: u32) -> Self {
        Self { process, value: T::default(), next: OnceLock::new() }
    }
}
