//! Tests of the ordered state.
