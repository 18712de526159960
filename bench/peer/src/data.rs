//! Bytes to be echoed.

/// Numbers without pattern, the same on every run (xorshift).
fn numbers() -> impl Iterator<Item = u64> {
    let step = |state: u64| {
        let state = state ^ (state << 13);
        let state = state ^ (state >> 7);
        state ^ (state << 17)
    };
    std::iter::successors(Some(0x9e37_79b9_7f4a_7c15), move |&state| Some(step(state)))
}

/// Bytes that no compression makes shorter.
pub(crate) fn noise(size: usize) -> Vec<u8> {
    let bytes = numbers().flat_map(|number| number.to_le_bytes().into_iter().take(4));
    bytes.take(size).collect()
}

/// Text that zlib shrinks to about a fifth, as logs do.
pub(crate) fn log_text(size: usize) -> Vec<u8> {
    let mut numbers = numbers();
    let mut below = |limit: u64| (numbers.next().unwrap_or_default() >> 20) % limit;
    let mut block = String::new();
    for i in 0..20_000 {
        let (item, time) = (below(100_000), below(10_000));
        let (second, host) = (i % 60, i % 16);
        block.push_str(&format!("2024-04-18T12:00:{second:02} host-{host} GET /items/{item} 200 {time}us\n"));
    }
    block.bytes().cycle().take(size).collect()
}
