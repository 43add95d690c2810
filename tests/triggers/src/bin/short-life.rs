//! Lives five milliseconds.

use std::{thread, time::Duration};

fn main() {
    thread::sleep(Duration::from_millis(5));
}
