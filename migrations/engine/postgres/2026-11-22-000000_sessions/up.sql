-- The engine's own tables and functions, in the schema `demo`. Runs with search_path = demo, so that Diesel's
-- bookkeeping of these migrations stands there too and never meets the host's.

-- Change tables stand here under the host's own table, index and constraint names.
create schema demo_changes;

-- One session per user and organization. `live_layer` is where its changes go; layers are numbered
-- `number * 2^24 + n`, so that a reset can give out the next one without asking anything but this row.
create table demo.demo_user_sessions (
  number bigint generated always as identity primary key,
  id uuid not null unique,
  organization_id text not null,
  user_id text not null,
  created_at timestamptz not null,
  last_activity_at timestamptz not null,
  live_layer bigint not null,
  -- The base epoch that the live layer was made over.
  live_epoch bigint not null,
  layers_used bigint not null default 1,
  archives_made bigint not null default 0,
  -- Counts units of work that wrote. Updating it first is what puts the writes of one session in a row.
  writes bigint not null default 0,
  unique (organization_id, user_id)
) with (fillfactor = 70);
create index demo_user_sessions_by_activity on demo.demo_user_sessions (last_activity_at);

-- Layers that a reset retired. The purge walks them by expiry.
create table demo.demo_archives (
  session_number bigint not null references demo.demo_user_sessions (number),
  ordinal bigint not null,
  id uuid not null,
  session_id uuid not null,
  layer bigint not null,
  epoch bigint not null,
  archived_at timestamptz not null,
  -- Undoable while now < expires_at.
  expires_at timestamptz not null,
  restored_at timestamptz,
  -- What the layer held when it was archived: {"table": [created, edited, deleted]}.
  counts jsonb not null,
  primary key (session_number, ordinal)
);
create index demo_archives_by_expiry on demo.demo_archives (expires_at);
create index demo_archives_by_layer on demo.demo_archives (layer);

-- What each layer holds, kept by triggers on the change tables as it grows.
create table demo.demo_layer_counts (
  layer bigint not null,
  table_name text not null,
  created bigint not null default 0,
  edited bigint not null default 0,
  deleted bigint not null default 0,
  primary key (layer, table_name)
) with (fillfactor = 70);

-- The last number handed out per session and sequence, named by who uses it.
create table demo.demo_sequences (
  session_number bigint not null references demo.demo_user_sessions (number) on delete cascade,
  name text not null,
  last_number bigint not null,
  primary key (session_number, name)
);

-- The tables under sessions, with the fingerprint of the definition that their change tables were made from.
create table demo.demo_attached_tables (
  name text not null primary key,
  definition text not null
);

-- The base that the sessions stand over: one row.
create table demo.demo_base (
  one integer primary key check (one = 1),
  base_id text not null,
  epoch bigint not null,
  tracking_columns boolean not null,
  -- Null while the base is open for changes.
  sealed_at timestamptz,
  -- Which role the server works as.
  application_role text not null
);

-- Row count and content fingerprint of every base table when the base was sealed.
create table demo.demo_manifest (
  table_name text not null primary key,
  row_count bigint not null,
  fingerprint text not null
);

-- Small secrets that all servers of one database share: a signing key, a password hash.
create table demo.demo_secrets (
  name text not null primary key,
  value text not null
);

-- The binding: settings that end with the transaction.
create function demo.live_layer() returns bigint language sql stable parallel safe
  as $$ select nullif(current_setting('demo.layer', true), '')::bigint $$;

create function demo.bound_session() returns uuid language sql stable parallel safe
  as $$ select nullif(current_setting('demo.session', true), '')::uuid $$;

create function demo.bound_session_number() returns bigint language sql stable parallel safe
  as $$ select nullif(current_setting('demo.session_number', true), '')::bigint $$;

create function demo.bound_now() returns timestamptz language sql stable parallel safe
  as $$ select coalesce(nullif(current_setting('demo.now', true), '')::timestamptz, now()) $$;

-- Binds the transaction to a session: 'write' waits for and then holds off the session's other writers.
create function demo.bind_session(session uuid, mode text, at timestamptz) returns void language plpgsql as $$
declare
  found_session demo.demo_user_sessions;
begin
  if mode = 'write' then
    update demo.demo_user_sessions set writes = writes + 1 where id = session returning * into found_session;
  elsif mode = 'read' then
    select * into found_session from demo.demo_user_sessions where id = session;
  else
    raise exception 'mode: expected ''read'' or ''write'', found ''%''', mode using errcode = 'invalid_parameter_value';
  end if;
  if found_session.id is null then
    raise exception 'demo-reset: there is no such session' using errcode = 'DR001';
  end if;
  perform set_config('demo.session', session::text, true),
    set_config('demo.session_number', found_session.number::text, true),
    set_config('demo.layer', found_session.live_layer::text, true),
    set_config('demo.mode', mode, true),
    set_config('demo.writes', found_session.writes::text, true),
    set_config('demo.now', coalesce(at, clock_timestamp())::text, true);
end
$$;

-- What SQL from any program calls first in a transaction: binds it to the user's session, made if there is none.
create function demo.use_session(organization text, username text, mode text default 'write')
  returns uuid language plpgsql as $$
declare
  session uuid;
  session_number bigint;
begin
  select id into session from demo.demo_user_sessions where organization_id = organization and user_id = username;
  if session is null then
    insert into demo.demo_user_sessions
      (id, organization_id, user_id, created_at, last_activity_at, live_layer, live_epoch)
      values (gen_random_uuid(), organization, username, clock_timestamp(), clock_timestamp(), 0,
        (select epoch from demo.demo_base))
      on conflict (organization_id, user_id) do nothing returning number into session_number;
    update demo.demo_user_sessions set live_layer = number * 16777216 + 1 where number = session_number;
    select id into session from demo.demo_user_sessions
      where organization_id = organization and user_id = username;
  end if;
  perform demo.bind_session(session, mode, null);
  return session;
end
$$;

-- The session's write counter as the running statement sees it: in a STABLE function this is the statement's own
-- snapshot.
create function demo.writes_in_snapshot(session bigint) returns bigint language sql stable
  as $$ select writes from demo.demo_user_sessions where number = session $$;

-- Before every statement that writes through a view: refuses one that is not bound for writing, and one that
-- began before the binding was made and would recompute old rows.
create function demo.guard_write() returns trigger language plpgsql as $$
begin
  if coalesce(current_setting('demo.mode', true), '') <> 'write' then
    raise exception 'demo-reset: not bound for writing'
      using errcode = '40001', hint = 'Begin the transaction with select demo.use_session(organization, user).';
  end if;
  if demo.writes_in_snapshot(demo.bound_session_number()) is distinct from current_setting('demo.writes')::bigint then
    raise exception 'demo-reset: the statement began before its session was bound for writing'
      using errcode = '40001', hint = 'Run demo.use_session in a statement of its own, and try again.';
  end if;
  if pg_trigger_depth() = 1 then
    perform set_config('demo.statement_layer', current_setting('demo.layer'), true);
  end if;
  return null;
end
$$;

-- After the outermost statement on a view: refuses one that has bound another session on the way, since it read one
-- world and wrote another, and lets the foreign keys and their actions happen that the statement has queued.
create function demo.settle() returns trigger language plpgsql as $$
begin
  if pg_trigger_depth() = 1
    and current_setting('demo.statement_layer', true) is distinct from current_setting('demo.layer', true) then
    raise exception 'demo-reset: the statement began before its session was bound for writing'
      using errcode = '40001', hint = 'Run demo.use_session in a statement of its own, and try again.';
  end if;
  if pg_trigger_depth() = 1 and current_setting('demo.unsettled', true) = '1' then
    set constraints demo_changes.demo_settle_insert, demo_changes.demo_settle_update,
      demo_changes.demo_settle_delete immediate;
    set constraints demo_changes.demo_settle_insert, demo_changes.demo_settle_update,
      demo_changes.demo_settle_delete deferred;
    perform set_config('demo.unsettled', '', true);
  end if;
  return null;
end
$$;

-- Keep the counts of a layer as it grows, so that a reset need not count. (Changes that the engine moves from one
-- layer to another it counts itself, all at once.)
create function demo.count_changes() returns trigger language plpgsql as $$
begin
  if tg_op = 'DELETE' then
    update demo.demo_layer_counts c set created = c.created - o.created, edited = c.edited - o.edited,
      deleted = c.deleted - o.deleted
      from (select demo_layer, count(*) filter (where demo_kind = 'created') as created,
          count(*) filter (where demo_kind = 'edited') as edited,
          count(*) filter (where demo_kind = 'deleted') as deleted
        from old_changes group by demo_layer order by demo_layer) o
      where c.layer = o.demo_layer and c.table_name = tg_table_name;
  else
    insert into demo.demo_layer_counts as c (layer, table_name, created, edited, deleted)
      select demo_layer, tg_table_name, count(*) filter (where demo_kind = 'created'),
        count(*) filter (where demo_kind = 'edited'), count(*) filter (where demo_kind = 'deleted')
      from new_changes group by demo_layer order by demo_layer
      on conflict (layer, table_name) do update set created = c.created + excluded.created,
        edited = c.edited + excluded.edited, deleted = c.deleted + excluded.deleted;
  end if;
  return null;
end
$$;

create function demo.count_kind() returns trigger language plpgsql as $$
begin
  update demo.demo_layer_counts set
    created = created - (old.demo_kind = 'created')::int + (new.demo_kind = 'created')::int,
    edited = edited - (old.demo_kind = 'edited')::int + (new.demo_kind = 'edited')::int,
    deleted = deleted - (old.demo_kind = 'deleted')::int + (new.demo_kind = 'deleted')::int
    where layer = new.demo_layer and table_name = tg_table_name;
  return null;
end
$$;

-- On every sealed base table: refuses every write, by whatever role.
create function demo.guard_base() returns trigger language plpgsql as $$
begin
  raise exception 'demo-reset: base data is sealed: write through a demo session instead'
    using errcode = 'insufficient_privilege',
      hint = 'search_path = demo, public makes unqualified names hit the views.';
end
$$;

-- Count and content of a table. Every value counts as its exact text under fixed settings; the sum of a hash per
-- row does not depend on their order.
create function demo.table_fingerprint(table_name regclass, out row_count bigint, out fingerprint text)
  language plpgsql stable
  set timezone = 'UTC' set datestyle = 'ISO, YMD' set intervalstyle = 'iso_8601' set bytea_output = 'hex'
  set extra_float_digits = 3 as $$
begin
  execute format(
    'select count(*), coalesce(sum((''x'' || substr(h, 1, 16))::bit(64)::bigint::numeric), 0)::text || '':'' || '
    'coalesce(sum((''x'' || substr(h, 17, 16))::bit(64)::bigint::numeric), 0)::text '
    'from (select md5(t::text) as h from %s t) hashes', table_name)
    into row_count, fingerprint;
end
$$;
