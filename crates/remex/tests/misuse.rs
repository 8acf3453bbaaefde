//! Misuse of `#[remex::service]` is told by the compiler, in words that say what to do.

#[test]
fn misuse_is_an_error_that_says_what_to_do() {
    trybuild::TestCases::new().compile_fail("tests/misuse/*.rs");
}
