//! Compares this clock with the server's, then has the server call a function of ours at every tick.
//!
//!     cargo run --example time_client [URL [TICKS]]
//!
//! The URL is `tcp://localhost:18861` unless given, and there are 3 ticks. The server may be `time_server.rs` or
//! `examples/python/time_server.py`.

use std::time::SystemTime;

fn main() -> netref::Result<()> {
    let mut args = std::env::args().skip(1);
    let url = args.next().unwrap_or_else(|| "tcp://localhost:18861".to_owned());
    let ticks: u32 = args.next().and_then(|ticks| ticks.parse().ok()).unwrap_or(3);

    let conn = netref::connect(&url)?;
    let root = conn.root()?;
    let sent = now();
    let server: f64 = root.call_method("now", ())?.extract()?;
    let received = now();
    // It was read somewhere between the two moments of ours.
    println!("Its clock is {:+.1} s from ours", server - f64::midpoint(sent, received));
    let tick = netref::function(move |when: f64| println!("Tick, {:.1} s later", when - server));
    root.call_method("tick", (ticks, 0.1, tick))?;
    conn.close();
    Ok(())
}

fn now() -> f64 {
    SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_secs_f64()
}
