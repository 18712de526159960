//! Says in a chat room what it reads from standard input, line by line, and prints what it hears there.
//!
//!     cargo run --example chat_client URL NAME
//!
//! It leaves at the end of the input. The server is `examples/python/chat_server.py`, whose URL is
//! `tcp://localhost:18861` unless it was given another port.

use std::process::ExitCode;

fn main() -> netref::Result<ExitCode> {
    let mut args = std::env::args().skip(1);
    let (Some(url), Some(name)) = (args.next(), args.next()) else {
        println!("usage: chat_client URL NAME");
        return Ok(ExitCode::from(2));
    };

    let conn = netref::connect(&url)?;
    let room = conn.root()?;
    // While the main thread waits for a line, nobody here serves the connection: that happens by itself.
    let hear = netref::function(|text: String| println!("{text}"));
    let here: Vec<String> = room.call_method("join", (name, hear))?.extract()?;
    println!("Here: {}", here.join(" "));
    for line in std::io::stdin().lines().map_while(Result::ok) {
        room.call_method("say", (line,))?;
    }
    conn.close();
    Ok(ExitCode::SUCCESS)
}
