//! The messages of a Phoenix client, with any text and any bytes.
//!
//! The parser takes no JSON that is not, does not take another shape for a
//! message, and takes the two kinds of frame alike in version 1.

#![no_main]

use corecast::handler::PhoenixVersion::{V1, V2};
use corecast::ws::Message;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use serde_json::value::RawValue;

fuzz_target!(|bytes: &[u8]| {
    if V2.understands(Message::Binary(bytes)) {
        // A push: its kind, four lengths, and as much as they say.
        let lengths = bytes[1..5]
            .iter()
            .map(|&len| usize::from(len))
            .sum::<usize>();
        assert_eq!(bytes[0], 0);
        assert!(bytes.len() >= 5 + lengths);
    }
    let Ok(text) = std::str::from_utf8(bytes) else {
        assert!(!V1.understands(Message::Binary(bytes)));
        return;
    };
    let is_json = serde_json::from_str::<&RawValue>(text).is_ok();
    // JSON allows numbers that are too large for this.
    let json: Option<Value> = serde_json::from_str(text).ok();
    let is_text = |value: Option<&Value>| value.is_some_and(Value::is_string);

    let understood = V1.understands(Message::Text(text));
    assert_eq!(V1.understands(Message::Binary(bytes)), understood);
    assert!(is_json || !understood);
    if understood && let Some(json) = &json {
        assert!(is_text(json.get("topic")) && is_text(json.get("event")));
    }
    let understood = V2.understands(Message::Text(text));
    assert!(is_json || !understood);
    if understood && let Some(json) = &json {
        // Elements that a later version may add are read over.
        assert!(json.as_array().is_some_and(|array| array.len() >= 5));
        assert!(is_text(json.get(2)) && is_text(json.get(3)));
    }
});
