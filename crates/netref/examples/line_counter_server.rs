//! The server of the main job: counts the lines of a file that stays with the client, and calls the client's function
//! with each of them.
//!
//!     cargo run --example line_counter_server [URL]
//!
//! The URL is `tcp://localhost:18861` unless given; with port 0, the first line of output says which port it became.

use netref::{Remote, Server};

struct LineCounter;

#[netref::service]
impl LineCounter {
    /// Calls `function` with each line of `file`, and returns how many there are.
    fn line_counter(&self, file: Remote, function: Remote) -> netref::Result<u64> {
        let mut count = 0;
        // It is a list, so that nobody minds if many lines come in one round trip.
        for line in file.call_method("readlines", ())?.iter()?.prefetched() {
            function.call((line?,))?;
            count += 1;
        }
        Ok(count)
    }
}

fn main() -> netref::Result<()> {
    let url = std::env::args().nth(1).unwrap_or_else(|| "tcp://localhost:18861".to_owned());
    let server = Server::bind(&url, || LineCounter)?;
    println!("Serving at {}", server.address());
    server.run();
    Ok(())
}
