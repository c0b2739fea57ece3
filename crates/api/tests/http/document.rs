//! The OpenAPI document, and whether answers are as it says. Every answer in these tests is compared.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::LazyLock;

use actix_web::http::Method;
use demo_reset_api::openapi_json;
use jsonschema::Validator;
use serde_json::{Value, json};

use crate::fixture::Answer;

pub static DOCUMENT: LazyLock<Value> = LazyLock::new(|| serde_json::from_str(openapi_json()).unwrap());

/// One operation of the document.
#[derive(Debug, Clone)]
pub struct Operation {
    pub id: &'static str,
    pub method: Method,
    pub path: &'static str,
    pub described: &'static Value,
}

impl Operation {
    /// Every operation.
    pub fn all() -> Vec<Self> {
        let paths = DOCUMENT["paths"].as_object().unwrap();
        let of_path = |(path, item): (&'static String, &'static Value)| {
            item.as_object().unwrap().iter().map(move |(method, described)| Self {
                id: described["operationId"].as_str().unwrap(),
                method: method.to_uppercase().parse().unwrap(),
                path,
                described,
            })
        };
        paths.iter().flat_map(of_path).collect()
    }

    /// The statuses that it is documented to answer with.
    pub fn statuses(&self) -> Vec<u16> {
        self.described["responses"]
            .as_object()
            .unwrap()
            .keys()
            .map(|status| status.parse().unwrap())
            .collect()
    }

    /// Whether it needs no token.
    pub fn is_public(&self) -> bool {
        self.described["security"] == json!([])
    }

    /// The example of its body.
    pub fn body(&self) -> Option<Value> {
        let body = self.described.get("requestBody")?;
        Some(body["content"]["application/json"]["example"].clone())
    }

    /// Whether it writes records or sessions.
    pub fn is_write(&self) -> bool {
        self.method != Method::GET && self.id != "login"
    }
}

/// What stands at the end of `$ref`s.
pub fn resolved(described: &'static Value) -> &'static Value {
    match described["$ref"].as_str() {
        Some(reference) => resolved(DOCUMENT.pointer(&reference[1..]).unwrap()),
        None => described,
    }
}

/// A validator of a schema of the document.
pub fn validator(schema: &Value) -> Rc<Validator> {
    thread_local! {
        static MADE: RefCell<HashMap<String, Rc<Validator>>> = RefCell::default();
    }
    let text = schema.to_string();
    if let Some(validator) = MADE.with_borrow(|made| made.get(&text).cloned()) {
        return validator;
    }
    let mut whole = schema.clone();
    whole["components"] = DOCUMENT["components"].clone();
    let validator = jsonschema::options().should_validate_formats(true).build(&whole).unwrap();
    let validator = Rc::new(validator);
    MADE.with_borrow_mut(|made| made.insert(text, Rc::clone(&validator)));
    validator
}

/// Panics if the answer of the operation at `route` is not as the document says.
pub fn check(route: &str, method: &Method, answer: &Answer) {
    // HEAD answers as GET does, without the body; a preflight is answered before any route.
    let method = method.as_str().to_lowercase();
    let Some(described) = DOCUMENT["paths"].get(route).and_then(|item| item.get(&method)) else { return };
    let place = format!("{method} {route} {}", answer.status);
    let response = &described["responses"][answer.status.to_string()];
    assert!(!response.is_null(), "{place} is not documented: {}", answer.text);
    let response = resolved(response);
    let headers = response["headers"].as_object().into_iter().flatten();
    for (name, _) in headers.filter(|(_, header)| header["required"] == true) {
        assert!(answer.headers.contains_key(name.as_str()), "{place} lacks {name}");
    }
    let Some(content) = response["content"].as_object() else {
        assert_eq!(answer.text, "", "{place} has a body that is not documented");
        return;
    };
    let media_type = answer.header("content-type").split(';').next().unwrap();
    let described =
        content.get(media_type).unwrap_or_else(|| panic!("{place}: {media_type} is not documented"));
    if media_type.ends_with("json") {
        let problems: Vec<String> = validator(&described["schema"])
            .iter_errors(&answer.json())
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(problems.is_empty(), "{place}: {problems:?}: {}", answer.text);
    }
}
