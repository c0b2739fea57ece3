//! Resets and undos that can be asked for again: a repeated request gets the answer of the first one.
//!
//! The answer is stored in the transaction that did the work. So it is there exactly if the work was done, whichever
//! server is asked again and whatever happened in between.

use chrono::{DateTime, Utc};
use demo_reset_domain::{ArchiveId, ChangeCounts, IDEMPOTENCY_WINDOW, OnConflict, SessionId};
use diesel::QueryableByName;
use diesel::sql_types::Text;
use serde_json::Value;

use crate::binding::guard;
use crate::connection::{AnyConnection, Link, SessionConnection, Sql};
use crate::database::{Database, RecordKey, ResetReport, UndoReport};
use crate::error::{Error, Result};
use crate::session::{layer_counts, session_live_layer};
use crate::types::{DbJson, sql};

/// How a repeated request is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// The caller's name for the request, unique in its session.
    pub key: String,
    /// What is asked, in a form in which equal requests are equal.
    pub request: String,
}

/// A reset as a caller asks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResetRequest {
    /// Whose changes go.
    pub session: SessionId,
    /// Only these records, with what depends on them; none for everything.
    pub records: Option<Vec<RecordKey>>,
    /// The id of the archive.
    pub new_id: ArchiveId,
    /// When.
    pub now: DateTime<Utc>,
}

/// An undo as a caller asks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UndoRequest {
    /// Whose changes come back.
    pub session: SessionId,
    /// Which archive; none for the newest that can be.
    pub wanted: Option<ArchiveId>,
    /// What is done about conflicts.
    pub on_conflict: OnConflict,
    /// The id of this request, and of the archive that a conflict may need: no other has it.
    pub new_id: ArchiveId,
    /// When.
    pub now: DateTime<Utc>,
}

#[derive(QueryableByName)]
struct AnswerRow {
    #[diesel(sql_type = Text)]
    request: String,
    #[diesel(sql_type = sql::Json)]
    answer: DbJson,
}

/// What a transaction looks at.
#[derive(Clone, Copy)]
enum Over {
    /// The engine's own tables alone; its first statement writes, a reset's as well as the guard's.
    OwnTables,
    /// The base too, so it waits for one that is being put in place.
    Base,
}

impl Over {
    fn transaction<T>(
        self,
        database: &Database,
        work: impl FnOnce(&mut AnyConnection) -> Result<T>,
    ) -> Result<T> {
        match self {
            Self::OwnTables => database.transaction_write_first(work),
            Self::Base => database.transaction_over_base(work),
        }
    }
}

impl Database {
    /// Resets a session, or some records of it, and makes the answer from the report and what the session holds
    /// afterwards. With a `key` that was used before, nothing is done and the answer of that time returned.
    ///
    /// # Errors
    /// As [`Database::reset`] and [`Database::reset_records`], and [`Error::IdempotencyKeyReused`].
    pub fn reset_answering(
        &self,
        request: &ResetRequest,
        key: Option<&IdempotencyKey>,
        answer: impl FnOnce(&ResetReport, &ChangeCounts) -> Value,
    ) -> Result<Value> {
        let work = |conn: &mut AnyConnection| {
            let ResetRequest { session, new_id, now, .. } = *request;
            let Some(records) = &request.records else {
                // A reset of everything leaves nothing.
                return Ok((self.reset_within(conn, session, new_id, now)?, ChangeCounts::default()));
            };
            let report = self.reset_records_within(conn, session, records, new_id, now)?;
            let layer = session_live_layer(&mut conn.link(), session)?;
            Ok((report, layer_counts(&mut conn.link(), layer)?))
        };
        let mode = match request.records {
            // Which tables there are is nothing to a reset of everything.
            None => Over::OwnTables,
            Some(_) => Over::Base,
        };
        self.answer_once(mode, request.session, key, request.now, work, |(report, left)| answer(report, left))
    }

    /// Undoes a reset and makes the answer from the report. With a `key` that was used before, nothing is done and
    /// the answer of that time returned.
    ///
    /// # Errors
    /// As [`Database::undo`], and [`Error::IdempotencyKeyReused`].
    pub fn undo_answering(
        &self,
        request: &UndoRequest,
        key: Option<&IdempotencyKey>,
        answer: impl FnOnce(&UndoReport) -> Value,
    ) -> Result<Value> {
        if key.is_none() {
            return Ok(answer(&self.undo_request(request)?));
        }
        let work = |conn: &mut AnyConnection| self.undo_within(conn, request);
        self.answer_once(Over::Base, request.session, key, request.now, work, answer)
    }

    /// Does `work` in one transaction, unless the key says that it was done.
    fn answer_once<R>(
        &self,
        over: Over,
        session: SessionId,
        key: Option<&IdempotencyKey>,
        now: DateTime<Utc>,
        work: impl FnOnce(&mut AnyConnection) -> Result<R>,
        answer: impl FnOnce(&R) -> Value,
    ) -> Result<Value> {
        let Some(key) = key else {
            return Ok(answer(&over.transaction(self, work)?));
        };
        over.transaction(self, |conn| {
            // Of two equal requests at once, the second one waits here until the first has its answer.
            let number = guard(&mut conn.link(), session)?.number;
            if let Some(stored) = answer_find(&mut conn.link(), number, key, now)? {
                return Ok(stored);
            }
            let answer = answer(&work(conn)?);
            answer_store(&mut conn.link(), number, key, &answer, now)?;
            Ok(answer)
        })
    }
}

fn answer_find(
    link: &mut Link<'_>,
    session_number: i64,
    key: &IdempotencyKey,
    now: DateTime<Utc>,
) -> Result<Option<Value>> {
    let row: Option<AnswerRow> = link.first(Sql::new(
        "select request, answer from demo_idempotency_keys \
         where session_number = ? and idempotency_key = ? and created_at > ?",
        [session_number.into(), key.key.as_str().into(), (now - IDEMPOTENCY_WINDOW).into()],
    ))?;
    match row {
        Some(row) if row.request != key.request => Err(Error::IdempotencyKeyReused),
        Some(row) => Ok(Some(row.answer.0)),
        None => Ok(None),
    }
}

fn answer_store(
    link: &mut Link<'_>,
    session_number: i64,
    key: &IdempotencyKey,
    answer: &Value,
    now: DateTime<Utc>,
) -> Result<()> {
    link.execute(Sql::new(
        "delete from demo_idempotency_keys where session_number = ? and created_at <= ?",
        [session_number.into(), (now - IDEMPOTENCY_WINDOW).into()],
    ))?;
    link.execute(Sql::new(
        "insert into demo_idempotency_keys (session_number, idempotency_key, request, answer, created_at) \
         values (?, ?, ?, ?, ?)",
        [
            session_number.into(),
            key.key.as_str().into(),
            key.request.as_str().into(),
            answer.clone().into(),
            now.into(),
        ],
    ))?;
    Ok(())
}

/// Forgets answers that are too old to be asked for again.
pub(crate) fn purge_answers(link: &mut Link<'_>, now: DateTime<Utc>) -> Result<()> {
    link.execute(Sql::new(
        "delete from demo_idempotency_keys where created_at <= ?",
        [(now - IDEMPOTENCY_WINDOW).into()],
    ))?;
    Ok(())
}
