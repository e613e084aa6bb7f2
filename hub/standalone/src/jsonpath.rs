//! The JSON paths that printer columns and selectable fields use: `.a.b`, `['a.b']`, `[0]`, `[*]`
//! and `[?(@.type=="Ready")]`. Pure.
//!
//! Design note: kubectl's own JSON path has ranges, unions and script expressions too. No column
//! of ours uses them, and a path that is not understood finds nothing.

use serde_json::Value;

#[cfg(test)]
mod tests;

#[derive(Debug, PartialEq)]
enum Step<'a> {
    Field(&'a str),
    Index(usize),
    All,
    Where {
        path: Vec<Self>,
        equal: bool,
        text: &'a str,
    },
}

/// Every value that `path` finds in `root`.
pub(crate) fn find<'v>(root: &'v Value, path: &str) -> Vec<&'v Value> {
    let path = path.strip_prefix('$').unwrap_or(path);
    parse(path)
        .map(|steps| walk(root, &steps))
        .unwrap_or_default()
}

/// The first value that `path` finds.
pub(crate) fn first<'v>(root: &'v Value, path: &str) -> Option<&'v Value> {
    find(root, path).into_iter().next()
}

fn walk<'v>(root: &'v Value, steps: &[Step<'_>]) -> Vec<&'v Value> {
    let mut found = vec![root];
    for step in steps {
        found = found
            .into_iter()
            .flat_map(|value| take(value, step))
            .collect();
    }
    found
}

fn take<'v>(value: &'v Value, step: &Step<'_>) -> Vec<&'v Value> {
    match step {
        Step::Field(name) => value.get(name).into_iter().collect(),
        Step::Index(index) => value.get(index).into_iter().collect(),
        Step::All => match value {
            Value::Array(items) => items.iter().collect(),
            Value::Object(map) => map.values().collect(),
            _ => Vec::new(),
        },
        Step::Where { path, equal, text } => value
            .as_array()
            .into_iter()
            .flatten()
            .filter(|item| {
                let hit = walk(item, path).first().is_some_and(|v| is_text(v, text));
                hit == *equal
            })
            .collect(),
    }
}

fn is_text(value: &Value, text: &str) -> bool {
    match value {
        Value::String(s) => s == text,
        Value::Null => false,
        // Numbers and booleans are compared by how they are written.
        Value::Number(number) => number.to_string() == text,
        Value::Bool(flag) => text == if *flag { "true" } else { "false" },
        Value::Array(_) | Value::Object(_) => false,
    }
}

fn parse(mut rest: &str) -> Option<Vec<Step<'_>>> {
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('[') {
            let end = closing(after)?;
            steps.push(bracket(after.get(..end)?)?);
            rest = after.get(end + 1..)?;
        } else {
            let after = rest.strip_prefix('.').unwrap_or(rest);
            let end = after.find(['.', '[']).unwrap_or(after.len());
            match after.get(..end)? {
                "" if after.starts_with('[') => {}
                "" => return None,
                "*" => steps.push(Step::All),
                name => steps.push(Step::Field(name)),
            }
            rest = after.get(end..)?;
        }
    }
    Some(steps)
}

/// The offset of the bracket that closes, quotes and inner brackets skipped.
fn closing(text: &str) -> Option<usize> {
    let (mut depth, mut quote) = (0_usize, None);
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(q), c) if c == q => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, '[') => depth += 1,
            (None, ']') if depth == 0 => return Some(at),
            (None, ']') => depth -= 1,
            (None, _) => {}
        }
    }
    None
}

fn bracket(inner: &str) -> Option<Step<'_>> {
    let inner = inner.trim();
    if inner == "*" {
        return Some(Step::All);
    }
    if let Ok(index) = inner.parse() {
        return Some(Step::Index(index));
    }
    if let Some(name) = unquote(inner) {
        return Some(Step::Field(name));
    }
    let condition = inner
        .strip_prefix("?(")?
        .strip_suffix(')')?
        .trim()
        .strip_prefix('@')?;
    let (operator, equal) = if condition.contains("!=") {
        ("!=", false)
    } else {
        ("==", true)
    };
    let (path, text) = condition.split_once(operator)?;
    let text = text.trim();
    Some(Step::Where {
        path: parse(path.trim())?,
        equal,
        text: unquote(text).unwrap_or(text),
    })
}

fn unquote(text: &str) -> Option<&str> {
    ['"', '\'']
        .into_iter()
        .find_map(|q| text.strip_prefix(q)?.strip_suffix(q))
}
