//! Needs the `capnp` program: Debian's package `capnproto`.

fn main() {
    capnpc::CompilerCommand::new()
        .file("bench.capnp")
        .run()
        .expect("the capnp program, of the package capnproto");
}
