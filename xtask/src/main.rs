//! Kestrel build tasks.
fn main() {}
