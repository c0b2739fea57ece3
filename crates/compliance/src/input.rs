//! Input that has been checked: parse it once, and no later step asks again.

use std::marker::PhantomData;

use demo_reset_persistence::AnyConnection;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::audit::EntityKind;
use crate::error::{Error, FieldError, Result};
use crate::fields::{Field, FieldKind, OnCreate, OnEdit};
use crate::reference::reference_exists;

/// A JSON object.
pub type Object = Map<String, Value>;

/// What a user writes in a record of one kind.
pub trait Content: Serialize + DeserializeOwned + Clone {
    /// The kind.
    const KIND: EntityKind;
    /// All fields of such a record, those of the server included.
    const FIELDS: &'static [Field];
}

/// A record to be made, checked.
#[derive(Debug, Clone)]
pub struct New<C> {
    pub(crate) content: C,
}

impl<C: Content> New<C> {
    /// Checks `input` and fills in the defaults.
    ///
    /// # Errors
    /// [`Error::Invalid`] with every value that is missing, unknown or not accepted.
    pub fn parse(input: &Object) -> Result<Self> {
        let mut errors = unknown_fields(C::FIELDS, input);
        let mut values = Object::new();
        for field in C::FIELDS {
            let accepted = match (field.create, input.get(field.name)) {
                (OnCreate::Server, None) => continue,
                (OnCreate::Server, Some(_)) => Err("is set by the server".to_owned()),
                (OnCreate::Required, None) => Err(format!("is required: expected {}", field.kind)),
                (OnCreate::Optional(default), None) => Ok(default.value()),
                (_, Some(value)) => field.accept(value),
            };
            keep(&mut values, &mut errors, field, accepted);
        }
        refuse(errors)?;
        Ok(Self { content: serde_json::from_value(Value::Object(values))? })
    }

    /// Checks that the records it refers to exist.
    pub(crate) fn check_references(&self, conn: &mut AnyConnection, organization: uuid::Uuid) -> Result<()> {
        check_references::<C>(conn, organization, &to_object(&self.content)?)
    }
}

/// Changes to a record, checked.
#[derive(Debug, Clone)]
pub struct Patch<C> {
    values: Object,
    content: PhantomData<C>,
}

/// A record's content after a patch, and how it differs.
#[derive(Debug)]
pub(crate) struct Patched<C> {
    /// After the patch.
    pub(crate) content: C,
    /// `{"field": {"old": …, "new": …}}`.
    pub(crate) changes: Value,
}

impl<C: Content> Patch<C> {
    /// Checks `input`, which holds only the fields to change.
    ///
    /// # Errors
    /// [`Error::Invalid`] with every value that is unknown or not accepted; [`Error::ImmutableContent`] where
    /// evidence was to be edited.
    pub fn parse(input: &Object) -> Result<Self> {
        let mut errors = unknown_fields(C::FIELDS, input);
        let mut values = Object::new();
        let mut immutable = Vec::new();
        for field in C::FIELDS {
            let Some(value) = input.get(field.name) else { continue };
            let accepted = match field.edit {
                OnEdit::Free => field.accept(value),
                OnEdit::Fixed => Err("cannot be changed after the record was created".to_owned()),
                OnEdit::Server => Err("is set by the server".to_owned()),
                OnEdit::Immutable => {
                    immutable.push(field.name.to_owned());
                    continue;
                }
            };
            keep(&mut values, &mut errors, field, accepted);
        }
        refuse(errors)?;
        if !immutable.is_empty() {
            return Err(Error::ImmutableContent { kind: C::KIND, fields: immutable });
        }
        Ok(Self { values, content: PhantomData })
    }

    /// Applies it to the current content. None where nothing would change, so that nothing is written.
    pub(crate) fn apply(
        &self,
        conn: &mut AnyConnection,
        organization: uuid::Uuid,
        current: &C,
    ) -> Result<Option<Patched<C>>> {
        let mut content = to_object(current)?;
        let mut changed = Object::new();
        let mut changes = Object::new();
        for (name, new) in &self.values {
            let old = content.insert(name.clone(), new.clone()).unwrap_or(Value::Null);
            if old != *new {
                changes.insert(name.clone(), json!({ "old": old, "new": new }));
                changed.insert(name.clone(), new.clone());
            }
        }
        if changes.is_empty() {
            return Ok(None);
        }
        check_references::<C>(conn, organization, &changed)?;
        let content = serde_json::from_value(Value::Object(content))?;
        Ok(Some(Patched { content, changes: Value::Object(changes) }))
    }
}

fn to_object<T: Serialize>(value: &T) -> Result<Object> {
    match serde_json::to_value(value)? {
        Value::Object(object) => Ok(object),
        other => {
            Err(Error::Malformed(serde::de::Error::custom(format!("expected an object, found {other}"))))
        }
    }
}

fn unknown_fields(fields: &[Field], input: &Object) -> Vec<FieldError> {
    let is_known = |name: &str| fields.iter().any(|field| field.name == name);
    let unknown = input.keys().filter(|name| !is_known(name));
    unknown.map(|name| FieldError::new(name.as_str(), "is not a field of this record")).collect()
}

fn keep(
    values: &mut Object,
    errors: &mut Vec<FieldError>,
    field: &Field,
    accepted: std::result::Result<Value, String>,
) {
    match accepted {
        Ok(value) => {
            values.insert(field.name.to_owned(), value);
        }
        Err(message) => errors.push(FieldError::new(field.name, message)),
    }
}

fn refuse(errors: Vec<FieldError>) -> Result<()> {
    if errors.is_empty() { Ok(()) } else { Err(Error::Invalid { errors }) }
}

/// The foreign keys would refuse a missing record too, but could not say which field names it.
fn check_references<C: Content>(
    conn: &mut AnyConnection,
    organization: uuid::Uuid,
    values: &Object,
) -> Result<()> {
    let mut errors = Vec::new();
    for field in C::FIELDS {
        let FieldKind::Id(Some(reference)) = field.kind else { continue };
        let Some(id) = values.get(field.name).and_then(Value::as_str) else { continue };
        let exists = match crate::fields::parse_id(id) {
            Some(id) => reference_exists(conn, organization, reference, id)?,
            None => false,
        };
        if !exists {
            let message = format!("expected the id of a {} that exists", reference.as_str());
            errors.push(FieldError::new(field.name, message));
        }
    }
    refuse(errors)
}
