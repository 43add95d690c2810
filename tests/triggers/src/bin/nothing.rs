//! Does nothing, whatever it is called and told: a program's name and arguments are all that some rules look at.

const fn main() {}
