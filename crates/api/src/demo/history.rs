//! What a session has changed, and what its archives hold, record by record.

use actix_web::{HttpRequest, HttpResponse};
use chrono::DateTime;
use demo_reset_domain::{Archive, ArchiveId, ChangeKind, UserKey};
use demo_reset_persistence::types::DbTime;
use demo_reset_persistence::{
    ArchivedChange, Change, ChangeFilter, ChangePosition, Error as EngineError, RecordPosition,
};
use serde_json::{Value, json};

use super::names::{EntityNames, Named};
use super::page::{PageRequest, cut};
use super::{SessionUser, State, fresh, session_of};
use crate::body::{path_id, refuse_parameters};
use crate::error::{ApiError, Invalid};
use crate::routing::Endpoint;

/// The routes of this part.
pub(super) fn endpoints<U: SessionUser>() -> Vec<Endpoint> {
    vec![
        Endpoint::at("/changes").get(changes::<U>),
        Endpoint::at("/archives").get(archives::<U>),
        Endpoint::at("/archives/{id}").get(archive::<U>),
    ]
}

/// Time in microseconds, table, key.
type ChangeCursor = (i64, String, String);

async fn changes<U: SessionUser>(
    request: HttpRequest,
    user: U,
    state: State,
) -> Result<HttpResponse, ApiError> {
    let (mut entity_type, mut entity_id, mut kind) = (None, None, None);
    let page = PageRequest::<ChangeCursor>::with(&request, |name, value| match name {
        "entityType" => {
            let types = state.names.types();
            let is_known = types.is_empty() || types.contains(&value);
            entity_type = Some(value.to_owned());
            Some(if is_known { Ok(()) } else { Err(format!("expected one of {}", types.join(", "))) })
        }
        "entityId" => {
            entity_id = Some(value.to_owned());
            Some(Ok(()))
        }
        "kind" => {
            kind = ChangeKind::parse(value);
            Some(kind.map(|_| ()).ok_or_else(|| "expected one of created, edited, deleted".to_owned()))
        }
        _ => None,
    })?;
    let after = page.after.map(|(micros, table, key)| {
        let changed_at = DateTime::from_timestamp_micros(micros);
        changed_at.map(|changed_at| ChangePosition { changed_at, table, key })
    });
    let after = match after {
        Some(None) => {
            return Err(Invalid::one("cursor", "expected the nextCursor of a page of this list").into());
        }
        Some(position) => position,
        None => None,
    };
    let key = user.session_key()?;
    let filter = ChangeFilter { kind, ..change_filter(&state.names, &key, entity_type, entity_id)? };
    let trails = state.names.trails();
    let listed = state.engine.reading(move |engine| {
        let session = session_of(engine, &key)?;
        engine.database().changes_of(session.id, &trails, &filter, after.as_ref(), page.limit + 1)
    });
    let (items, next) = cut(listed.await?, page.limit, |last| {
        let position = &last.position;
        (position.changed_at.timestamp_micros(), position.table.clone(), position.key.clone())
    })?;
    let items: Vec<Value> = items.into_iter().map(|change| describe_change(&state.names, change)).collect();
    Ok(fresh(json!({ "items": items, "nextCursor": next })))
}

fn change_filter(
    names: &EntityNames,
    user: &UserKey,
    entity_type: Option<String>,
    entity_id: Option<String>,
) -> Result<ChangeFilter, ApiError> {
    match (entity_type, entity_id) {
        (None, None) => Ok(ChangeFilter::default()),
        (None, Some(_)) => {
            Err(Invalid::one("entityType", "is required with entityId: ids are of one kind of record").into())
        }
        (Some(entity_type), None) => {
            Ok(ChangeFilter { table: Some(names.table(&entity_type).to_owned()), ..Default::default() })
        }
        (Some(entity_type), Some(entity_id)) => {
            let record = names.record_key(user, &entity_type, &entity_id);
            let record = record.ok_or_else(|| Invalid::one("entityId", "expected an id"))?;
            Ok(ChangeFilter { table: Some(record.table), key: Some(record.key), ..Default::default() })
        }
    }
}

fn describe_change(names: &EntityNames, mut change: Change) -> Value {
    let Named { entity_type, entity_id } = names.name(&change.table, &change.key);
    let row = change.current.as_ref().or(change.base.as_ref()).unwrap_or(&Value::Null);
    let label = names.label(&change.table, &change.key, row);
    change.base = change.base.map(|row| names.record(&change.table, &row));
    change.current = change.current.map(|row| names.record(&change.table, &row));
    let fields: Vec<Value> = change
        .differences()
        .into_iter()
        .map(|(name, base, current)| json!({ "name": name, "base": base, "current": current }))
        .collect();
    json!({
        "entityType": entity_type,
        "entityId": entity_id,
        "label": label,
        "kind": change.kind.as_str(),
        "changedAt": DbTime::new(change.changed_at).to_string(),
        "fields": fields,
    })
}

fn describe_archive(state: &State, archive: &Archive, now: DateTime<chrono::Utc>) -> Value {
    json!({
        "archiveId": archive.id.0,
        "archivedAt": DbTime::new(archive.archived_at).to_string(),
        "undoExpiresAt": DbTime::new(archive.expires_at).to_string(),
        "state": archive.state(now).as_str(),
        "counts": state.names.counts(&archive.counts, true),
    })
}

async fn archives<U: SessionUser>(
    request: HttpRequest,
    user: U,
    state: State,
) -> Result<HttpResponse, ApiError> {
    refuse_parameters(&request)?;
    let key = user.session_key()?;
    let listed = state.engine.reading(move |engine| {
        let session = session_of(engine, &key)?;
        Ok::<_, EngineError>((engine.database().archives(session.id)?, engine.now()))
    });
    let (archives, now) = listed.await?;
    let items: Vec<Value> = archives.iter().map(|archive| describe_archive(&state, archive, now)).collect();
    Ok(fresh(json!({ "items": items })))
}

async fn archive<U: SessionUser>(
    request: HttpRequest,
    user: U,
    state: State,
) -> Result<HttpResponse, ApiError> {
    let id = ArchiveId(path_id(&request, "id")?);
    let page = PageRequest::<(String, String)>::of(&request)?;
    let after = page.after.map(|(table, key)| RecordPosition { table, key });
    let key = user.session_key()?;
    let found = state.engine.reading(move |engine| {
        let session = session_of(engine, &key)?;
        let archives = engine.database().archives(session.id)?;
        // An archive of another session is answered like one that does not exist.
        let archive = archives.into_iter().find(|archive| archive.id == id);
        let archive = archive.ok_or(ApiError::NotFound { what: "archive" })?;
        let changes =
            engine.database().archived_changes_page(session.id, id, after.as_ref(), page.limit + 1)?;
        Ok::<_, ApiError>((archive, changes, engine.now()))
    });
    let (archive, changes, now) = found.await?;
    let (items, next) =
        cut(changes, page.limit, |last| (last.position.table.clone(), last.position.key.clone()))?;
    let items: Vec<Value> = items.iter().map(|change| describe_archived(&state.names, change)).collect();
    let mut answer = describe_archive(&state, &archive, now);
    answer["items"] = items.into();
    answer["nextCursor"] = next.into();
    Ok(fresh(answer))
}

fn describe_archived(names: &EntityNames, change: &ArchivedChange) -> Value {
    let Named { entity_type, entity_id } = names.name(&change.table, &change.key);
    json!({
        "entityType": entity_type,
        "entityId": entity_id,
        "label": names.label(&change.table, &change.key, &change.snapshot),
        "kind": change.kind.as_str(),
        "changedAt": DbTime::new(change.changed_at).to_string(),
        "snapshot": names.record(&change.table, &change.snapshot),
    })
}
