//! Tests of the executor: the same order gives the same answers and states.
