//! `kestrel`: what the collector knows, on the command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    kestrel_cli::main()
}
