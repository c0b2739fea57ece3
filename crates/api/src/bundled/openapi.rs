//! The OpenAPI document, 3.1. What records are made of comes from the same tables that their input is checked against.

use demo_reset_compliance::{
    AUDIT_FIELDS, Activity, Association, AssociationContent, Case, CaseContent, Category, Content, Employee,
    EntityKind, Field, FieldKind, Filter, Investigation, InvestigationContent, ListSpec, Location, MAX_LIMIT,
    Message, MessageContent, Note, NoteContent, OnCreate, OnEdit, Riu, RiuContent, SEVERITIES, Subject,
    SubjectContent, User,
};
use serde_json::{Map, Value, json};

use super::BASE_PATH;
use super::auth::{MAX_EMAIL, MAX_PASSWORD};
use super::examples;
use crate::error::{ApiError, PROBLEM_JSON};

/// The document.
pub(crate) fn document() -> Value {
    let mut paths = Map::new();
    root_paths(&mut paths);
    sign_in_paths(&mut paths);
    demo_paths(&mut paths);
    admin_paths(&mut paths);
    record_paths(&mut paths);
    link_operations(&mut paths);
    let schemas = schemas();
    examples::complete(&mut paths, &schemas);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "demo-reset",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "A compliance demo in which every user works in a private copy of three years of shared \
                data, and can reset and undo at any time.",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "security": [{ "bearer": [] }],
        "tags": [
            { "name": "sign-in", "description": "Tokens." },
            { "name": "demo", "description": "The session: its changes, reset, undo, verification." },
            { "name": "administration", "description": "Sessions of one's own organization." },
            { "name": "records", "description": "Records as the session sees them." },
            { "name": "reference", "description": "What records refer to." },
            { "name": "service", "description": "Health and documents." },
        ],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "A token of `POST /api/v1/auth/login` (HS256), or of the identity provider that \
                        the server is told to trust (RS256 or ES256): its `email` names a user here.",
                },
            },
            "schemas": schemas,
            "responses": refusals(),
        },
    })
}

/// One operation under construction.
struct Operation {
    id: String,
    tag: &'static str,
    summary: String,
    parameters: Vec<Value>,
    body: Option<Value>,
    answers: Map<String, Value>,
    is_public: bool,
}

impl Operation {
    fn new(id: impl Into<String>, tag: &'static str, summary: impl Into<String>) -> Self {
        let operation = Self {
            id: id.into(),
            tag,
            summary: summary.into(),
            parameters: Vec::new(),
            body: None,
            answers: Map::new(),
            is_public: false,
        };
        operation.refused("Unauthorized").refused("Unavailable")
    }

    /// Without a token.
    fn public(mut self) -> Self {
        self.is_public = true;
        self.answers.remove("401");
        self
    }

    fn parameter(mut self, parameter: Value) -> Self {
        self.parameters.push(parameter);
        self
    }

    /// An id in the path.
    fn id(self, name: &str) -> Self {
        let schema = json!({ "type": "string", "format": "uuid" });
        let parameter = json!({ "name": name, "in": "path", "required": true, "schema": schema });
        self.parameter(parameter).refused("MalformedRequest").refused("NotFound")
    }

    fn body(mut self, schema: &str, is_required: bool) -> Self {
        let content = json!({ "application/json": { "schema": reference(schema) } });
        self.body = Some(json!({ "required": is_required, "content": content }));
        self.refused("MalformedRequest")
            .refused("BodyTooLarge")
            .refused("UnsupportedMediaType")
            .refused("Invalid")
    }

    fn answer(mut self, status: u16, description: &str, schema: Option<&str>) -> Self {
        let mut answer = json!({ "description": description });
        if let Some(schema) = schema {
            answer["content"] = json!({ "application/json": { "schema": reference(schema) } });
        }
        self.answers.insert(status.to_string(), answer);
        self
    }

    fn header(mut self, status: u16, name: &str, description: &str) -> Self {
        let header = json!({ "description": description, "schema": { "type": "string" } });
        if let Some(answer) = self.answers.get_mut(&status.to_string()) {
            answer["headers"][name] = header;
        }
        self
    }

    /// A record or list with a version.
    fn versioned(self) -> Self {
        let parameter = json!({
            "name": "If-None-Match",
            "in": "header",
            "description": "The version that the caller has.",
            "schema": { "type": "string" },
        });
        self.parameter(parameter)
            .header(200, "ETag", "The version.")
            .answer(304, "The caller has this version.", None)
            .header(304, "ETag", "The version.")
    }

    /// A write that can be made to depend on a version.
    fn conditional(self) -> Self {
        let parameter = json!({
            "name": "If-Match",
            "in": "header",
            "description": "Write only if the record is in this version.",
            "schema": { "type": "string" },
        });
        self.parameter(parameter).refused("PreconditionFailed").limited()
    }

    /// A write of a record: limited in how often, and in how many changes a session may hold.
    fn limited(self) -> Self {
        self.refused("TooManyRequests").refused("Conflict")
    }

    fn refused(mut self, response: &'static str) -> Self {
        let status =
            REFUSALS.iter().find(|refusal| refusal.name == response).map_or(500, |refusal| refusal.status);
        let reference = json!({ "$ref": format!("#/components/responses/{response}") });
        self.answers.insert(status.to_string(), reference);
        self
    }

    /// A reset: a body of any type that does not confirm it is answered as one that is not there.
    fn confirmed(mut self) -> Self {
        self.answers.remove("415");
        self.refused("MalformedOrUnconfirmed")
    }

    /// A request that can be repeated under the caller's name for it.
    fn repeatable(self) -> Self {
        self.parameter(json!({
            "name": "Idempotency-Key",
            "in": "header",
            "description": "The caller's name for this request. A request that succeeded is answered again in the same \
                way for 24 hours; the name with another body is refused.",
            "schema": { "type": "string", "pattern": "^([!#-~]{1,255}|\"[!#-~]{1,255}\")$" },
        }))
        .refused("InvalidOrReusedKey")
    }

    /// The parameters of a page of a list without orders and filters.
    fn page(self) -> Self {
        let limit = json!({ "type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": 50 });
        self.parameter(query("limit", limit)).parameter(query(
            "cursor",
            json!({
                "type": "string", "description": "The nextCursor of the page before.",
            }),
        ))
    }

    /// The parameters of a list.
    fn list(mut self, spec: &ListSpec) -> Self {
        self.parameters.push(query(
            "limit",
            json!({
                "type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": 50,
            }),
        ));
        self.parameters.push(query("cursor", json!({
            "type": "string", "description": "The nextCursor of the page before, of this list in this order.",
        })));
        let sorts = spec.sort_parameters();
        self.parameters.push(query(
            "sort",
            json!({
                "type": "string", "enum": sorts, "default": sorts.first(),
            }),
        ));
        for filter in spec.filters {
            let words = match filter {
                Filter::Status(words) | Filter::Severity(words) => Some(words),
                Filter::Category | Filter::Created | Filter::Words(_) => None,
            };
            for (name, kind) in filter.parameters() {
                let schema = words
                    .map_or_else(|| kind_schema(*kind), |words| json!({ "type": "string", "enum": words }));
                let mut parameter = query(name, schema);
                parameter["description"] = filter_description(*filter, name).into();
                if let Filter::Words(_) = filter {
                    parameter["example"] = "invoice".into();
                }
                self.parameters.push(parameter);
            }
        }
        self.refused("Invalid").versioned()
    }

    fn into_json(self) -> Value {
        let mut operation = json!({
            "operationId": self.id,
            "tags": [self.tag],
            "summary": self.summary,
            "responses": self.answers,
        });
        if !self.parameters.is_empty() {
            operation["parameters"] = self.parameters.into();
        }
        if let Some(body) = self.body {
            operation["requestBody"] = body;
        }
        if self.is_public {
            operation["security"] = json!([]);
        }
        operation
    }
}

/// What a filter keeps.
fn filter_description(filter: Filter, parameter: &str) -> String {
    match (filter, parameter) {
        (Filter::Words(index), _) => format!(
            "Full text: only records that have every word of it, in any order, each as the beginning of a word in {}. \
             A word is a run of ASCII letters and digits and of everything beyond ASCII but punctuation. ASCII letters \
             match in any case, others as they are given, small, in capitals or with a capital in front; accents count, \
             and of a longer word 64 characters. Text without a word keeps every record. Both databases find the same.",
            join_fields(index.columns)
        ),
        (Filter::Created, "createdFrom") => "Only what was created at this time or later.".to_owned(),
        (Filter::Created, _) => "Only what was created at this time or earlier.".to_owned(),
        (Filter::Category, _) => "Only records of this category.".to_owned(),
        (Filter::Status(_), _) => "Only records of this status.".to_owned(),
        (Filter::Severity(_), _) => "Only records of this severity.".to_owned(),
    }
}

/// Columns as their fields are called in JSON.
fn join_fields(columns: &[&str]) -> String {
    let field = |column: &&str| {
        let mut words = column.split('_');
        let first = words.next().unwrap_or_default().to_owned();
        words.fold(first, |name, word| {
            let (initial, rest) = word.split_at(1.min(word.len()));
            name + &initial.to_uppercase() + rest
        })
    };
    let fields: Vec<String> = columns.iter().map(|column| format!("`{}`", field(column))).collect();
    match fields.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => fields.concat(),
    }
}

fn query(name: &str, schema: Value) -> Value {
    json!({ "name": name, "in": "query", "schema": schema })
}

fn reference(schema: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{schema}") })
}

fn add(paths: &mut Map<String, Value>, path: &str, method: &str, operation: Operation) {
    let item = paths.entry(path).or_insert_with(|| json!({}));
    item[method] = operation.into_json();
}

fn add_api(paths: &mut Map<String, Value>, path: &str, method: &str, operation: Operation) {
    add(paths, &format!("{BASE_PATH}{path}"), method, operation);
}

fn root_paths(paths: &mut Map<String, Value>) {
    let up = Operation::new("healthz", "service", "Whether the process is up.").public();
    let mut up = up.answer(200, "It is.", Some("Status"));
    up.answers.remove("503");
    add(paths, "/healthz", "get", up);
    let ready = Operation::new("readyz", "service", "Whether the database is reachable, current and sealed.");
    add(paths, "/readyz", "get", ready.public().answer(200, "It is.", Some("Status")));
    let metrics = Operation::new("metrics", "service", "Figures for Prometheus.").public();
    let mut metrics = metrics.answer(200, "The figures, in the text format.", None);
    metrics.answers["200"]["content"] = json!({ "text/plain": { "schema": { "type": "string" } } });
    metrics.answers.remove("503");
    add(paths, "/metrics", "get", metrics);
    let document = Operation::new("openapi", "service", "This document.").public();
    let mut document = document.answer(200, "It.", Some("Document"));
    document.answers.remove("503");
    add(paths, "/openapi.json", "get", document);
    let docs = Operation::new("docs", "service", "Swagger UI.").public();
    let mut docs = docs.answer(308, "It is below.", None).header(308, "Location", "Where.");
    docs.answers.remove("503");
    add(paths, "/docs", "get", docs);
    let console = Operation::new("console", "service", "The console: the page that shows all this.").public();
    let mut console = console.answer(200, "The page.", None);
    console.answers["200"]["content"] = json!({ "text/html": { "schema": { "type": "string" } } });
    console.answers.remove("503");
    let console = console.versioned();
    add(paths, "/", "get", console);
}

fn sign_in_paths(paths: &mut Map<String, Value>) {
    let login = Operation::new("login", "sign-in", "Trade an e-mail address and the password for a token.")
        .body("Credentials", true)
        .answer(200, "Signed in.", Some("Token"))
        .refused("TooManyRequests");
    let mut login = login.public();
    login.answers.insert("401".to_owned(), json!({ "$ref": "#/components/responses/WrongCredentials" }));
    add_api(paths, "/auth/login", "post", login);
    let me = Operation::new("me", "sign-in", "The signed-in user.").refused("Invalid");
    add_api(paths, "/auth/me", "get", me.answer(200, "The user.", Some("SignedInUser")));
    let people = Operation::new(
        "listDemoPeople",
        "sign-in",
        "Whom one can sign in as. Only where the server is told to offer its demo users.",
    );
    let people = people.public().answer(200, "The demo users.", Some("DemoPeople"));
    add_api(paths, "/auth/demo-people", "get", people.refused("NotOffered").refused("Invalid"));
}

fn demo_paths(paths: &mut Map<String, Value>) {
    let get = |id: &str, summary: &str, description: &str, schema: &str| {
        Operation::new(id, "demo", summary).refused("Invalid").answer(200, description, Some(schema))
    };
    let session =
        get("session", "My session and what I changed in it; made on first use.", "The session.", "Session");
    add_api(paths, "/demo/session", "get", session);
    let preview = get("previewReset", "What a reset would take back.", "The preview.", "ResetPreview");
    add_api(paths, "/demo/reset/preview", "get", preview);
    let types: Vec<&str> = EntityKind::ALL.iter().map(|kind| kind.as_str()).collect();
    let mut entity_id = query("entityId", json!({ "type": "string", "format": "uuid" }));
    entity_id["description"] = "Only the change to this record; with entityType.".into();
    let changes =
        get("listChanges", "What I changed, newest first, field by field.", "A page.", "ChangePage")
            .page()
            .parameter(query("entityType", json!({ "type": "string", "enum": types })))
            .parameter(entity_id)
            .parameter(query("kind", json!({ "type": "string", "enum": ["created", "edited", "deleted"] })));
    add_api(paths, "/demo/changes", "get", changes);
    let reset =
        Operation::new("reset", "demo", "Take back everything that I changed, or some records of it.")
            .body("ResetRequest", true)
            .repeatable()
            .answer(200, "Done.", Some("ResetReport"))
            .confirmed()
            .refused("ResetConflict");
    add_api(paths, "/demo/reset", "post", reset);
    let undo = Operation::new("undo", "demo", "Bring back what a reset took back.")
        .body("UndoRequest", false)
        .repeatable()
        .answer(200, "Done.", Some("UndoReport"))
        .refused("NothingToUndo")
        .refused("UndoConflict")
        .refused("UndoExpired");
    add_api(paths, "/demo/undo", "post", undo);
    let verify =
        get("verify", "Compare every base table with its fingerprint.", "The comparison.", "Verification");
    add_api(paths, "/demo/verify", "get", verify);
    let archives = get("listArchives", "My resets, newest first.", "The archives.", "Archives");
    add_api(paths, "/demo/archives", "get", archives);
    let archive =
        get("getArchive", "One of my resets, with the records it took back.", "The archive.", "Archive");
    add_api(paths, "/demo/archives/{id}", "get", archive.id("id").page());
}

fn admin_paths(paths: &mut Map<String, Value>) {
    let admin = |id: &str, summary: &str| Operation::new(id, "administration", summary).refused("Forbidden");
    let stats = admin("stats", "Figures about the organization.").refused("Invalid");
    add_api(paths, "/demo/admin/stats", "get", stats.answer(200, "The figures.", Some("Stats")));
    let sessions = admin("listSessions", "Sessions, most recently active first.").page().refused("Invalid");
    let sessions = sessions.answer(200, "A page.", Some("SessionPage"));
    add_api(paths, "/demo/admin/sessions", "get", sessions);
    let reset = admin("resetSession", "Reset a user's session; the user can undo it.")
        .id("id")
        .body("ResetRequest", true)
        .repeatable()
        .answer(200, "Done.", Some("ResetReport"))
        .confirmed()
        .refused("ResetConflict");
    add_api(paths, "/demo/admin/sessions/{id}/reset", "post", reset);
    let cleanup = admin("cleanup", "Remove what has expired in the organization.");
    let cleanup = cleanup.answer(200, "What was removed.", Some("CleanupReport"));
    add_api(paths, "/demo/admin/cleanup", "post", cleanup);
}

fn record_paths(paths: &mut Map<String, Value>) {
    top_level(paths, "Case", "cases", &Case::LIST);
    let statistics = Operation::new("caseStatistics", "records", "Cases by month of creation and severity.")
        .refused("Invalid");
    let statistics = statistics.answer(200, "The counts.", Some("CaseStatistics")).versioned();
    add_api(paths, "/cases/statistics", "get", statistics);
    top_level(paths, "Riu", "rius", &Riu::LIST);
    top_level(paths, "Investigation", "investigations", &Investigation::LIST);
    nested(paths, "Subject", "/cases/{parent}/subjects", &Subject::LIST);
    nested(paths, "Message", "/cases/{parent}/messages", &Message::LIST);
    nested(paths, "Association", "/cases/{parent}/rius", &Association::LIST);
    nested(paths, "Note", "/investigations/{parent}/notes", &Note::LIST);
    nested(paths, "Investigation", "/cases/{parent}/investigations", &Investigation::LIST);
    let activity = Operation::new("listCaseActivity", "records", "The audit trail of a case.").id("parent");
    let activity = activity.answer(200, "A page.", Some("ActivityPage")).list(&Activity::LIST);
    add_api(paths, "/cases/{parent}/activity", "get", activity);
    for (name, collection) in [
        ("Case", "cases"),
        ("Riu", "rius"),
        ("Investigation", "investigations"),
        ("Subject", "subjects"),
        ("Message", "messages"),
        ("Note", "notes"),
        ("Association", "associations"),
    ] {
        single(paths, name, &format!("/{collection}/{{id}}"));
    }
    for (name, collection, spec) in [
        ("Category", "categories", &Category::LIST),
        ("Location", "locations", &Location::LIST),
        ("Employee", "employees", &Employee::LIST),
        ("User", "users", &User::LIST),
    ] {
        let list = Operation::new(format!("list{name}"), "reference", format!("List {collection}."));
        let list = list.answer(200, "A page.", Some(&format!("{name}Page"))).list(spec);
        add_api(paths, &format!("/{collection}"), "get", list);
    }
}

fn top_level(paths: &mut Map<String, Value>, name: &str, collection: &str, spec: &ListSpec) {
    let path = format!("/{collection}");
    let list = Operation::new(format!("list{name}"), "records", format!("List {collection}."));
    let list = list.answer(200, "A page.", Some(&format!("{name}Page"))).list(spec);
    add_api(paths, &path, "get", list);
    let create = Operation::new(format!("create{name}"), "records", format!("Create one of {collection}."));
    add_api(paths, &path, "post", created(create, name, &format!("New{name}")));
}

fn nested(paths: &mut Map<String, Value>, name: &str, path: &str, spec: &ListSpec) {
    let under = if path.starts_with("/cases") { "Case" } else { "Investigation" };
    let collection = path.rsplit('/').next().unwrap_or_default();
    let list = Operation::new(
        format!("list{under}{name}"),
        "records",
        format!("List the {collection} of one {}.", under.to_lowercase()),
    );
    let list = list.id("parent").answer(200, "A page.", Some(&format!("{name}Page"))).list(spec);
    add_api(paths, path, "get", list);
    let create = Operation::new(
        format!("create{under}{name}"),
        "records",
        format!("Add to the {collection} of one {}.", under.to_lowercase()),
    );
    let create = created(create.id("parent"), name, &format!("New{under}{name}"));
    add_api(paths, path, "post", create);
}

fn created(operation: Operation, name: &str, body: &str) -> Operation {
    operation
        .body(body, true)
        .answer(201, "Created.", Some(name))
        .header(201, "Location", "Where it is.")
        .header(201, "ETag", "Its version.")
        .limited()
}

fn single(paths: &mut Map<String, Value>, name: &str, path: &str) {
    let fetch = Operation::new(format!("get{name}"), "records", "Read it.").id("id").refused("Invalid");
    add_api(paths, path, "get", fetch.answer(200, "It.", Some(name)).versioned());
    let update = Operation::new(format!("update{name}"), "records", "Edit the fields given.")
        .id("id")
        .body(&format!("{name}Patch"), true)
        .answer(200, "Edited.", Some(name))
        .header(200, "ETag", "Its version.")
        .conditional();
    add_api(paths, path, "patch", update);
    let delete = Operation::new(format!("delete{name}"), "records", "Delete it and what hangs on it.")
        .id("id")
        .refused("Invalid")
        .answer(204, "Deleted.", None)
        .conditional();
    add_api(paths, path, "delete", delete);
}

/// A refusal that operations share.
struct Refusal {
    name: &'static str,
    status: u16,
    description: &'static str,
    /// Headers that it always brings.
    headers: &'static [(&'static str, &'static str)],
    /// What is refused in this way, so that the examples are what callers really get.
    errors: fn() -> Vec<ApiError>,
}

const CHALLENGE: &[(&str, &str)] = &[("WWW-Authenticate", "`Bearer`.")];
const RETRY: &[(&str, &str)] = &[("Retry-After", "Seconds to wait.")];
const LIMITED: &[(&str, &str)] = &[
    ("Retry-After", "Seconds to wait."),
    ("RateLimit", "What is left of the limit."),
    ("RateLimit-Policy", "The limit."),
];

const REFUSALS: &[Refusal] = &[
    Refusal {
        name: "MalformedRequest",
        status: 400,
        description: "The body is not JSON, or an id is not a UUID.",
        headers: &[],
        errors: || vec![examples::malformed_body(), examples::malformed_id()],
    },
    Refusal {
        name: "MalformedOrUnconfirmed",
        status: 400,
        description: "The body is not JSON, an id is not a UUID, or the confirmation is missing.",
        headers: &[],
        errors: || vec![examples::malformed_body(), examples::malformed_id(), examples::unconfirmed()],
    },
    Refusal {
        name: "NothingToUndo",
        status: 400,
        description: "The body is not JSON, or there is nothing to undo.",
        headers: &[],
        errors: || vec![examples::malformed_body(), examples::nothing_to_undo()],
    },
    Refusal {
        name: "Unauthorized",
        status: 401,
        description: "No token, or one that is not accepted.",
        headers: CHALLENGE,
        errors: || vec![examples::unauthorized()],
    },
    Refusal {
        name: "WrongCredentials",
        status: 401,
        description: "The e-mail address and the password do not go together.",
        headers: CHALLENGE,
        errors: || vec![ApiError::WrongCredentials],
    },
    Refusal {
        name: "Forbidden",
        status: 403,
        description: "Only administrators may do this.",
        headers: &[],
        errors: || vec![examples::forbidden()],
    },
    Refusal {
        name: "NotFound",
        status: 404,
        description: "There is no such record in this session's world.",
        headers: &[],
        errors: || vec![ApiError::NotFound { what: "case" }],
    },
    Refusal {
        name: "NotOffered",
        status: 404,
        description: "This server does not offer its demo users.",
        headers: &[],
        errors: || vec![ApiError::NoRoute],
    },
    Refusal {
        name: "Conflict",
        status: 409,
        description: "The content cannot be edited, such a record exists already, or the session is full.",
        headers: &[],
        errors: || vec![examples::immutable(), examples::exists(), examples::full()],
    },
    Refusal {
        name: "UndoConflict",
        status: 409,
        description: "The archive was restored already, or conflicts with newer changes, which are listed.",
        headers: &[],
        errors: || vec![examples::already_restored(), examples::undo_conflict()],
    },
    Refusal {
        name: "ResetConflict",
        status: 409,
        description: "A value that would come back with the base is taken by another change; these are listed.",
        headers: &[],
        errors: || vec![examples::reset_conflict()],
    },
    Refusal {
        name: "UndoExpired",
        status: 410,
        description: "The undo window has closed.",
        headers: &[],
        errors: || vec![examples::expired()],
    },
    Refusal {
        name: "PreconditionFailed",
        status: 412,
        description: "The record is not in a version that If-Match names.",
        headers: &[],
        errors: || vec![ApiError::PreconditionFailed],
    },
    Refusal {
        name: "BodyTooLarge",
        status: 413,
        description: "The body is too large.",
        headers: &[],
        errors: || vec![examples::too_large()],
    },
    Refusal {
        name: "UnsupportedMediaType",
        status: 415,
        description: "The body is of a type other than JSON.",
        headers: &[],
        errors: || vec![ApiError::UnsupportedMediaType],
    },
    Refusal {
        name: "Invalid",
        status: 422,
        description: "Values or names that are not accepted, each listed.",
        headers: &[],
        errors: || vec![examples::invalid()],
    },
    Refusal {
        name: "InvalidOrReusedKey",
        status: 422,
        description: "Values or names that are not accepted, or an Idempotency-Key that was sent with another request.",
        headers: &[],
        errors: || vec![examples::invalid(), examples::key_reused()],
    },
    Refusal {
        name: "TooManyRequests",
        status: 429,
        description: "Too many requests; Retry-After says when to try again.",
        headers: LIMITED,
        errors: || vec![examples::too_many()],
    },
    Refusal {
        name: "Unavailable",
        status: 503,
        description: "Not available now; Retry-After says when to try again.",
        headers: RETRY,
        errors: || vec![examples::unavailable()],
    },
];

fn refusals() -> Map<String, Value> {
    let describe = |refusal: &Refusal| {
        let problems = (refusal.errors)().into_iter().map(|error| {
            let problem = error.as_problem(Some(examples::ID.to_owned()));
            let code = problem["code"].as_str().unwrap_or_default().to_owned();
            (code, json!({ "value": problem }))
        });
        let examples: Map<String, Value> = problems.collect();
        let content = json!({ PROBLEM_JSON: { "schema": reference("Problem"), "examples": examples } });
        let mut response = json!({ "description": refusal.description, "content": content });
        for (name, description) in refusal.headers {
            response["headers"][*name] =
                json!({ "description": description, "required": true, "schema": { "type": "string" } });
        }
        (refusal.name.to_owned(), response)
    };
    REFUSALS.iter().map(describe).collect()
}

/// What one can go on with after an answer: operation, status, `name:operation that follows`, its parameters.
type Link = (&'static str, &'static str, &'static str, &'static [(&'static str, &'static str)]);

const LINKS: &[Link] = &[
    ("createCase", "201", "addCaseSubject:createCaseSubject", &[("parent", "/id")]),
    ("createCase", "201", "addCaseMessage:createCaseMessage", &[("parent", "/id")]),
    ("createCase", "201", "addCaseInvestigation:createCaseInvestigation", &[("parent", "/id")]),
    ("createCase", "201", "activity:listCaseActivity", &[("parent", "/id")]),
    ("createCase", "201", "subjects:listCaseSubject", &[("parent", "/id")]),
    ("createInvestigation", "201", "addNote:createInvestigationNote", &[("parent", "/id")]),
    ("createCaseInvestigation", "201", "addNote:createInvestigationNote", &[("parent", "/id")]),
    ("createCaseInvestigation", "201", "notes:listInvestigationNote", &[("parent", "/id")]),
    ("reset", "200", "archive:getArchive", &[("id", "/archiveId")]),
    ("listArchives", "200", "newest:getArchive", &[("id", "/items/0/archiveId")]),
    ("listSessions", "200", "resetNewest:resetSession", &[("id", "/items/0/sessionId")]),
];

/// Writes the links into the answers, those between the operations on one kind of record included.
fn link_operations(paths: &mut Map<String, Value>) {
    let mut operations: Vec<&mut Value> =
        paths.values_mut().filter_map(Value::as_object_mut).flat_map(|item| item.values_mut()).collect();
    let ids: Vec<String> = operations
        .iter()
        .map(|operation| operation["operationId"].as_str().unwrap_or_default().to_owned())
        .collect();
    for (operation, id) in operations.iter_mut().zip(&ids) {
        for (_, status, link, parameters) in LINKS.iter().filter(|(from, ..)| from == id) {
            let (name, target) = link.split_once(':').unwrap_or((link, link));
            add_link(operation, status, name, target, parameters);
        }
        let (status, place) = if id.starts_with("create") {
            ("201", "/id")
        } else if id.starts_with("list") {
            ("200", "/items/0/id")
        } else {
            continue;
        };
        let schema = &operation["responses"][status]["content"]["application/json"]["schema"]["$ref"];
        let schema = schema.as_str().and_then(|schema| schema.rsplit('/').next()).unwrap_or_default();
        let record = schema.strip_suffix("Page").unwrap_or(schema).to_owned();
        for verb in ["get", "update", "delete"] {
            let target = format!("{verb}{record}");
            if ids.contains(&target) {
                add_link(operation, status, verb, &target, &[("id", place)]);
            }
        }
    }
    if let Some(reset) = paths.get_mut(&format!("{BASE_PATH}/demo/reset")) {
        reset["post"]["responses"]["200"]["links"]["undo"] = json!({
            "operationId": "undo",
            "requestBody": { "archiveId": "$response.body#/archiveId" },
        });
    }
}

fn add_link(operation: &mut Value, status: &str, name: &str, target: &str, parameters: &[(&str, &str)]) {
    let parameters: Map<String, Value> = parameters
        .iter()
        .map(|(parameter, place)| ((*parameter).to_owned(), format!("$response.body#{place}").into()))
        .collect();
    operation["responses"][status]["links"][name] =
        json!({ "operationId": target, "parameters": parameters });
}

fn schemas() -> Map<String, Value> {
    let mut schemas = Map::new();
    record_schemas::<CaseContent>(&mut schemas, "Case", &[]);
    record_schemas::<RiuContent>(&mut schemas, "Riu", &[]);
    record_schemas::<InvestigationContent>(&mut schemas, "Investigation", &["Case"]);
    record_schemas::<SubjectContent>(&mut schemas, "Subject", &["Case"]);
    record_schemas::<MessageContent>(&mut schemas, "Message", &["Case"]);
    record_schemas::<NoteContent>(&mut schemas, "Note", &["Investigation"]);
    record_schemas::<AssociationContent>(&mut schemas, "Association", &["Case"]);
    for (name, fields) in [
        ("Activity", AUDIT_FIELDS),
        ("Category", Category::FIELDS),
        ("Location", Location::FIELDS),
        ("Employee", Employee::FIELDS),
        ("User", User::FIELDS),
    ] {
        listed_schemas(&mut schemas, name, fields);
    }
    schemas.insert("CaseStatistics".to_owned(), case_statistics_schema());
    sign_in_schemas(&mut schemas);
    demo_schemas(&mut schemas);
    schemas
}

/// What comes back: every field, always.
fn listed_schemas(schemas: &mut Map<String, Value>, name: &str, fields: &[Field]) {
    let properties: Map<String, Value> =
        fields.iter().map(|field| (field.name.to_owned(), answered_schema(field))).collect();
    let required: Vec<&str> = fields.iter().map(|field| field.name).collect();
    schemas.insert(name.to_owned(), object(properties, &required));
    schemas.insert(format!("{name}Page"), page(name));
}

fn case_statistics_schema() -> Value {
    let counts: Vec<(&str, Value)> =
        SEVERITIES.iter().map(|&word| (word, json!({ "type": "integer", "minimum": 0 }))).collect();
    let month = described(&[
        ("month", json!({ "type": "string", "pattern": "^[0-9]{4}-[0-9]{2}$" })),
        ("bySeverity", described(&counts)),
    ]);
    described(&[("months", json!({ "type": "array", "items": month }))])
}

fn page(name: &str) -> Value {
    let mut properties = Map::new();
    properties.insert("items".to_owned(), json!({ "type": "array", "items": reference(name) }));
    properties.insert("nextCursor".to_owned(), json!({ "type": ["string", "null"] }));
    properties.insert("total".to_owned(), json!({ "type": "integer", "minimum": 0 }));
    object(properties, &["items", "nextCursor", "total"])
}

fn record_schemas<C: Content>(schemas: &mut Map<String, Value>, name: &str, parents: &[&str]) {
    listed_schemas(schemas, name, C::FIELDS);
    let given: Vec<&Field> = C::FIELDS.iter().filter(|field| field.create != OnCreate::Server).collect();
    let new = |optional: &str| {
        let properties = given.iter().map(|field| (field.name.to_owned(), given_schema(field))).collect();
        let required: Vec<&str> = given
            .iter()
            .filter(|field| field.create == OnCreate::Required && field.name != optional)
            .map(|field| field.name)
            .collect();
        let mut schema = object(properties, &required);
        let examples =
            given.iter().filter(|field| field.create == OnCreate::Required && field.name != optional);
        let example: Map<String, Value> =
            examples.map(|field| (field.name.to_owned(), example(field))).collect();
        schema["examples"] = json!([example]);
        schema
    };
    schemas.insert(format!("New{name}"), new(""));
    for parent in parents {
        // The parent stands in the path, so the body may leave it out.
        let field = format!("{}Id", parent.to_lowercase());
        schemas.insert(format!("New{parent}{name}"), new(&field));
    }
    let edited = C::FIELDS.iter().filter(|field| field.edit == OnEdit::Free);
    let properties = edited.clone().map(|field| (field.name.to_owned(), given_schema(field))).collect();
    let mut patch = object(properties, &[]);
    // Edited most often: what can be in one state or another.
    let state = |field: &&Field| matches!(field.kind, FieldKind::OneOf(_) | FieldKind::Flag);
    if let Some(field) = edited.clone().find(state).or_else(|| edited.clone().next()) {
        patch["examples"] = json!([{ field.name: example(field) }]);
    }
    schemas.insert(format!("{name}Patch"), patch);
}

/// An object with these members and no others.
fn object(properties: Map<String, Value>, required: &[&str]) -> Value {
    json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

fn kind_schema(kind: FieldKind) -> Value {
    match kind {
        FieldKind::Text { max } => json!({ "type": "string", "maxLength": max, "pattern": "^[^\\u0000]*$" }),
        FieldKind::OneOf(words) => json!({ "type": "string", "enum": words }),
        FieldKind::Id(_) => json!({ "type": "string", "format": "uuid" }),
        FieldKind::Time => json!({ "type": "string", "format": "date-time" }),
        FieldKind::Integer { min, max } => json!({ "type": "integer", "minimum": min, "maximum": max }),
        FieldKind::Flag => json!({ "type": "boolean" }),
        FieldKind::Tags => json!({
            "type": "array",
            "maxItems": 50,
            "items": { "type": "string", "minLength": 1, "maxLength": 100, "pattern": NOT_BLANK },
        }),
        FieldKind::Object => json!({
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "properties": { "old": {}, "new": {} },
                "required": ["old", "new"],
            },
        }),
    }
}

/// Text that is not blank, without U+0000.
const NOT_BLANK: &str = "^[^\\u0000]*[^\\u0000\\s][^\\u0000]*$";

fn nullable(mut schema: Value) -> Value {
    let kind = schema["type"].take();
    schema["type"] = json!([kind, "null"]);
    if let Some(words) = schema.get_mut("enum").and_then(Value::as_array_mut) {
        words.push(Value::Null);
    }
    schema
}

fn answered_schema(field: &Field) -> Value {
    let mut schema = kind_schema(field.kind);
    if let FieldKind::Text { .. } = field.kind {
        schema = json!({ "type": "string" });
    }
    if field.nullable { nullable(schema) } else { schema }
}

fn given_schema(field: &Field) -> Value {
    let mut schema = kind_schema(field.kind);
    if let (FieldKind::Text { .. }, OnCreate::Required) = (field.kind, field.create) {
        schema["minLength"] = 1.into();
        schema["pattern"] = NOT_BLANK.into();
    }
    if let OnCreate::Optional(default) = field.create {
        schema["default"] = default.value();
    }
    if field.nullable { nullable(schema) } else { schema }
}

fn example(field: &Field) -> Value {
    match field.kind {
        FieldKind::OneOf(words) => words.first().copied().unwrap_or_default().into(),
        FieldKind::Id(_) => examples::ID.into(),
        FieldKind::Flag => true.into(),
        _ => format!("The {} in a few words.", field.name).into(),
    }
}

/// What one signs in with.
fn credential(max: usize) -> Value {
    json!({ "type": "string", "minLength": 1, "maxLength": max, "pattern": "^[^\\u0000]+$" })
}

fn sign_in_schemas(schemas: &mut Map<String, Value>) {
    let text = json!({ "type": "string" });
    let id = json!({ "type": "string", "format": "uuid" });
    let user = described(&[
        ("id", id.clone()),
        ("email", text.clone()),
        ("firstName", text.clone()),
        ("lastName", text.clone()),
        ("role", kind_schema(FieldKind::OneOf(demo_reset_compliance::ROLES))),
        ("organizationId", id),
    ]);
    schemas.insert("SignedInUser".to_owned(), user);
    let mut credentials =
        described(&[("email", credential(MAX_EMAIL)), ("password", credential(MAX_PASSWORD))]);
    credentials["properties"]["password"]["format"] = "password".into();
    credentials["examples"] = json!([{ "email": "demo-cco@acme.example", "password": "…" }]);
    schemas.insert("Credentials".to_owned(), credentials);
    let token = described(&[
        ("accessToken", text.clone()),
        ("tokenType", json!({ "const": "Bearer" })),
        ("expiresIn", json!({ "type": "integer" })),
        ("user", reference("SignedInUser")),
    ]);
    schemas.insert("Token".to_owned(), token);
    let person = described(&[
        ("email", text.clone()),
        ("firstName", text.clone()),
        ("lastName", text.clone()),
        ("role", kind_schema(FieldKind::OneOf(demo_reset_compliance::ROLES))),
        ("organization", text.clone()),
    ]);
    let people = described(&[("items", json!({ "type": "array", "items": person }))]);
    schemas.insert("DemoPeople".to_owned(), people);
    schemas.insert("Status".to_owned(), described(&[("status", text.clone())]));
    schemas.insert("Document".to_owned(), json!({ "type": "object" }));
    let problem = json!({
        "type": "object",
        "properties": {
            "type": text, "title": text, "status": { "type": "integer" }, "detail": text, "code": text,
            "requestId": text,
            "errors": { "type": "array", "items": described(&[("field", text.clone()), ("message", text.clone())]) },
            "conflicts": {
                "type": "array",
                "items": described(&[
                    ("entityType", text.clone()), ("entityId", text.clone()), ("reason", text.clone()),
                ]),
            },
        },
        "required": ["type", "title", "status", "detail", "code"],
    });
    schemas.insert("Problem".to_owned(), problem);
}

/// An object whose members are all there.
fn described(members: &[(&str, Value)]) -> Value {
    let properties = members.iter().map(|(name, schema)| ((*name).to_owned(), schema.clone())).collect();
    let required: Vec<&str> = members.iter().map(|(name, _)| *name).collect();
    object(properties, &required)
}

fn demo_schemas(schemas: &mut Map<String, Value>) {
    let (text, flag) = (json!({ "type": "string" }), json!({ "type": "boolean" }));
    let count = json!({ "type": "integer", "minimum": 0 });
    let id = json!({ "type": "string", "format": "uuid" });
    let time = json!({ "type": "string", "format": "date-time" });
    let counts = json!({ "type": "object", "additionalProperties": count });
    let nullable_id = nullable(id.clone());
    let mut insert = |name: &str, schema: Value| schemas.insert(name.to_owned(), schema);
    insert(
        "Session",
        described(&[
            ("sessionId", id.clone()),
            ("createdAt", time.clone()),
            ("lastActivityAt", time.clone()),
            ("changes", counts.clone()),
            ("totalChanges", count.clone()),
        ]),
    );
    insert(
        "ResetPreview",
        described(&[
            ("message", text.clone()),
            ("willDelete", counts.clone()),
            ("totalItems", count.clone()),
            ("baseDataPreserved", flag.clone()),
            ("undoAvailable", flag.clone()),
            ("undoWindowHours", json!({ "type": "number", "minimum": 0 })),
            ("confirmationRequired", flag.clone()),
            ("confirmationToken", text.clone()),
        ]),
    );
    let types: Vec<&str> = EntityKind::ALL.iter().map(|kind| kind.as_str()).collect();
    let named = json!({ "type": "string", "enum": types });
    insert("RecordName", described(&[("entityType", named.clone()), ("entityId", id.clone())]));
    insert("ResetRequest", {
        let records = json!({
            "type": "array",
            "minItems": 1,
            "maxItems": 200,
            "items": reference("RecordName"),
            "description": "Only these records, with what depends on them. The audit trail stays as it is.",
        });
        let token = json!({ "const": demo_reset_domain::CONFIRMATION_TOKEN });
        let properties = [("confirmationToken".to_owned(), token), ("records".to_owned(), records)];
        let mut request = object(properties.into_iter().collect(), &["confirmationToken"]);
        let example = json!({ "confirmationToken": demo_reset_domain::CONFIRMATION_TOKEN });
        request["examples"] = json!([example]);
        request
    });
    let kind = json!({ "type": "string", "enum": ["created", "edited", "deleted"] });
    let any_type =
        json!({ "type": "string", "enum": types.iter().copied().chain(["auditLog"]).collect::<Vec<_>>() });
    insert(
        "Change",
        described(&[
            ("entityType", named),
            ("entityId", id.clone()),
            ("label", text.clone()),
            ("kind", kind.clone()),
            ("changedAt", time.clone()),
            (
                "fields",
                json!({
                    "type": "array",
                    "items": described(&[("name", text.clone()), ("base", json!({})), ("current", json!({}))]),
                }),
            ),
        ]),
    );
    insert("ChangePage", {
        let items = json!({ "type": "array", "items": reference("Change") });
        described(&[("items", items), ("nextCursor", nullable(text.clone()))])
    });
    insert(
        "ArchivedChange",
        described(&[
            ("entityType", any_type),
            ("entityId", id.clone()),
            ("label", text.clone()),
            ("kind", kind),
            ("changedAt", time.clone()),
            ("snapshot", json!({ "type": "object" })),
        ]),
    );
    insert(
        "ResetReport",
        described(&[
            ("success", flag.clone()),
            ("deletedCounts", counts.clone()),
            ("archiveId", nullable_id.clone()),
            ("undoExpiresAt", nullable(time.clone())),
            ("durationMs", json!({ "type": "number" })),
            (
                "verification",
                described(&[
                    ("method", json!({ "const": "seal" })),
                    ("baseDataIntact", flag.clone()),
                    ("userChangesCleared", flag.clone()),
                    ("counts", counts.clone()),
                ]),
            ),
        ]),
    );
    insert("UndoRequest", {
        let policies = json!(["fail", "keepCurrent", "restoreArchived", null]);
        let properties = [
            ("archiveId".to_owned(), nullable_id.clone()),
            ("onConflict".to_owned(), json!({ "type": ["string", "null"], "enum": policies })),
        ];
        let mut request = object(properties.into_iter().collect(), &[]);
        request["examples"] = json!([{}, { "onConflict": "keepCurrent" }]);
        request
    });
    insert(
        "UndoReport",
        described(&[
            ("success", flag.clone()),
            ("restoredCounts", counts.clone()),
            ("keptArchivedId", nullable_id.clone()),
            ("replacedArchiveId", nullable_id),
        ]),
    );
    let table = described(&[
        ("table", text.clone()),
        ("expectedRows", count.clone()),
        ("rows", count.clone()),
        ("fingerprintMatches", flag.clone()),
    ]);
    insert(
        "Verification",
        described(&[
            ("method", json!({ "const": "fingerprint" })),
            ("baseDataIntact", flag.clone()),
            ("userChangesCleared", flag),
            ("counts", counts.clone()),
            ("sessionsAtWork", count.clone()),
            ("tables", json!({ "type": "array", "items": table })),
        ]),
    );
    let mut archive = vec![
        ("archiveId", id.clone()),
        ("archivedAt", time.clone()),
        ("undoExpiresAt", time.clone()),
        ("state", json!({ "type": "string", "enum": ["available", "expired", "restored"] })),
        ("counts", counts.clone()),
    ];
    insert("ArchiveSummary", described(&archive));
    let summaries = json!({ "type": "array", "items": reference("ArchiveSummary") });
    insert("Archives", described(&[("items", summaries)]));
    archive.push(("items", json!({ "type": "array", "items": reference("ArchivedChange") })));
    archive.push(("nextCursor", nullable(text.clone())));
    insert("Archive", described(&archive));
    insert(
        "Stats",
        described(&[
            ("base", counts.clone()),
            (
                "sessions",
                described(&[
                    ("total", count.clone()),
                    ("active7d", count.clone()),
                    ("stale30d", count.clone()),
                ]),
            ),
            ("changes", counts.clone()),
            (
                "archives",
                described(&[
                    ("available", count.clone()),
                    ("expired", count.clone()),
                    ("restored", count.clone()),
                ]),
            ),
            ("lastCleanupAt", nullable(time.clone())),
        ]),
    );
    insert(
        "SessionSummary",
        described(&[
            ("sessionId", id),
            ("userId", text),
            ("createdAt", time.clone()),
            ("lastActivityAt", time),
            ("changes", counts),
            ("totalChanges", count.clone()),
        ]),
    );
    insert("SessionPage", page("SessionSummary"));
    insert(
        "CleanupReport",
        described(&[
            ("archivesPurged", count.clone()),
            ("changesPurged", count.clone()),
            ("sessionsArchived", count.clone()),
            ("sessionsRemoved", count),
        ]),
    );
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::bundled::{CurrentUser, auth, console, documents, health, metrics, records};
    use crate::demo;
    use crate::routing::Endpoint;

    fn routed(prefix: &str, endpoints: Vec<Endpoint>) -> BTreeSet<(String, String)> {
        let methods = |endpoint: Endpoint| {
            let path = format!("{prefix}{}", endpoint.path);
            let methods = endpoint.allow.join(", ");
            let methods: Vec<String> = methods.split(", ").map(str::to_lowercase).collect();
            // HEAD answers as GET does and is not documented apart.
            let shown = methods.into_iter().filter(|method| method != "head");
            shown.map(|method| (path.clone(), method)).collect::<Vec<_>>()
        };
        endpoints.into_iter().flat_map(methods).collect()
    }

    #[test]
    fn every_route_is_documented_and_every_documented_operation_is_routed() {
        let mut routes = routed("", health::endpoints());
        routes.extend(routed("", metrics::endpoints()));
        routes.extend(routed("", documents::endpoints()));
        routes.extend(routed("", console::endpoints()));
        routes.extend(routed(BASE_PATH, auth::endpoints()));
        routes.extend(routed(BASE_PATH, records::endpoints()));
        routes.extend(routed(&format!("{BASE_PATH}{}", demo::SCOPE), demo::endpoints::<CurrentUser>()));
        let document = document();
        let paths = document["paths"].as_object().unwrap();
        let documented: BTreeSet<(String, String)> = paths
            .iter()
            .flat_map(|(path, item)| {
                item.as_object().unwrap().keys().map(move |method| (path.clone(), method.clone()))
            })
            .collect();
        assert_eq!(routes, documented);
    }

    #[test]
    fn every_reference_points_at_something_and_every_operation_has_an_id_of_its_own() {
        let document = document();
        let text = document.to_string();
        for part in text.split("\"$ref\":\"#").skip(1) {
            let pointer = part.split('"').next().unwrap();
            assert!(document.pointer(pointer).is_some(), "{pointer}");
        }
        let operations =
            || document["paths"].as_object().unwrap().values().flat_map(|item| item.as_object().unwrap());
        let ids: Vec<&str> =
            operations().map(|(_, operation)| operation["operationId"].as_str().unwrap()).collect();
        let distinct: BTreeSet<&str> = ids.iter().copied().collect();
        assert_eq!(ids.len(), distinct.len());
        // A link leads to an operation that there is.
        let named = text.split("\"operationId\":\"").skip(1).map(|part| part.split('"').next().unwrap());
        assert_eq!(named.collect::<BTreeSet<_>>(), distinct);
    }
}
