//! The smallest JSON merge patch (RFC 7396) from one object to another.
//!
//! Pure. The status writers use it, so that nothing is written where nothing differs and a field that went away is
//! removed and not forgotten.

use serde_json::{Map, Value};

#[cfg(test)]
mod tests;

/// The patch that turns `from` into `to`; `None` if they are equal. A null and a missing member are the same.
pub(crate) fn diff(from: &Value, to: &Value) -> Option<Value> {
    match (from, to) {
        (Value::Object(from), Value::Object(to)) => {
            let mut patch = Map::new();
            for (name, wanted) in to {
                let held = from.get(name).unwrap_or(&Value::Null);
                // A new object is written without its nulls, which a merge patch would only drop again.
                let change = match (held, wanted) {
                    (Value::Null, Value::Object(_)) => diff(&Value::Object(Map::new()), wanted)
                        .or_else(|| Some(Value::Object(Map::new()))),
                    _ => diff(held, wanted),
                };
                if let Some(change) = change {
                    patch.insert(name.clone(), change);
                }
            }
            for (name, held) in from {
                if !held.is_null() && !to.contains_key(name) {
                    patch.insert(name.clone(), Value::Null);
                }
            }
            (!patch.is_empty()).then_some(Value::Object(patch))
        }
        _ => (from != to).then(|| to.clone()),
    }
}
