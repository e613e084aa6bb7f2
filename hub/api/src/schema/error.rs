//! A finding about one field, in the API server's words.

use std::fmt;

use serde_json::Value;

/// What is wrong with one field.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldError {
    /// The field, as `spec.disks[0].sizeGB`.
    pub path: String,
    /// Class of the finding.
    pub reason: FieldReason,
    /// What was found there; `None` where nothing was.
    pub value: Option<Value>,
    /// What is allowed.
    pub detail: String,
}

/// Class of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FieldReason {
    /// Missing.
    Required,
    /// Not allowed here.
    Invalid,
    /// A number that its type or format does not hold. The API server says of which field only in the words.
    OutOfRange,
    /// Not one of a closed list.
    NotSupported,
    /// Of another type.
    TypeInvalid,
    /// Longer than allowed.
    TooLong,
    /// More of them than allowed.
    TooMany,
    /// There twice.
    Duplicate,
    /// Must not be set at all.
    Forbidden,
    /// Does not name what it should name.
    NotFound,
}

impl FieldReason {
    /// As `status.details.causes[].reason` carries it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Required => "FieldValueRequired",
            Self::Invalid | Self::OutOfRange => "FieldValueInvalid",
            Self::NotSupported => "FieldValueNotSupported",
            Self::TypeInvalid => "FieldValueTypeInvalid",
            Self::TooLong => "FieldValueTooLong",
            Self::TooMany => "FieldValueTooMany",
            Self::Duplicate => "FieldValueDuplicate",
            Self::Forbidden => "FieldValueForbidden",
            Self::NotFound => "FieldValueNotFound",
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Required => "Required value",
            Self::Invalid | Self::OutOfRange | Self::TypeInvalid => "Invalid value",
            Self::NotSupported => "Unsupported value",
            Self::TooLong => "Too long",
            Self::TooMany => "Too many",
            Self::Duplicate => "Duplicate value",
            Self::Forbidden => "Forbidden",
            Self::NotFound => "Not found",
        }
    }

    fn shows_value(self) -> bool {
        match self {
            Self::Required | Self::TooLong | Self::Forbidden => false,
            Self::Invalid
            | Self::OutOfRange
            | Self::NotSupported
            | Self::TypeInvalid
            | Self::TooMany
            | Self::Duplicate
            | Self::NotFound => true,
        }
    }
}

impl FieldError {
    /// A finding about what stands at `path`.
    #[must_use]
    pub fn new(
        path: impl Into<String>,
        reason: FieldReason,
        value: Option<&Value>,
        detail: impl Into<String>,
    ) -> Self {
        Self {
            path: path.into(),
            reason,
            value: value.cloned(),
            detail: detail.into(),
        }
    }

    /// Where the API server says it is, as `status.details.causes[].field` carries it.
    #[must_use]
    pub fn place(&self) -> &str {
        if self.path.is_empty() || self.reason == FieldReason::OutOfRange {
            "<nil>"
        } else {
            &self.path
        }
    }

    /// The finding without its path, as `status.details.causes[].message` carries it.
    #[must_use]
    pub fn message(&self) -> String {
        let mut text = self.reason.words().to_owned();
        if self.reason.shows_value()
            && let Some(value) = &self.value
        {
            let shown = match self.reason {
                FieldReason::OutOfRange => "\"\"".to_owned(),
                _ => shown(value),
            };
            text.push_str(&format!(": {shown}"));
        }
        if !self.detail.is_empty() {
            text.push_str(&format!(": {}", self.detail));
        }
        text
    }
}

/// A value as an error shows it: scalars and duplicates whole, composites by their type.
fn shown(value: &Value) -> String {
    match value {
        Value::Object(map)
            if map
                .values()
                .any(|inner| inner.is_object() || inner.is_array()) =>
        {
            "\"object\"".to_owned()
        }
        Value::Array(_) => "\"array\"".to_owned(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
            value.to_string()
        }
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place(), self.message())
    }
}
