//! Tests of the ordered state: situations as data, and whole lives of a group as scripts.

mod admission;
mod answering;
mod every;
mod fuzz;
mod lives;
mod requests;
mod scripts;
mod situation;
mod turns;
mod wishes;
mod world;
