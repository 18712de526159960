//! The client of the main job: lends the server an open file and a function, and gets back only a number.
//!
//!     cargo run --example line_counter_client [URL [FILE]]
//!
//! The URL is `tcp://localhost:18861` unless given, the file `testfile.txt`.

use netref::IntoValue;

fn main() -> netref::Result<()> {
    let mut args = std::env::args().skip(1);
    let url = args.next().unwrap_or_else(|| "tcp://localhost:18861".to_owned());
    let path = args.next().unwrap_or_else(|| "testfile.txt".to_owned());

    let conn = netref::connect(&url)?;
    // As Python shows it, so that every client of this example prints the same.
    let noisy = netref::function(|line: String| println!("Noisy: {}", line.into_value().repr()));
    let file = netref::File::open(path)?;
    let lines: u64 = conn.root()?.call_method("line_counter", (file, noisy))?.extract()?;
    println!("The number of lines in the file was {lines}");
    Ok(())
}
