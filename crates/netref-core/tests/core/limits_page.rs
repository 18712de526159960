//! The table in docs/limits.md is the one in the code.

use std::fmt::Write as _;
use std::path::Path;

use netref_core::Limits;
use netref_core::limits::Quantity;

const BEGIN: &str = "<!-- the table of the code begins -->\n";
const END: &str = "<!-- the table of the code ends -->\n";

fn table() -> String {
    let mut table =
        "| key | compat | default | strict | what it bounds |\n|---|---|---|---|---|\n".to_owned();
    for setting in Limits::SETTINGS {
        let [compat, default, strict] = [Limits::compat(), Limits::default(), Limits::strict()]
            .map(|profile| written((setting.get)(&profile)));
        let about = setting.about.trim();
        writeln!(table, "| `{}` | {compat} | {default} | {strict} | {about} |", setting.name).unwrap();
    }
    table
}

fn written(value: Quantity) -> String {
    match value {
        Quantity::Bytes(usize::MAX) | Quantity::Count(usize::MAX) | Quantity::Time(None) => "none".to_owned(),
        Quantity::Bytes(bytes) if bytes % (1 << 20) == 0 => format!("{} MiB", bytes >> 20),
        Quantity::Bytes(bytes) => format!("{} KiB", bytes >> 10),
        Quantity::Count(count) => count.to_string(),
        Quantity::Time(Some(time)) => format!("{} s", time.as_secs_f64()),
    }
}

#[test]
fn the_page_has_the_limits_of_the_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/limits.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let wanted = [before, BEGIN, &table(), END, after].concat();
    if std::env::var_os("NETREF_WRITE_DOCS").is_some() {
        std::fs::write(&path, &wanted).unwrap();
    } else {
        assert!(page == wanted, "docs/limits.md: run this test with NETREF_WRITE_DOCS=1");
    }
}
