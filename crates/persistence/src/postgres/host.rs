//! A host's PostgreSQL database: two schemas beside its own, guard triggers and grants on what is attached.

use chrono::{DateTime, Utc};
use diesel::PgConnection;
use diesel::QueryableByName;
use diesel::sql_types::{Bool, Text};

use super::attach::{self, savepoint};
use super::base;
use super::connect::{self, APPLICATION_ROLE};
use crate::attach::{AttachOptions, Claim};
use crate::binding::{Mode, in_transaction};
use crate::connection::{Link, SessionConnection, Sql};
use crate::dialect::Dialect;
use crate::error::{Error, Result};
use crate::held;
use crate::host::{AttachReport, CheckReport, DetachReport, HostStatus};
use crate::sql_text::join;
use crate::url::DatabaseUrl;
use crate::{migrate, statements};

#[derive(QueryableByName)]
struct TextRow {
    #[diesel(sql_type = Text)]
    text: String,
}

#[derive(QueryableByName)]
struct Flag {
    #[diesel(sql_type = Bool)]
    flag: bool,
}

/// Puts the tables of `public` under sessions, in one transaction: a refusal leaves nothing.
pub(crate) fn attach(text: &str, options: &AttachOptions, now: DateTime<Utc>) -> Result<AttachReport> {
    let mut conn = connect::open(text)?;
    in_transaction(&mut conn, Mode::Write, |conn| {
        let reasons = obstacles(&mut conn.link(), options)?;
        if !reasons.is_empty() {
            return Err(Error::Attach { reasons });
        }
        migrate::migrate_postgres(conn)?;
        Ok(base::take_up_in(conn, options, Claim::Attach, now)?.1)
    })
}

/// What carries the report of a check out of its transaction, which is always rolled back.
enum Tried {
    Done(Box<CheckReport>),
    Failed(Error),
}

impl From<Error> for Tried {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// A dry run: the attach itself, rolled back.
pub(crate) fn check(
    text: &str,
    options: &AttachOptions,
    statements: &[String],
    now: DateTime<Utc>,
) -> Result<CheckReport> {
    let mut conn = connect::open(text)?;
    let tried: std::result::Result<(), Tried> = in_transaction(&mut conn, Mode::Write, |conn| {
        Err(Tried::Done(Box::new(check_in(conn, options, statements, now)?)))
    });
    match tried {
        Err(Tried::Done(report)) => Ok(*report),
        Err(Tried::Failed(error)) => Err(error),
        Ok(()) => Err(Error::Unavailable("the check did not end".to_owned())),
    }
}

fn check_in(
    conn: &mut PgConnection,
    options: &AttachOptions,
    statements: &[String],
    now: DateTime<Utc>,
) -> Result<CheckReport> {
    let mut refused = obstacles(&mut conn.link(), options)?;
    let mut findings = Vec::new();
    let mut report = None;
    if refused.is_empty() {
        let tried = savepoint(&mut conn.link(), |link| {
            let Link::Postgres(conn) = link else { return Err(Error::UnknownSession) };
            migrate::migrate_postgres(conn)?;
            let (attached, report) = base::take_up_in(conn, options, Claim::Attach, now)?;
            let found = statements::check(statements, &attached, Dialect::Postgres, |statement| {
                Ok(prepare(&mut conn.link(), statement).err().map(|error| error.to_string()))
            });
            Ok((report, found?))
        });
        match tried {
            Ok((tried, found)) => (report, findings) = (Some(tried), found),
            Err(Error::Attach { reasons }) => refused = reasons,
            Err(error) => return Err(error),
        }
    }
    let report = match report {
        Some(report) => report,
        None => attach::report(&mut conn.link(), options)?,
    };
    Ok(CheckReport { report, refused, statements: findings })
}

/// Has the database plan a statement, whatever its parameters are.
fn prepare(link: &mut Link<'_>, statement: &str) -> Result<()> {
    savepoint(link, |link| {
        link.batch(&format!("prepare demo_check as {statement}"))?;
        let nulls: Option<TextRow> = link.first(Sql::new(
            "select coalesce('(' || nullif(array_to_string(array_fill('null'::text, \
             array[cardinality(parameter_types)]), ', '), '') || ')', '') as text \
             from pg_prepared_statements where name = 'demo_check'",
            [],
        ))?;
        let arguments = nulls.map(|row| row.text).unwrap_or_default();
        let planned = link.batch(&format!("explain execute demo_check{arguments}"));
        // Prepared statements outlive a transaction.
        if planned.is_ok() {
            link.batch("deallocate demo_check")?;
        }
        planned
    })
    .inspect_err(|_| {
        // Where planning failed, the savepoint is rolled back but the statement is still there.
        let _ = savepoint(link, |link| link.batch("deallocate demo_check"));
    })
}

/// What stands in the way of an attach before any table is looked at: rights, and names that are taken.
fn obstacles(link: &mut Link<'_>, options: &AttachOptions) -> Result<Vec<String>> {
    let mut reasons = Vec::new();
    if base::has_engine(link)? {
        return Ok(reasons);
    }
    let taken: Vec<TextRow> = link.load(Sql::new(
        "select nspname::text as text from pg_namespace where nspname in ('demo', 'demo_changes') \
         and to_regclass('demo.demo_base') is null",
        [],
    ))?;
    reasons.extend(
        taken.iter().map(|row| format!("schema {}: it exists and is not the engine's: rename it", row.text)),
    );
    let flag = |link: &mut Link<'_>, sql: &str| -> Result<bool> {
        Ok(link.first::<Flag>(Sql::new(sql, []))?.is_some_and(|row| row.flag))
    };
    if !flag(link, "select has_database_privilege(current_database(), 'create') as flag")? {
        reasons.push("the login may not create schemas in this database".to_owned());
    }
    let may_make_roles =
        "select rolcreaterole or rolsuper as flag from pg_roles where rolname = current_user";
    let is_member = format!(
        "select coalesce((select pg_has_role(current_user, oid, 'member') from pg_roles \
         where rolname = '{APPLICATION_ROLE}'), false) as flag"
    );
    if !flag(link, may_make_roles)? && !flag(link, &is_member)? {
        reasons.push(format!(
            "the login may not create roles, and is no member of {APPLICATION_ROLE}: let an administrator run \
             `create role {APPLICATION_ROLE} nologin; grant {APPLICATION_ROLE} to` this login"
        ));
    }
    let foreign: Vec<TextRow> = link.load(Sql::new(
        "select relname::text as text from pg_class where relnamespace = 'public'::regnamespace \
         and relkind in ('r', 'p') and not relispartition \
         and not pg_has_role(current_user, relowner, 'usage') order by relname",
        [],
    ))?;
    let foreign = foreign.into_iter().filter(|row| options.wants(&row.text, Dialect::Postgres));
    reasons
        .extend(foreign.map(|row| format!("table {}: it belongs to another role than the login", row.text)));
    Ok(reasons)
}

/// What a host's base was attached with.
pub(crate) fn attached_with(text: &str) -> Result<Option<AttachOptions>> {
    let mut conn = connect::open(text)?;
    let mut link = conn.link();
    if base::has_engine(&mut link)? { held::attached_with(&mut link) } else { Ok(None) }
}

/// How it stands.
pub(crate) fn status(text: &str, now: DateTime<Utc>) -> Result<Option<HostStatus>> {
    let mut conn = connect::open(text)?;
    let mut link = conn.link();
    if base::has_engine(&mut link)? { held::host_status(&mut link, now) } else { Ok(None) }
}

/// Tables that are guarded.
fn sealed_tables(link: &mut Link<'_>) -> Result<Vec<String>> {
    let rows: Vec<TextRow> = link.load(Sql::new(
        "select m.table_name as text from demo.demo_manifest m join pg_class c on c.relname = m.table_name \
         where c.relnamespace = 'public'::regnamespace order by 1",
        [],
    ))?;
    Ok(rows.into_iter().map(|row| row.text).collect())
}

/// Takes the guards off the host's tables.
fn unguard(link: &mut Link<'_>) -> Result<()> {
    let tables = sealed_tables(link)?;
    link.batch(&tables.iter().map(|table| base::unguard(table)).collect::<String>())
}

/// Binding a session is refused while sessions are suspended. Without the views, a program that went on would write
/// the host's tables.
const REFUSE_BINDING: &str = "do $do$
declare f record;
begin
  for f in select p.oid, p.proname::text as name, pg_get_function_arguments(p.oid) as arguments,
      pg_get_function_result(p.oid) as result
    from pg_proc p where p.pronamespace = 'demo'::regnamespace and p.proname in ('bind_session', 'bind_user')
    and not exists (select 1 from pg_proc o
      where o.pronamespace = p.pronamespace and o.proname = p.proname || '_attached')
  loop
    execute format('alter function %s rename to %I', f.oid::regprocedure, f.name || '_attached');
    execute format('create function demo.%I(%s) returns %s language plpgsql as $$ begin raise exception '
      || quote_literal('demo-reset: sessions are suspended') || ' using errcode = ' || quote_literal('55000')
      || ', hint = ' || quote_literal('demo-reset attach takes them up again.') || '; end $$',
      f.name, f.arguments, f.result);
  end loop;
end
$do$;";

const ALLOW_BINDING: &str = "do $do$
declare f record;
begin
  for f in select p.oid::regprocedure as attached, replace(p.proname, '_attached', '') as name from pg_proc p
    where p.pronamespace = 'demo'::regnamespace and p.proname in ('bind_session_attached', 'bind_user_attached')
  loop
    execute format('drop function %s', replace(f.attached::text, f.name || '_attached', f.name));
    execute format('alter function %s rename to %I', f.attached, f.name);
  end loop;
end
$do$;";

/// Lets sessions be bound again. Runs in a transaction.
pub(crate) fn resume(link: &mut Link<'_>) -> Result<()> {
    link.batch(ALLOW_BINDING)
}

/// Takes views and guards away, and keeps the layers.
pub(crate) fn suspend(url: &DatabaseUrl, text: &str) -> Result<()> {
    let mut conn = connect::open(text)?;
    in_transaction(&mut conn, Mode::Write, |conn| {
        let mut link = conn.link();
        lock_attached(&mut link, url)?;
        attach::drop_views(&mut link)?;
        unguard(&mut link)?;
        link.batch(REFUSE_BINDING)?;
        link.batch("update demo.demo_base set sealed_at = null;")
    })
}

/// Waits for whoever attaches or loads, and refuses a database that is not attached.
fn lock_attached(link: &mut Link<'_>, url: &DatabaseUrl) -> Result<()> {
    link.batch("select pg_advisory_xact_lock(hashtext('demo-reset'), 1)")?;
    let is_attached = base::has_engine(link)? && held::attached_with(link)?.is_some();
    if is_attached { Ok(()) } else { Err(Error::NotAttached { url: url.to_string() }) }
}

/// What of the host's depends on the engine's objects, and would go with them.
const DEPENDENTS: &str = "select distinct pg_describe_object(d.classid, d.objid, d.objsubid) as text \
     from pg_depend d left join pg_rewrite r on d.classid = 'pg_rewrite'::regclass and r.oid = d.objid \
     left join pg_trigger t on d.classid = 'pg_trigger'::regclass and t.oid = d.objid \
     left join pg_attrdef a on d.classid = 'pg_attrdef'::regclass and a.oid = d.objid \
     left join pg_constraint x on d.classid = 'pg_constraint'::regclass and x.oid = d.objid \
     left join pg_class c on c.oid = coalesce(r.ev_class, t.tgrelid, a.adrelid, x.conrelid) \
     where d.deptype = 'n' and c.relnamespace is not null \
     and c.relnamespace not in ('demo'::regnamespace, 'demo_changes'::regnamespace) \
     and ((d.refclassid = 'pg_class'::regclass and d.refobjid in (select oid from pg_class \
         where relnamespace in ('demo'::regnamespace, 'demo_changes'::regnamespace))) \
       or (d.refclassid = 'pg_proc'::regclass and d.refobjid in (select oid from pg_proc \
         where pronamespace in ('demo'::regnamespace, 'demo_changes'::regnamespace))))";

/// Takes everything of the engine's away.
pub(crate) fn detach(
    url: &DatabaseUrl,
    text: &str,
    confirmed: bool,
    now: DateTime<Utc>,
) -> Result<DetachReport> {
    let mut conn = connect::open(text)?;
    in_transaction(&mut conn, Mode::Write, |conn| {
        let mut link = conn.link();
        lock_attached(&mut link, url)?;
        let report = held::may_be_lost(&mut link, confirmed, now)?;
        unguard(&mut link)?;
        let dependents: Vec<TextRow> = link.load(Sql::new(DEPENDENTS, []))?;
        if !dependents.is_empty() {
            let dependents = join(dependents.into_iter().map(|row| row.text), ", ");
            return Err(Error::Unavailable(format!(
                "objects of the host's depend on the views of sessions: drop them first: {dependents}"
            )));
        }
        attach::revoke(&mut link)?;
        link.batch("drop schema demo, demo_changes cascade;")?;
        Ok(report)
    })
}
