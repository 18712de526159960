//! The service, without a .proto file: no protoc is needed.

use tonic_build::manual::{Builder, Method, Service};

fn main() {
    let method = |name: &str, route: &str, message: &str| {
        Method::builder()
            .name(name)
            .route_name(route)
            .input_type(message)
            .output_type(message)
            .codec_path("tonic_prost::ProstCodec")
            .build()
    };
    let service = Service::builder()
        .name("Bench")
        .package("bench")
        .method(method("echo", "Echo", "crate::Number"))
        .method(method("echo_bytes", "EchoBytes", "crate::Data"))
        .build();
    Builder::new().compile(&[service]);
}
