//! Bytes as Python writes them, and odd input.

use serde_json::Value;

use super::*;

#[track_caller]
fn check(input: &str, expected: &str) {
    let value = parse_line(input.as_bytes()).unwrap_or_else(|| panic!("not read: {input}"));
    assert_eq!(compact(&value), expected);
}

#[test]
fn strings_are_ascii() {
    check(r#""a/b\"\\\b\f\n\r\t""#, r#""a/b\"\\\b\f\n\r\t""#);
    check("\"\u{7f} \u{e9} \u{2028} \u{1f600}\"", r#""\u007f \u00e9 \u2028 \ud83d\ude00""#);
    check(r#""\u0001\u001F\u007F""#, r#""\u0001\u001f\u007f""#);
}

#[test]
fn numbers_are_pythons() {
    for (input, expected) in [
        ("1", "1"),
        ("-0", "0"),
        ("123456789012345678901234567890", "123456789012345678901234567890"),
        ("1.0", "1.0"),
        ("-0.0", "-0.0"),
        ("0.0001", "0.0001"),
        ("0.00001", "1e-05"),
        ("1E-7", "1e-07"),
        ("1e15", "1000000000000000.0"),
        ("1e16", "1e+16"),
        ("1.5e300", "1.5e+300"),
        ("1.7976931348623157e308", "1.7976931348623157e+308"),
        ("12.345", "12.345"),
        ("1e400", "Infinity"),
        ("-1e400", "-Infinity"),
    ] {
        check(input, expected);
    }
    assert_eq!(compact(&Value::from(0.00001)), "1e-05");
}

#[test]
fn keys_are_sorted_by_code_point() {
    check(r#"{"b":1,"a":{"d":[],"c":{}},"B":2}"#, r#"{"B":2,"a":{"c":{},"d":[]},"b":1}"#);
    check("{\"\u{1f600}\":1,\"\u{ffff}\":2}", r#"{"\uffff":2,"\ud83d\ude00":1}"#);
    check(r#"{"a":1,"a":2}"#, r#"{"a":2}"#);
}

#[track_caller]
fn unchanged(input: &str) {
    check(input, input);
}

#[test]
fn what_json_does_not_have_is_kept() {
    unchanged(r#"{"v":NaN,"w":Infinity,"x":-Infinity}"#);
    unchanged(r#"{"v":"NaN","w":NaN,"x":"Infinity"}"#);
    check("[0e0,0e-7,0]", "[0.0,0.0,0]");
}

#[test]
fn lone_surrogates_are_kept() {
    unchanged(r#""\udcff \ud83d \ud83d\ude00 \\udcff""#);
    unchanged(r#""\ude00\ud83d\ud83d\ud83d\ude00""#);
    unchanged(r#"{"\udfff":1,"\uffff":2}"#);
    unchanged(r#"{"\ud7ff":1,"\udfff":2,"\ue000":3}"#);
    // As Python sorts them: a half, U+E000, and characters that could be taken for stand-ins.
    unchanged(
        r#"{"\ud7ff\ud7ff":1,"\ud7ff\ud800":2,"\ud7ff\ue000":3,"\ud7ff\udbf6\udc00":4,"\ud7ff\udbff\udfff":5,"\ud800":6,"\udbf6":7}"#,
    );
    unchanged(r#"{"\ud7ff\ud7ff\udbff\udfff":1,"\ud7ff\udbf7\udc00":2,"\ud7ff\udbff\udfff":3}"#);
    assert_eq!(compact(&parse_line(b"\"a\xff\xc3\"\r\n").unwrap()), r#""a\udcff\udcc3""#);
}

#[test]
fn what_looks_like_a_stand_in_is_kept() {
    unchanged(r#""\ud7ff\udbf6\udc00""#);
    unchanged(r#""\ud7ff\udc00\ud7ff\ud7ff\udbff\udfff""#);
    unchanged(r#""\ud7ff\ud7ff\udbf6\udc00\udbf6\udc00\udbf7""#);
    check("\"\u{d7ff}\u{10dc00} \u{10dc00}\"", r#""\ud7ff\udbf7\udc00 \udbf7\udc00""#);
}

#[test]
fn people_see_a_sign_for_a_lone_surrogate() {
    let value = parse_line(br#""a\udcff\ud7ffb\ud83d""#).unwrap();
    assert_eq!(shown(value.as_str().unwrap()), "a\u{fffd}\u{d7ff}b\u{fffd}");
    assert_eq!(shown("a\u{10dc00}"), "a\u{10dc00}");
}

#[test]
fn depth_is_pythons() {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    unchanged(&nested(127));
    unchanged(&nested(900));
    assert_eq!(parse_line(nested(100_000).as_bytes()), None);
}

#[test]
fn garbage_is_refused() {
    for input in ["", "{", "{\"a\":1", "{\"a\":1}{\"b\":2}", "\"\\", "\"\\ud8", "nan", "\"\n\""] {
        assert_eq!(parse_line(input.as_bytes()), None, "{input}");
    }
}

#[test]
fn spaced_form() {
    let value = serde_json::json!({"b": [1, 2.50, {}], "a": {"c": null, "d": []}});
    assert_eq!(spaced(&value), r#"{"a": {"c": null, "d": []}, "b": [1, 2.5, {}]}"#);
}

#[test]
fn pretty_form() {
    let value = parse_line(br#"{"b":[],"a":[1,{"x":null}],"c":{}}"#).unwrap();
    let expected = "{\n  \"a\": [\n    1,\n    {\n      \"x\": null\n    }\n  ],\n  \"b\": [],\n  \"c\": {}\n}\n";
    assert_eq!(pretty(&value), expected);
}

#[test]
fn what_is_written_is_known_again_and_nothing_else() {
    let text = r#"{"a":[1,{"b":"\u00e9\ud83d\ude00"}],"c":1.5e300,"\ud800":NaN,"\ud7ff":"\udcff"}"#;
    let fields = parse_object(text.as_bytes()).unwrap();
    let written = pretty_object(&fields);
    assert_eq!(written, pretty(&Value::Object(fields.clone())));
    assert!(is_pretty_object(&fields, written.as_bytes()));
    for at in 0..written.len() {
        let mut other = written.clone().into_bytes();
        other[at] ^= 1;
        assert!(!is_pretty_object(&fields, &other), "byte {at}");
        assert!(!is_pretty_object(&fields, &written.as_bytes()[..at]), "{at} bytes");
    }
    assert!(!is_pretty_object(&fields, format!("{written} ").as_bytes()));
}
