//! Whatever the order of things, every call ends exactly once and every reference is given back.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use netref_core::extension::Features;
use netref_core::frame::Compression;
use netref_core::session::Options;
use netref_core::{Dialect, Limits};

use crate::harness::{Line, Outcome, Peer, Random};
use crate::script;

const SCHEDULES: u64 = 100_000;
const STEPS: usize = 200;
/// Rounds in which everything under way comes to its end, many times over.
const ENOUGH: usize = 100_000;

#[test]
fn every_schedule_ends_clean() {
    let replay = std::env::var("NETREF_SEED").ok().map(|seed| seed.parse().unwrap());
    let seeds = replay.map_or(0..SCHEDULES, |seed| seed..seed + 1);
    let threads = std::thread::available_parallelism().map_or(1, |count| count.get() as u64);
    let shares = (0..threads).map(|first| seeds.clone().skip(first as usize).step_by(threads as usize));
    let mut tally = BTreeMap::new();
    std::thread::scope(|scope| {
        let running: Vec<_> = shares.map(|share| scope.spawn(move || run_all(share))).collect();
        for outcomes in running {
            match outcomes.join() {
                Ok(share) => {
                    share.into_iter().for_each(|(way, calls)| *tally.entry(way).or_insert(0) += calls);
                }
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
    });
    // Every way for a call to end is met often, lest the schedules have become dull.
    let often =
        |ways: &BTreeMap<Outcome, u64>| ways.len() == 5 && ways.values().all(|&calls| calls > SCHEDULES / 10);
    assert!(replay.is_some() || often(&tally), "{tally:?}");
}

/// Runs schedules, and counts how the calls in them ended.
fn run_all(seeds: impl Iterator<Item = u64>) -> BTreeMap<Outcome, u64> {
    let mut tally = BTreeMap::new();
    for seed in seeds {
        match catch_unwind(AssertUnwindSafe(|| Pair::new(seed).run())) {
            Ok(outcomes) => outcomes.into_iter().for_each(|way| *tally.entry(way).or_insert(0) += 1),
            Err(_) => panic!("schedule {seed} failed, see above; NETREF_SEED={seed} runs it alone"),
        }
    }
    tally
}

/// Two connected peers.
struct Pair {
    random: Random,
    peers: [Peer; 2],
    /// `lines[i]` carries what peer `i` sends.
    lines: [Line; 2],
    now: u64,
    cut: bool,
}

impl Pair {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let dialect = if random.once_in(2) { Dialect::V5 } else { Dialect::V6 };
        let told = random.once_in(4).then_some(dialect);
        let calls = random.below(8);
        let peers = [peer(Some(dialect), 2 + random.below(8), &mut random), peer(told, calls, &mut random)];
        let lines = [100, 1 + random.below(2000)].map(Line::new);
        Self { random, peers, lines, now: 0, cut: false }
    }

    /// Runs the schedule and returns how each call ended.
    fn run(mut self) -> Vec<Outcome> {
        let cut_at = if self.random.once_in(3) { self.random.below(STEPS) } else { usize::MAX };
        for step in 0..STEPS {
            if step == cut_at {
                self.cut();
            }
            self.step();
        }
        self.settle();
        for peer in &self.peers {
            assert!(!peer.is_waiting(), "a call never ended");
        }
        for peer in &mut self.peers {
            peer.held.clear();
        }
        self.settle();
        self.peers.iter().for_each(check_clean);
        self.peers.iter().flat_map(|peer| peer.calls.values()).filter_map(|call| call.outcome).collect()
    }

    /// Anything happens.
    fn step(&mut self) {
        let which = self.random.below(2);
        let peer = &mut self.peers[which];
        match self.random.below(10) {
            0 | 1 => self.deliver(),
            2 | 3 => peer.flush(&mut self.lines[which], self.now, &mut self.random),
            // The acceptor does not know the dialect before it is spoken to.
            4 if peer.calls_to_make > 0 && peer.side.session.borrow().dialect().is_some() => {
                script::call(peer, None, &mut self.random);
            }
            5 => drop(self.random.take(&mut peer.held)),
            6 if self.random.once_in(3) => peer.time_out(&mut self.random),
            _ => peer.work(&mut self.random),
        }
        if self.cut {
            self.lines.iter_mut().for_each(Line::cut);
        }
    }

    /// The next bytes that arrive anywhere; time passes until then.
    fn deliver(&mut self) {
        let next = (0..2).filter_map(|from| Some((self.lines[from].next_arrival()?, from))).min();
        if let Some((time, from)) = next {
            self.now = self.now.max(time);
            let bytes = self.lines[from].arrive(&mut self.random);
            self.peers[1 - from].receive(&bytes);
        }
    }

    /// The link dies with whatever is under way, perhaps in the middle of a frame.
    fn cut(&mut self) {
        self.cut = true;
        self.lines.iter_mut().for_each(Line::cut);
        for peer in &mut self.peers {
            peer.lose_connection(&mut self.random);
        }
    }

    /// Lets everything under way come to its end.
    fn settle(&mut self) {
        for _ in 0..ENOUGH {
            for which in [0, 1] {
                let peer = &mut self.peers[which];
                peer.drop_garbage();
                peer.work(&mut self.random);
                peer.flush(&mut self.lines[which], self.now, &mut self.random);
            }
            if self.cut {
                self.lines.iter_mut().for_each(Line::cut);
            }
            self.deliver();
            let quiet = self.lines.iter().all(|line| line.next_arrival().is_none());
            if quiet && self.peers.iter().all(Peer::is_idle) {
                self.peers.iter_mut().for_each(Peer::drop_garbage);
                return;
            }
        }
        panic!("something is under way for ever: {:?}", self.peers);
    }
}

fn peer(dialect: Option<Dialect>, calls: usize, random: &mut Random) -> Peer {
    let mut limits = Limits::default();
    if random.once_in(5) {
        limits.max_exported = 1 + random.below(6);
    }
    if random.once_in(5) {
        limits.max_backlog = random.below(1000);
    }
    if random.once_in(5) {
        limits.max_call_depth = 1 + random.below(4);
    }
    let features = match random.below(4) {
        0 => Features::NONE,
        1 => Features {
            chain: random.once_in(2),
            quiet_del: random.once_in(2),
            ahead: random.once_in(2),
            copies: random.once_in(2),
            descriptions: random.once_in(2),
        },
        _ => Features::ALL,
    };
    Peer::new(
        Options { limits, dialect, compression: Compression::Auto, features, ..Options::default() },
        calls,
    )
}

fn check_clean(peer: &Peer) {
    let mut session = peer.side.session.borrow_mut();
    let lent: Vec<_> = session.exports().iter().map(|(pack, count)| format!("{pack:?} x {count}")).collect();
    assert!(lent.is_empty(), "still lent: {lent:?}");
    assert_eq!(session.inflight(), 0, "unanswered requests");
    assert!(session.has_ended() || !session.awaits_reply(), "a reply is awaited for ever");
    assert!(session.has_ended() || session.releases().is_empty());
    // Classes are kept until the end.
    let ended = session.end();
    assert!(ended.tokens.is_empty(), "calls are left: {:?}", ended.tokens);
    drop(ended);
    assert_eq!(peer.side.alive(), 0, "objects are left");
}
