#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| pudle_fuzz::import(bytes));
