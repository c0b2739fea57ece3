//! Records, lists and reference data, each as the signed-in user's session sees them.

use actix_web::http::header::{ContentType, LOCATION};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, web};
use demo_reset_compliance::{
    self as compliance, Activity, Association, AssociationContent, Case, CaseContent, Category, Content,
    Employee, Investigation, InvestigationContent, ListQuery, ListSpec, Location, Message, MessageContent,
    New, Note, NoteContent, Page, Patch, Riu, RiuContent, Subject, SubjectContent, User, Writer,
};
use demo_reset_persistence::{AnyConnection, BaseCounts};
use serde::Serialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::auth::CurrentUser;
use super::state::AppState;
use super::{BASE_PATH, etag};
use crate::body::{Body, parameters, path_id, refuse_parameters};
use crate::error::{ApiError, Invalid};
use crate::routing::Endpoint;

/// What can be listed.
pub(crate) trait Listed: Serialize + Send + Sized + 'static {
    /// What its list can be asked.
    const SPEC: ListSpec;

    /// One page, of the parent in the path where there is one.
    fn list(
        conn: &mut AnyConnection,
        counts: &BaseCounts,
        organization: Uuid,
        parent: Option<Uuid>,
        query: &ListQuery,
    ) -> compliance::Result<Page<Self>>;
}

/// What can be created, read, edited and deleted.
pub(crate) trait Record: Listed {
    /// What users write in it.
    type Content: Content + Send + 'static;
    /// Where single ones are.
    const PATH: &'static str;
    /// The field that names the parent, for records that are listed under one.
    const PARENT: Option<&'static str>;

    /// Its id.
    fn id(&self) -> Uuid;
    /// Refuses where there is no such parent.
    fn check_parent(conn: &mut AnyConnection, organization: Uuid, parent: Uuid) -> compliance::Result<()>;
    /// Reads one.
    fn fetch(conn: &mut AnyConnection, organization: Uuid, id: Uuid) -> compliance::Result<Self>;
    /// Makes one.
    fn create(
        conn: &mut AnyConnection,
        writer: &Writer,
        id: Uuid,
        new: New<Self::Content>,
    ) -> compliance::Result<Self>;
    /// Edits one.
    fn update(
        conn: &mut AnyConnection,
        writer: &Writer,
        id: Uuid,
        patch: &Patch<Self::Content>,
    ) -> compliance::Result<Self>;
    /// Deletes one.
    fn delete(conn: &mut AnyConnection, writer: &Writer, id: Uuid) -> compliance::Result<()>;
}

/// Long lists without a parent, whose base rows are counted once.
macro_rules! listed {
    ($($item:ident => $list:path),+ $(,)?) => {$(
        impl Listed for $item {
            const SPEC: ListSpec = $item::LIST;

            fn list(
                conn: &mut AnyConnection,
                counts: &BaseCounts,
                organization: Uuid,
                _: Option<Uuid>,
                query: &ListQuery,
            ) -> compliance::Result<Page<Self>> {
                $list(conn, counts, organization, query)
            }
        }
    )+};
}

/// Short lists without a parent.
macro_rules! listed_as_a_whole {
    ($($item:ident => $list:path),+ $(,)?) => {$(
        impl Listed for $item {
            const SPEC: ListSpec = $item::LIST;

            fn list(
                conn: &mut AnyConnection,
                _: &BaseCounts,
                organization: Uuid,
                _: Option<Uuid>,
                query: &ListQuery,
            ) -> compliance::Result<Page<Self>> {
                $list(conn, organization, query)
            }
        }
    )+};
}

/// Lists that exist only under a parent.
macro_rules! listed_under {
    ($($item:ident => $list:path),+ $(,)?) => {$(
        impl Listed for $item {
            const SPEC: ListSpec = $item::LIST;

            fn list(
                conn: &mut AnyConnection,
                _: &BaseCounts,
                organization: Uuid,
                parent: Option<Uuid>,
                query: &ListQuery,
            ) -> compliance::Result<Page<Self>> {
                $list(conn, organization, parent.unwrap_or_default(), query)
            }
        }
    )+};
}

/// Names the use cases of one kind of record.
macro_rules! record {
    (
        $record:ident, $content:ident, $path:literal, $parent:expr, $check_parent:path,
        $fetch:path, $create:path, $update:path, $delete:path
    ) => {
        impl Record for $record {
            type Content = $content;
            const PATH: &'static str = $path;
            const PARENT: Option<&'static str> = $parent;

            fn id(&self) -> Uuid {
                self.id.0
            }

            fn check_parent(
                conn: &mut AnyConnection,
                organization: Uuid,
                parent: Uuid,
            ) -> compliance::Result<()> {
                $check_parent(conn, organization, parent)
            }

            fn fetch(conn: &mut AnyConnection, organization: Uuid, id: Uuid) -> compliance::Result<Self> {
                $fetch(conn, organization, id)
            }

            fn create(
                conn: &mut AnyConnection,
                writer: &Writer,
                id: Uuid,
                new: New<$content>,
            ) -> compliance::Result<Self> {
                $create(conn, writer, id, new)
            }

            fn update(
                conn: &mut AnyConnection,
                writer: &Writer,
                id: Uuid,
                patch: &Patch<$content>,
            ) -> compliance::Result<Self> {
                $update(conn, writer, id, patch)
            }

            fn delete(conn: &mut AnyConnection, writer: &Writer, id: Uuid) -> compliance::Result<()> {
                $delete(conn, writer, id)
            }
        }
    };
}

listed! {
    Case => compliance::case_list,
    Riu => compliance::riu_list,
    Employee => compliance::employee_list,
}

listed_as_a_whole! {
    Category => compliance::category_list,
    Location => compliance::location_list,
    User => compliance::user_list,
}

listed_under! {
    Subject => compliance::subject_list,
    Message => compliance::message_list,
    Note => compliance::note_list,
    Association => compliance::association_list,
    Activity => compliance::activity_list,
}

impl Listed for Investigation {
    const SPEC: ListSpec = Investigation::LIST;

    fn list(
        conn: &mut AnyConnection,
        counts: &BaseCounts,
        organization: Uuid,
        parent: Option<Uuid>,
        query: &ListQuery,
    ) -> compliance::Result<Page<Self>> {
        compliance::investigation_list(conn, counts, organization, parent, query)
    }
}

record!(
    Case,
    CaseContent,
    "/cases",
    None,
    compliance::case_exists,
    compliance::case_fetch,
    compliance::case_create,
    compliance::case_update,
    compliance::case_delete
);
record!(
    Riu,
    RiuContent,
    "/rius",
    None,
    compliance::case_exists,
    compliance::riu_fetch,
    compliance::riu_create,
    compliance::riu_update,
    compliance::riu_delete
);
record!(
    Investigation,
    InvestigationContent,
    "/investigations",
    Some("caseId"),
    compliance::case_exists,
    compliance::investigation_fetch,
    compliance::investigation_create,
    compliance::investigation_update,
    compliance::investigation_delete
);
record!(
    Subject,
    SubjectContent,
    "/subjects",
    Some("caseId"),
    compliance::case_exists,
    compliance::subject_fetch,
    compliance::subject_create,
    compliance::subject_update,
    compliance::subject_delete
);
record!(
    Message,
    MessageContent,
    "/messages",
    Some("caseId"),
    compliance::case_exists,
    compliance::message_fetch,
    compliance::message_create,
    compliance::message_update,
    compliance::message_delete
);
record!(
    Note,
    NoteContent,
    "/notes",
    Some("investigationId"),
    compliance::investigation_exists,
    compliance::note_fetch,
    compliance::note_create,
    compliance::note_update,
    compliance::note_delete
);
record!(
    Association,
    AssociationContent,
    "/associations",
    Some("caseId"),
    compliance::case_exists,
    compliance::association_fetch,
    compliance::association_create,
    compliance::association_update,
    compliance::association_delete
);

/// The routes of all records and reference data.
pub(crate) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::at("/cases").get(list::<Case>).post(create::<Case>),
        Endpoint::at("/cases/statistics").get(case_statistics),
        single::<Case>(),
        nested::<Subject>("/cases/{parent}/subjects"),
        nested::<Message>("/cases/{parent}/messages"),
        nested::<Investigation>("/cases/{parent}/investigations"),
        nested::<Association>("/cases/{parent}/rius"),
        Endpoint::at("/cases/{parent}/activity").get(list::<Activity>),
        Endpoint::at("/rius").get(list::<Riu>).post(create::<Riu>),
        single::<Riu>(),
        Endpoint::at("/investigations").get(list::<Investigation>).post(create::<Investigation>),
        single::<Investigation>(),
        nested::<Note>("/investigations/{parent}/notes"),
        single::<Subject>(),
        single::<Message>(),
        single::<Note>(),
        single::<Association>(),
        Endpoint::at("/categories").get(list::<Category>),
        Endpoint::at("/locations").get(list::<Location>),
        Endpoint::at("/employees").get(list::<Employee>),
        Endpoint::at("/users").get(list::<User>),
    ]
}

fn single<R: Record>() -> Endpoint {
    Endpoint::at(format!("{}/{{id}}", R::PATH)).get(fetch::<R>).patch(update::<R>).delete(delete::<R>)
}

fn nested<R: Record>(path: &'static str) -> Endpoint {
    Endpoint::at(path).get(list::<R>).post(create::<R>)
}

type State = web::Data<AppState>;

/// The parent in the path, for lists under one.
fn parent(request: &HttpRequest) -> Result<Option<Uuid>, ApiError> {
    match request.match_info().get("parent") {
        Some(_) => path_id(request, "parent").map(Some),
        None => Ok(None),
    }
}

async fn list<T: Listed>(
    request: HttpRequest,
    user: CurrentUser,
    state: State,
) -> Result<HttpResponse, ApiError> {
    let parent = parent(&request)?;
    let parameters = parameters(&request)?;
    let mut query = T::SPEC.parse(&parameters)?;
    // A cursor holds only for the list, and the order, that it was given for.
    let list_name = format!("{} {}", request.path(), query.sort.as_parameter());
    if let Some((_, cursor)) = parameters.iter().find(|(name, _)| name == "cursor") {
        let after = state.cursors.read(&list_name, cursor);
        let message = "expected the nextCursor of a page of this list in this order";
        query.after = Some(after.ok_or_else(|| Invalid::one("cursor", message))?);
    }
    let counts = state.engine().database().counts();
    let read =
        move |conn: &mut AnyConnection, organization| T::list(conn, &counts, organization, parent, &query);
    let page = state.read(&user, read).await?;
    let next_cursor = page.next.map(|position| state.cursors.write(&list_name, &position));
    versioned(&request, &ListBody { items: page.items, next_cursor, total: page.total })
}

/// A page as it is answered, without a `Value` of each record in between.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ListBody<T> {
    items: Vec<T>,
    next_cursor: Option<String>,
    total: i64,
}

async fn case_statistics(
    request: HttpRequest,
    user: CurrentUser,
    state: State,
) -> Result<HttpResponse, ApiError> {
    refuse_parameters(&request)?;
    let months = state.read(&user, compliance::case_months).await?;
    versioned(&request, &json!({ "months": months }))
}

async fn fetch<R: Record>(
    request: HttpRequest,
    user: CurrentUser,
    state: State,
) -> Result<HttpResponse, ApiError> {
    let id = path_id(&request, "id")?;
    refuse_parameters(&request)?;
    let record = state.read(&user, move |conn, organization| R::fetch(conn, organization, id)).await?;
    versioned(&request, &record)
}

/// The answer with its version, or 304 where the caller has it.
fn versioned<T: Serialize>(request: &HttpRequest, body: &T) -> Result<HttpResponse, ApiError> {
    let (json, version) = Writer::versioned(body)?;
    if etag::is_known(request, &version) {
        return Ok(HttpResponse::NotModified().insert_header(etag::header(&version)).finish());
    }
    Ok(answer(HttpResponse::Ok(), json, &version))
}

/// The answer with a record that was just written, and its version.
fn written<R: Record>(response: HttpResponseBuilder, record: &R) -> Result<HttpResponse, ApiError> {
    let (json, version) = Writer::versioned(record)?;
    Ok(answer(response, json, &version))
}

/// An answer of what was written as JSON for its version: it is not written again.
fn answer(mut response: HttpResponseBuilder, json: Vec<u8>, version: &str) -> HttpResponse {
    response.insert_header(etag::header(version)).content_type(ContentType::json()).body(json)
}

async fn create<R: Record>(
    request: HttpRequest,
    user: CurrentUser,
    state: State,
    body: Body,
) -> Result<HttpResponse, ApiError> {
    let parent = parent(&request)?;
    refuse_parameters(&request)?;
    let mut body = body.object()?;
    if let (Some(field), Some(parent)) = (R::PARENT, parent) {
        name_parent(&mut body, field, parent)?;
    }
    let new = New::<R::Content>::parse(&body)?;
    let create = state.write(&user, None, move |conn, writer, id| {
        R::create(conn, writer, id, new).map_err(|refusal| match (R::PARENT, parent) {
            // One that there is not is no field of the body.
            (Some(field), Some(parent)) if refusal.names(field) => {
                let organization = writer.actor.organization_id;
                R::check_parent(conn, organization, parent).err().unwrap_or(refusal)
            }
            _ => refusal,
        })
    });
    let record = create.await?;
    let location = format!("{BASE_PATH}{}/{}", R::PATH, record.id());
    let mut created = HttpResponse::Created();
    created.insert_header((LOCATION, location));
    written(created, &record)
}

/// The parent stands in the path; the body may repeat it but not name another.
fn name_parent(body: &mut Map<String, Value>, field: &str, parent: Uuid) -> Result<(), ApiError> {
    let named = body.entry(field).or_insert_with(|| parent.to_string().into());
    let is_same = named.as_str().is_some_and(|text| text.eq_ignore_ascii_case(&parent.to_string()));
    if is_same { Ok(()) } else { Err(Invalid::one(field, "expected the id in the path, or none").into()) }
}

async fn update<R: Record>(
    request: HttpRequest,
    user: CurrentUser,
    state: State,
    body: Body,
) -> Result<HttpResponse, ApiError> {
    let id = path_id(&request, "id")?;
    refuse_parameters(&request)?;
    let expected = etag::expected(&request);
    let patch = Patch::<R::Content>::parse(&body.object()?)?;
    let update = state.write(&user, expected, move |conn, writer, _| R::update(conn, writer, id, &patch));
    written(HttpResponse::Ok(), &update.await?)
}

async fn delete<R: Record>(
    request: HttpRequest,
    user: CurrentUser,
    state: State,
) -> Result<HttpResponse, ApiError> {
    let id = path_id(&request, "id")?;
    refuse_parameters(&request)?;
    let expected = etag::expected(&request);
    state.write(&user, expected, move |conn, writer, _| R::delete(conn, writer, id)).await?;
    Ok(HttpResponse::NoContent().finish())
}
