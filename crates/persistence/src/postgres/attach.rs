//! Puts the tables of `public` under sessions: change tables, views, triggers and the grants of the application
//! role.

use diesel::QueryableByName;
use diesel::connection::{AnsiTransactionManager, TransactionManager};
use diesel::sql_types::{Bool, Text};

use super::connect::{APPLICATION_ROLE, MAY_SET_ROLE};
use super::ddl::{self, shadow_sequence};
use super::discover::discover;
use crate::adapt;
use crate::attach::{AttachOptions, Attached, AttachedRow, ViewSpec, attached_rows, change_count};
use crate::connection::{Link, Sql};
use crate::dialect::Dialect;
use crate::error::{Error, Result};
use crate::host::{AttachReport, Note, NoteKind};
use crate::spec::TableSpec;
use crate::sql_text::{join, literal, quote};

#[derive(QueryableByName)]
struct Flag {
    #[diesel(sql_type = Bool)]
    flag: bool,
}

#[derive(QueryableByName)]
struct TextRow {
    #[diesel(sql_type = Text)]
    text: String,
}

/// Discovers the attached tables. Runs in a transaction.
pub(crate) fn attached(link: &mut Link<'_>) -> Result<Attached> {
    let names = attached_rows(link)?;
    let tracking: Option<Flag> =
        link.first(Sql::new("select tracking_columns as flag from demo.demo_base", []))?;
    let discovery = discover(link)?;
    let (tables, outside) =
        discovery.tables.into_iter().partition(|table| names.iter().any(|row| row.name == table.name));
    Ok(Attached {
        tables,
        outside,
        views: discovery.views,
        tracking_columns: tracking.is_some_and(|row| row.flag),
    })
}

/// What attaching with `options` would cover. Runs in a transaction.
pub(crate) fn report(link: &mut Link<'_>, options: &AttachOptions) -> Result<AttachReport> {
    Ok(AttachReport::of(&discover(link)?, options, Dialect::Postgres))
}

/// Makes what is missing, makes anew what has changed (or, where `views_are_gone`, all views), and removes what is no
/// longer attached. Runs in a transaction of the owner.
///
/// No change is ever dropped: where changes do not fit the new definition of their table, the attach is refused with
/// the difference.
pub(crate) fn attach(
    link: &mut Link<'_>,
    options: &AttachOptions,
    views_are_gone: bool,
) -> Result<(Attached, AttachReport)> {
    let discovery = discover(link)?;
    let is_wanted = |name: &str| options.wants(name, Dialect::Postgres);
    let mut reasons: Vec<String> = discovery
        .refused
        .iter()
        .filter(|(name, _)| is_wanted(name))
        .map(|(name, reason)| format!("table {name}: {reason}"))
        .collect();
    for wanted in options.tables.iter().flatten() {
        let is_known = discovery.tables.iter().any(|table| table.name == *wanted)
            || discovery.refused.iter().any(|(name, _)| name == wanted);
        if !is_known {
            reasons.push(format!("table {wanted}: the schema public has no such table"));
        }
    }
    let mut report = AttachReport::of(&discovery, options, Dialect::Postgres);
    let (tables, outside): (Vec<_>, Vec<_>) =
        discovery.tables.into_iter().partition(|table| is_wanted(&table.name));
    if tables.is_empty() && reasons.is_empty() {
        reasons.push("the schema public has no table to attach".to_owned());
    }
    let attached = Attached::new(tables, outside, discovery.views, options);
    let existing = attached_rows(link)?;
    let objects = ddl::objects(&attached);
    let objects_hash = objects_hash(&objects, &attached);
    let is_same = |table: &TableSpec, row: &AttachedRow| {
        row.name == table.name && row.definition == definition(table, &objects_hash)
    };
    if !views_are_gone
        && existing.len() == attached.tables.len()
        && attached.tables.iter().all(|table| existing.iter().any(|row| is_same(table, row)))
        && reasons.is_empty()
    {
        make_room(link, &attached.tables)?;
        return Ok((attached, report));
    }
    for row in &existing {
        if !attached.tables.iter().any(|table| table.name == row.name) {
            let changes = change_count(link, &row.name)?;
            if changes > 0 {
                reasons.push(format!(
                    "table {}: it is gone or no longer wanted, but sessions hold {changes} change(s) to it",
                    row.name
                ));
            }
        }
    }
    if !reasons.is_empty() {
        return Err(Error::Attach { reasons });
    }
    drop_views(link)?;
    drop_host_triggers(link)?;
    shadow_sequences(link, &attached.tables)?;
    for row in &existing {
        if !attached.tables.iter().any(|table| table.name == row.name) {
            report.tables_changed = true;
            link.batch(&format!("drop table demo_changes.{};", quote(&row.name)))?;
        }
    }
    for table in &attached.tables {
        match existing.iter().find(|row| row.name == table.name) {
            Some(row) if row.definition.starts_with(&change_table_hash(table)) => continue,
            Some(_) => report.adapted.push(adapt::rebuild(link, table)?),
            None => adapt::make(link, table)?,
        }
        report.tables_changed = true;
    }
    make_room(link, &attached.tables)?;
    link.batch(&objects)?;
    put_views_in_front(link, &attached.views, &mut report)?;
    link.batch(&ddl::archived_changes_view(&attached.tables))?;
    link.batch("delete from demo.demo_attached_tables;")?;
    for table in &attached.tables {
        link.execute(Sql::new(
            "insert into demo.demo_attached_tables (name, definition) values (?, ?)",
            [table.name.as_str().into(), definition(table, &objects_hash).as_str().into()],
        ))?;
    }
    grant(link)?;
    Ok((attached, report))
}

/// Makes room in change tables that have none yet, or none any more.
fn make_room(link: &mut Link<'_>, tables: &[TableSpec]) -> Result<()> {
    let short: Vec<TextRow> = link.load(Sql::new(
        "select relname::text as text from pg_class where relnamespace = 'demo_changes'::regnamespace \
         and relkind = 'r' and pg_relation_size(oid) < ? * current_setting('block_size')::bigint",
        [i64::from(ddl::ROOM).into()],
    ))?;
    let short = tables.iter().filter(|table| short.iter().any(|row| row.text == table.name));
    link.batch(&short.map(ddl::make_room).collect::<String>())
}

/// Removes every view in front of the host's tables and views, and the view over all archives.
pub(crate) fn drop_views(link: &mut Link<'_>) -> Result<()> {
    let views: Vec<TextRow> = link.load(Sql::new(
        "select quote_ident(relname) as text from pg_class \
         where relnamespace = 'demo'::regnamespace and relkind = 'v' order by oid",
        [],
    ))?;
    link.batch(&join(
        views.iter().map(|view| format!("drop view if exists demo.{} cascade;", view.text)),
        "\n",
    ))
}

/// Removes the clones of the host's triggers.
fn drop_host_triggers(link: &mut Link<'_>) -> Result<()> {
    let triggers: Vec<TextRow> = link.load(Sql::new(
        "select format('drop trigger %I on demo_changes.%I;', t.tgname, c.relname) as text \
         from pg_trigger t join pg_class c on c.oid = t.tgrelid join pg_proc p on p.oid = t.tgfoid \
         where c.relnamespace = 'demo_changes'::regnamespace and not t.tgisinternal \
         and p.pronamespace not in ('demo'::regnamespace, 'demo_changes'::regnamespace)",
        [],
    ))?;
    link.batch(&join(triggers.into_iter().map(|row| row.text), "\n"))
}

/// Makes the host's views again in front of themselves, over the views of the tables. One that does not stand there
/// (a GROUP BY of a primary key does not imply the other columns of a view) is shadowed by one that refuses to be
/// read: it would show the base alone.
fn put_views_in_front(link: &mut Link<'_>, views: &[ViewSpec], report: &mut AttachReport) -> Result<()> {
    for view in views {
        let name = quote(&view.name);
        let made =
            savepoint(link, |link| link.batch(&format!("create view demo.{name} {};", view.definition)));
        let Err(error) = made else { continue };
        report.views.retain(|carried| *carried != view.name);
        report.notes.push(Note {
            kind: NoteKind::ViewNotCarried,
            object: view.name.clone(),
            reason: format!("sessions cannot read it, since it cannot be made over their views: {error}"),
        });
        let columns: Vec<TextRow> = link.load(Sql::new(
            "select format('null::%s as %I', format_type(atttypid, atttypmod), attname) as text \
             from pg_attribute where attrelid = ?::regclass and attnum > 0 and not attisdropped order by attnum",
            [format!("public.{name}").as_str().into()],
        ))?;
        link.batch(&format!(
            "create view demo.{name} as select {} where demo.refuse_view({});",
            join(columns.into_iter().map(|column| column.text), ", "),
            literal(&view.name)
        ))?;
    }
    Ok(())
}

/// Runs `work` so that its failure leaves the transaction usable.
pub(crate) fn savepoint<T>(link: &mut Link<'_>, work: impl FnOnce(&mut Link<'_>) -> Result<T>) -> Result<T> {
    let Link::Postgres(conn) = link else { return work(link) };
    AnsiTransactionManager::begin_transaction(&mut **conn)?;
    match work(&mut Link::Postgres(conn)) {
        Ok(value) => {
            AnsiTransactionManager::commit_transaction(&mut **conn)?;
            Ok(value)
        }
        Err(error) => {
            AnsiTransactionManager::rollback_transaction(&mut **conn)?;
            Err(error)
        }
    }
}

/// What is attached, for a login that may not attach: refused where the views and triggers are not those that this
/// version would make. Runs in a transaction.
pub(crate) fn attached_currently(link: &mut Link<'_>, options: &AttachOptions) -> Result<Attached> {
    let attached = attached(link)?;
    let objects_hash = objects_hash(&ddl::objects(&attached), &attached);
    let existing = attached_rows(link)?;
    let is_current = |table: &TableSpec| {
        let row = existing.iter().find(|row| row.name == table.name);
        row.is_some_and(|row| row.definition == definition(table, &objects_hash))
    };
    let is_as_asked = attached.tracking_columns == options.tracking_columns
        && attached.outside.iter().all(|table| !options.wants(&table.name, Dialect::Postgres))
        && attached.tables.iter().all(|table| options.wants(&table.name, Dialect::Postgres));
    if is_as_asked && existing.len() == attached.tables.len() && attached.tables.iter().all(is_current) {
        Ok(attached)
    } else {
        Err(Error::OlderSchema { pending: vec!["the views of this version".to_owned()] })
    }
}

/// Stands for all views and triggers, those in front of the host's views included.
fn objects_hash(objects: &str, attached: &Attached) -> String {
    hash(&format!("{objects}{:?}", attached.views))
}

fn hash(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex().to_string()
}

fn change_table_hash(table: &TableSpec) -> String {
    // The generated text says LIKE for the columns: they count too.
    let columns: Vec<String> = table.columns.iter().map(|column| format!("{column:?}")).collect();
    hash(&format!("{}\n{}\n{:?}", ddl::change_table(table), columns.join("\n"), table.checks))
}

/// What is stored of a table: its change table, and the views and triggers of all tables, which refer to each
/// other.
fn definition(table: &TableSpec, objects_hash: &str) -> String {
    format!("{}:{objects_hash}", change_table_hash(table))
}

/// Makes sequences in `demo`, beyond what the base has used: one for each of `public`, of the same name, and one for
/// each other that a default takes numbers from.
fn shadow_sequences(link: &mut Link<'_>, tables: &[TableSpec]) -> Result<()> {
    let of_public: Vec<TextRow> = link.load(Sql::new(
        "select 'public.' || quote_ident(c.relname) as text from pg_class c \
         where c.relnamespace = 'public'::regnamespace and c.relkind = 'S' \
         and case when c.relkind = 'S' then has_sequence_privilege(c.oid, 'select') end order by c.relname",
        [],
    ))?;
    let mut sequences: Vec<(String, Option<String>)> =
        of_public.into_iter().map(|row| (row.text, None)).collect();
    for table in tables {
        for column in &table.columns {
            // Rows that were loaded with their numbers have not advanced the sequence.
            let highest = format!("select max({}) from public.{}", quote(&column.name), quote(&table.name));
            let named = column.default.as_deref().map(ddl::sequences_of).unwrap_or_default();
            let own = column.sequence.iter().map(|sequence| (sequence.clone(), Some(highest.clone())));
            for (sequence, highest) in own.chain(named.into_iter().map(|sequence| (sequence, None))) {
                match sequences.iter_mut().find(|(known, _)| *known == sequence) {
                    Some((_, known)) => *known = known.take().or(highest),
                    None => sequences.push((sequence, highest)),
                }
            }
        }
    }
    for (sequence, highest) in sequences {
        shadow(link, &sequence, highest.as_deref())?;
    }
    Ok(())
}

/// Makes or moves on the shadow of one sequence: its next number is beyond that of both and, where a column is its
/// own, beyond the `highest` number there.
fn shadow(link: &mut Link<'_>, sequence: &str, highest: Option<&str>) -> Result<()> {
    let shadow = shadow_sequence(sequence);
    let options: Option<TextRow> = link.first(Sql::new(
        "select format('as %s increment by %s minvalue %s maxvalue %s start with %s %s', seqtypid::regtype, \
         seqincrement, seqmin, seqmax, seqstart, case when seqcycle then 'cycle' else 'no cycle' end) as text \
         from pg_sequence where seqrelid = ?::regclass",
        [sequence.into()],
    ))?;
    let Some(options) = options else { return Ok(()) };
    link.batch(&format!("create sequence if not exists {shadow} {};", options.text))?;
    let next = |of: &str| {
        format!("(select case when is_called then last_value::numeric + p.by else last_value end from {of})")
    };
    let highest = highest.map_or_else(String::new, |query| format!(", (({query})::numeric + p.by)"));
    link.batch(&format!(
        "select setval({name}::regclass, \
           case when n.next between p.low and p.high then n.next \
                when p.by > 0 then p.high else p.low end::bigint, \
           n.next not between p.low and p.high) \
         from (select seqincrement as by, seqmin as low, seqmax as high from pg_sequence \
           where seqrelid = {name}::regclass) p \
         cross join lateral (select case when p.by > 0 then greatest({nexts}) else least({nexts}) end as next) n;",
        name = literal(&shadow),
        nexts = format!("{}, {}{highest}", next(&shadow), next(sequence)),
    ))
}

/// Relations of `public` that the login may give rights on, each qualified.
fn own_relations(link: &mut Link<'_>) -> Result<Vec<String>> {
    let relations: Vec<TextRow> = link.load(Sql::new(
        "select 'public.' || quote_ident(relname) as text from pg_class \
         where relnamespace = 'public'::regnamespace and relkind in ('r', 'p', 'v', 'm', 'f') \
         and pg_has_role(current_user, relowner, 'usage') order by relname",
        [],
    ))?;
    Ok(relations.into_iter().map(|row| row.text).collect())
}

/// A statement about roles, which belong to the whole server: who brings up another database there at the same time may do
/// the same, is waited for, and then has done it.
fn unless_done(statement: &str) -> String {
    format!("do $$ begin {statement}; exception when duplicate_object or unique_violation then null; end $$")
}

/// Makes the application role if it is missing, and gives it what a server needs: to read base tables, to write
/// through views, and the engine's own tables.
pub(crate) fn grant(link: &mut Link<'_>) -> Result<()> {
    let role = quote(APPLICATION_ROLE);
    let exists: Option<Flag> = link
        .first(Sql::new("select true as flag from pg_roles where rolname = ?", [APPLICATION_ROLE.into()]))?;
    if exists.is_none() {
        link.batch(&unless_done(&format!("create role {role} nologin")))?;
    }
    let is_member: Option<Flag> = link.first(Sql::new(
        &format!("select {MAY_SET_ROLE} as flag from pg_roles where rolname = ?"),
        [APPLICATION_ROLE.into()],
    ))?;
    if !is_member.is_some_and(|row| row.flag) {
        link.batch(&unless_done(&format!("grant {role} to current_user")))?;
    }
    let relations = own_relations(link)?.join(", ");
    if !relations.is_empty() {
        link.batch(&format!(
            "grant select on {relations} to {role};
             revoke insert, update, delete, truncate, references, trigger on {relations} from {role};"
        ))?;
    }
    link.batch(&format!(
        "grant usage on schema public, demo, demo_changes to {role};
         grant select, insert, update, delete on all tables in schema demo, demo_changes to {role};
         grant usage, select, update on all sequences in schema demo to {role};
         grant execute on all functions in schema demo, demo_changes to {role};
         revoke insert, update, delete on demo.demo_base, demo.demo_manifest, demo.demo_row_seals, demo.demo_attached_tables, \
           demo.__diesel_schema_migrations from {role};"
    ))
}

/// Takes back what [`grant`] gave in `public`.
pub(crate) fn revoke(link: &mut Link<'_>) -> Result<()> {
    let role = quote(APPLICATION_ROLE);
    let relations = own_relations(link)?.join(", ");
    if !relations.is_empty() {
        link.batch(&format!("revoke select on {relations} from {role};"))?;
    }
    link.batch(&format!("revoke usage on schema public from {role};"))
}
