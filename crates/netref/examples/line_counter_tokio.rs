//! The client of the main job, on tokio: lends the server an open file and an asynchronous function, and gets back only
//! a number.
//!
//!     cargo run --features tokio --example line_counter_tokio [URL [FILE]]
//!
//! The URL is `tcp://localhost:18861` unless given, the file `testfile.txt`.

use netref::{IntoValue, aio};

#[tokio::main(flavor = "current_thread")]
async fn main() -> netref::Result<()> {
    let mut args = std::env::args().skip(1);
    let url = args.next().unwrap_or_else(|| "tcp://localhost:18861".to_owned());
    let path = args.next().unwrap_or_else(|| "testfile.txt".to_owned());

    let conn = aio::connect(&url).await?;
    // As Python shows it, so that every client of this example prints the same.
    let noisy = aio::function(|line: String| async move { println!("Noisy: {}", line.into_value().repr()) });
    // Its methods read the file, which blocks: they run on threads that are there for that.
    let file = netref::File::open(path)?;
    let root = conn.root().await?;
    let lines: u64 = root.call_method("line_counter", (file, noisy)).await?.extract()?;
    println!("The number of lines in the file was {lines}");
    conn.close().await;
    Ok(())
}
