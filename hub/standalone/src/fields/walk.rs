//! Walks values along their schema: what an object states, what differs between two, one laid over another, paths
//! taken out.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::set::{Element, Set};
use super::shape::{Node, Shape, list, map, steps};

/// What differs between two objects.
#[derive(Debug, Default)]
pub(super) struct Comparison {
    /// Only in the second.
    pub(super) added: Set,
    /// Other in the second.
    pub(super) modified: Set,
    /// Only in the first.
    pub(super) removed: Set,
}

impl Comparison {
    /// Without what stands in `ignored` or below it.
    pub(super) fn outside(&self, ignored: &Set) -> Self {
        Self {
            added: self.added.outside(ignored),
            modified: self.modified.outside(ignored),
            removed: self.removed.outside(ignored),
        }
    }

    /// Whether nothing differs.
    pub(super) fn is_same(&self) -> bool {
        self.added.is_empty() && self.modified.is_empty() && self.removed.is_empty()
    }
}

/// Everything that `value` states, or why it cannot be told: a field that the schema does not know, an item without
/// its key, an item that stands twice. Each is named with its path.
pub(super) fn stated(node: Node<'_>, value: &Value) -> Result<Set, Vec<String>> {
    let (mut set, mut wrong) = (Set::default(), Vec::new());
    let mut path = Vec::new();
    state(node, value, &mut path, &mut set, &mut wrong);
    if wrong.is_empty() {
        Ok(set)
    } else {
        Err(wrong)
    }
}

fn state(
    node: Node<'_>,
    value: &Value,
    path: &mut Vec<Element>,
    set: &mut Set,
    wrong: &mut Vec<String>,
) {
    let shape = node.shape([Some(value), None]);
    match shape {
        Shape::Leaf => {
            if let Some(wanted) = misfit(node, value) {
                wrong.push(format!("{}: {wanted}", spelled(path)));
            }
            set.insert(path);
        }
        Shape::Fields(node) => {
            if !value.is_object() && !value.is_null() {
                wrong.push(format!(
                    "{}: expected map, got &{{{}}}",
                    spelled(path),
                    go(value)
                ));
            }
            for (name, inner) in map(Some(value)).into_iter().flatten() {
                path.push(Element::field(name));
                match node.field(name) {
                    Some(below) => state(below, inner, path, set, wrong),
                    None => wrong.push(format!("{}: field not declared in schema", spelled(path))),
                }
                if inner.is_null()
                    || inner.as_object().is_some_and(Map::is_empty)
                    || !node.has(name)
                {
                    set.insert(path);
                }
                path.pop();
            }
        }
        Shape::Keyed(..) | Shape::Items => {
            if !value.is_array() && !value.is_null() {
                wrong.push(format!(
                    "{}: expected list, got &{{{}}}",
                    spelled(path),
                    go(value)
                ));
            }
            let below = match shape {
                Shape::Keyed(node, _) => node.items(),
                Shape::Items | Shape::Leaf | Shape::Fields(_) => Node(None),
            };
            let mut seen = Vec::new();
            for (index, item) in list(Some(value)).into_iter().flatten().enumerate() {
                let step = match steps(shape, Some(&vec![item.clone()])) {
                    Ok(mut one) => one.remove(0).0,
                    Err(why) => {
                        wrong.push(format!("{}: element {index}: {why}", spelled(path)));
                        continue;
                    }
                };
                if seen.contains(&step) {
                    let item = spelled(std::slice::from_ref(&step));
                    wrong.push(format!(
                        "{}: duplicate entries for key {item}",
                        spelled(path)
                    ));
                    continue;
                }
                path.push(step.clone());
                state(below, item, path, set, wrong);
                set.insert(path);
                path.pop();
                seen.push(step);
            }
        }
    }
}

fn spelled(path: &[Element]) -> String {
    path.iter().map(ToString::to_string).collect()
}

/// What a scalar should be and is not.
fn misfit(node: Node<'_>, value: &Value) -> Option<String> {
    let wanted = node.0?.type_.as_deref()?;
    let fits = match wanted {
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" | "number" => value.is_number(),
        "array" => {
            return (!value.is_array() && !value.is_null())
                .then(|| format!("expected list, got &{{{}}}", go(value)));
        }
        "object" => {
            return (!value.is_object() && !value.is_null())
                .then(|| format!("expected map, got &{{{}}}", go(value)));
        }
        _ => true,
    };
    let kind = match wanted {
        "number" | "integer" => "numeric",
        other => other,
    };
    let found = match value {
        Value::String(_) => "string",
        Value::Bool(_) => "bool",
        Value::Array(_) => "[]interface {}",
        _ => "map[string]interface {}",
    };
    (!fits && !value.is_null()).then(|| match kind {
        "numeric" => format!("expected numeric (int or float), got {found}"),
        kind => format!(
            "expected {kind}, got &value.valueUnstructured{{Value:{}}}",
            go(value)
        ),
    })
}

fn go(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// What differs between `old` and `new`.
pub(super) fn compare(node: Node<'_>, old: &Value, new: &Value) -> Comparison {
    let mut found = Comparison::default();
    differ(node, Some(old), Some(new), &mut Vec::new(), &mut found);
    found
}

fn differ(
    node: Node<'_>,
    old: Option<&Value>,
    new: Option<&Value>,
    path: &mut Vec<Element>,
    found: &mut Comparison,
) {
    let shape = node.shape([new, old]);
    let empty = match shape {
        Shape::Leaf => true,
        Shape::Fields(_) => {
            map(old).is_none_or(Map::is_empty) && map(new).is_none_or(Map::is_empty)
        }
        Shape::Keyed(..) | Shape::Items => {
            list(old).is_none_or(Vec::is_empty) && list(new).is_none_or(Vec::is_empty)
        }
    };
    let mut visit = |step: Element, below: Node<'_>, old, new| {
        path.push(step);
        differ(below, old, new, path, found);
        path.pop();
    };
    match shape {
        _ if empty => {}
        Shape::Leaf => {}
        Shape::Fields(node) => {
            let (a, b) = (map(old), map(new));
            let names = a
                .into_iter()
                .flatten()
                .chain(b.into_iter().flatten())
                .map(|(name, _)| name);
            let names: std::collections::BTreeSet<&String> = names.collect();
            for name in names {
                let below = node.field(name).unwrap_or(Node(None));
                let (a, b) = (a.and_then(|a| a.get(name)), b.and_then(|b| b.get(name)));
                visit(Element::field(name), below, a, b);
            }
        }
        Shape::Keyed(..) | Shape::Items => {
            let below = match shape {
                Shape::Keyed(node, _) => node.items(),
                Shape::Items | Shape::Leaf | Shape::Fields(_) => Node(None),
            };
            let (a, b) = (indexed(shape, old), indexed(shape, new));
            let all: std::collections::BTreeSet<&Element> = a.keys().chain(b.keys()).collect();
            for step in all {
                visit(
                    step.clone(),
                    below,
                    a.get(step).copied(),
                    b.get(step).copied(),
                );
            }
        }
    }
    match (old, new) {
        (None, Some(_)) => found.added.insert(path),
        (Some(_), None) => found.removed.insert(path),
        (Some(old), Some(new)) if empty && old != new => found.modified.insert(path),
        _ => {}
    }
}

/// Items by their steps; of equal ones the last.
fn indexed<'v>(shape: Shape<'_>, value: Option<&'v Value>) -> BTreeMap<Element, &'v Value> {
    steps(shape, list(value))
        .unwrap_or_default()
        .into_iter()
        .collect()
}

/// `new` laid over `old`.
pub(super) fn merge(node: Node<'_>, old: Option<&Value>, new: Option<&Value>) -> Option<Value> {
    let shape = node.shape([new, old]);
    match shape {
        Shape::Fields(node) => {
            let (a, b) = (map(old), map(new));
            if a.is_none_or(Map::is_empty) && b.is_none_or(Map::is_empty) {
                return new.or(old).cloned();
            }
            let mut out = Map::new();
            for (name, value) in a.into_iter().flatten() {
                let below = node.field(name).unwrap_or(Node(None));
                let merged = merge(below, Some(value), b.and_then(|b| b.get(name)));
                out.extend(merged.map(|merged| (name.clone(), merged)));
            }
            for (name, value) in b.into_iter().flatten() {
                if a.is_none_or(|a| !a.contains_key(name)) {
                    let below = node.field(name).unwrap_or(Node(None));
                    out.extend(
                        merge(below, None, Some(value)).map(|merged| (name.clone(), merged)),
                    );
                }
            }
            Some(Value::Object(out))
        }
        Shape::Keyed(..) | Shape::Items => {
            if list(old).is_none_or(Vec::is_empty) && list(new).is_none_or(Vec::is_empty) {
                return new.or(old).cloned();
            }
            let below = match shape {
                Shape::Keyed(node, _) => node.items(),
                Shape::Items | Shape::Leaf | Shape::Fields(_) => Node(None),
            };
            Some(Value::Array(merge_lists(
                shape,
                below,
                list(old),
                list(new),
            )))
        }
        Shape::Leaf => new.or(old).cloned(),
    }
}

/// The items of `new` in its order; those that only `old` has stay behind the neighbour that they followed.
fn merge_lists(
    shape: Shape<'_>,
    below: Node<'_>,
    old: Option<&Vec<Value>>,
    new: Option<&Vec<Value>>,
) -> Vec<Value> {
    let old = steps(shape, old).unwrap_or_default();
    let new = steps(shape, new).unwrap_or_default();
    let find = |list: &[(Element, &Value)], step: &Element| {
        list.iter()
            .find(|(known, _)| known == step)
            .map(|(_, value)| (*value).clone())
    };
    let shared: Vec<&Element> = new
        .iter()
        .map(|(step, _)| step)
        .filter(|step| old.iter().any(|(known, _)| known == *step))
        .collect();
    let (mut out, mut merged, mut next) = (Vec::new(), Vec::<&Element>::new(), 0);
    let (mut left, mut right) = (0, 0);
    while left < old.len() || right < new.len() {
        let (l, r) = (old.get(left), new.get(right));
        if let (Some((l, value)), Some((r, over))) = (l, r) {
            if l == r {
                merged.push(l);
                out.extend(merge(below, Some(value), Some(over)));
                left += 1;
                right += 1;
                next += 1;
                continue;
            }
            let waits = shared.get(next).is_some_and(|wanted| *wanted != l);
            if waits && find(&new, l).is_some() {
                // It is in both, and another one comes first.
                left += 1;
                continue;
            }
        }
        if let Some((l, value)) = l {
            if find(&new, l).is_none() {
                out.extend(merge(below, Some(value), None));
                left += 1;
                continue;
            }
            if merged.contains(&l) {
                left += 1;
            }
        }
        if let Some((r, over)) = r {
            merged.push(r);
            out.extend(merge(below, find(&old, r).as_ref(), Some(over)));
            right += 1;
            if shared.get(next).is_some_and(|wanted| *wanted == r) {
                next += 1;
            }
        }
    }
    out
}

/// `value` without the paths in `gone`; none where nothing is left of it.
pub(super) fn without(node: Node<'_>, value: &Value, gone: &Set) -> Option<Value> {
    let shape = node.shape([Some(value), None]);
    let keep = |step: &Element, below: Node<'_>, inner: &Value| {
        if gone.members.contains(step) {
            return None;
        }
        match gone.children.get(step).filter(|nest| !nest.is_empty()) {
            Some(nest) => without(below, inner, nest),
            None => Some(inner.clone()),
        }
    };
    match shape {
        Shape::Fields(node) => {
            let Some(held) = value.as_object().filter(|held| !held.is_empty()) else {
                return Some(value.clone());
            };
            let left: Map<String, Value> = held
                .iter()
                .filter_map(|(name, inner)| {
                    let below = node.field(name).unwrap_or(Node(None));
                    keep(&Element::field(name), below, inner).map(|inner| (name.clone(), inner))
                })
                .collect();
            (!left.is_empty()).then_some(Value::Object(left))
        }
        Shape::Keyed(..) | Shape::Items => {
            let Some(held) = value.as_array().filter(|held| !held.is_empty()) else {
                return Some(value.clone());
            };
            let below = match shape {
                Shape::Keyed(node, _) => node.items(),
                Shape::Items | Shape::Leaf | Shape::Fields(_) => Node(None),
            };
            let Ok(items) = steps(shape, Some(held)) else {
                return Some(value.clone());
            };
            let left: Vec<Value> = items
                .into_iter()
                .filter_map(|(step, item)| keep(&step, below, item))
                .collect();
            (!left.is_empty()).then_some(Value::Array(left))
        }
        Shape::Leaf => None,
    }
}

/// `set` with each named field on the way to a path as a path itself.
pub(super) fn with_parents(node: Node<'_>, set: &Set) -> Set {
    let mut whole = Set {
        members: set.members.clone(),
        children: BTreeMap::new(),
    };
    for (step, nest) in &set.children {
        let below = match step {
            Element::Field(name) => {
                if node.has(name) {
                    whole.members.insert(step.clone());
                }
                node.field(name).unwrap_or(Node(None))
            }
            Element::Key(_) | Element::Value(_) | Element::Index(_) => node.items(),
        };
        whole
            .children
            .insert(step.clone(), with_parents(below, nest));
    }
    whole
}
