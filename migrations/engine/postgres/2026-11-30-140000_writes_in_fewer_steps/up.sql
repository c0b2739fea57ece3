-- A writer is bound by one statement on its session, as a reader is, instead of three functions within each other that
-- looked at it twice.
create or replace function demo.bind_user(organization text, username text, mode text, at timestamptz,
    active_since timestamptz, max_changes bigint) returns void language plpgsql as $$
declare
  session uuid;
  session_number bigint;
  live_layer bigint;
  writes bigint;
  changes numeric;
begin
  if mode = 'read' then
    perform set_config('demo.session', s.id::text, true),
      set_config('demo.session_number', s.number::text, true),
      set_config('demo.layer', s.live_layer::text, true),
      set_config('demo.mode', 'read', true)
      from demo.demo_user_sessions s
      where s.organization_id = organization and s.user_id = username and s.last_activity_at > active_since;
  elsif mode = 'write' then
    -- Waits for, and then holds off, the session's other writers.
    update demo.demo_user_sessions s set writes = s.writes + 1
      where s.organization_id = organization and s.user_id = username and s.last_activity_at > active_since
      returning s.id, s.number, s.live_layer, s.writes into session, session_number, live_layer, writes;
  else
    raise exception 'mode: expected ''read'' or ''write'', found ''%''', mode using errcode = 'invalid_parameter_value';
  end if;
  if not found then
    raise exception 'demo-reset: there is no such session' using errcode = 'DR001';
  end if;
  if mode = 'write' then
    -- What is held is counted and the binding made in one statement.
    select coalesce(sum(c.created + c.edited + c.deleted), 0), set_config('demo.session', session::text, true),
        set_config('demo.session_number', session_number::text, true), set_config('demo.layer', live_layer::text, true),
        set_config('demo.mode', 'write', true), set_config('demo.writes', writes::text, true),
        set_config('demo.now', coalesce(at, clock_timestamp())::text, true)
      into changes from demo.demo_layer_counts c where c.layer = live_layer;
    if max_changes <= changes then
      raise exception 'demo-reset: the layer is full: %', max_changes using errcode = 'DR002';
    end if;
  end if;
end
$$;

-- Where sessions are suspended, it is refused as demo.bind_session is.
do $do$ begin
  if exists (select 1 from pg_proc where pronamespace = 'demo'::regnamespace and proname = 'bind_session_attached') then
    drop function if exists demo.bind_user_attached;
    alter function demo.bind_user rename to bind_user_attached;
    create function demo.bind_user(organization text, username text, mode text, at timestamptz,
        active_since timestamptz, max_changes bigint) returns void language plpgsql as $$
    begin
      raise exception 'demo-reset: sessions are suspended'
        using errcode = '55000', hint = 'demo-reset attach takes them up again.';
    end
    $$;
  end if;
end $do$;

-- The counts of a statement are read from their settings where they are written down, without a function for each.
create or replace function demo.settle() returns trigger language plpgsql as $$
declare
  unsettled text;
  settled text := '';
  counted text;
  entry text;
begin
  if pg_trigger_depth() <> 1 then
    return null;
  end if;
  if current_setting('demo.statement_layer', true) is distinct from current_setting('demo.layer', true) then
    raise exception 'demo-reset: the statement began before its session was bound for writing'
      using errcode = '40001', hint = 'Run demo.use_session in a statement of its own, and try again.';
  end if;
  loop
    unsettled := coalesce(current_setting('demo.unsettled', true), '');
    -- The triggers of a database that was attached by an earlier version and not since.
    if unsettled = '1' then
      unsettled := 'demo_changes.demo_settle_insert, demo_changes.demo_settle_update, demo_changes.demo_settle_delete';
    end if;
    exit when unsettled = settled;
    -- Names are only ever added: what is behind those that were settled was queued meanwhile, by triggers of the host's.
    execute 'set constraints ' || ltrim(substr(unsettled, length(settled) + 1), ', ') || ' immediate';
    settled := unsettled;
  end loop;
  if settled <> '' then
    execute 'set constraints ' || settled || ' deferred';
    perform set_config('demo.unsettled', '', true);
  end if;
  counted := coalesce(current_setting('demo.counted', true), '');
  foreach entry in array string_to_array(counted, ' ') loop
    insert into demo.demo_layer_counts as c (layer, table_name, created, edited, deleted)
      select current_setting('demo.layer')::bigint, relname,
        coalesce(nullif(current_setting('demo.created_' || entry, true), ''), '0')::bigint,
        coalesce(nullif(current_setting('demo.edited_' || entry, true), ''), '0')::bigint,
        coalesce(nullif(current_setting('demo.deleted_' || entry, true), ''), '0')::bigint
      from pg_class where oid = entry::oid
      on conflict (layer, table_name) do update set created = c.created + excluded.created,
        edited = c.edited + excluded.edited, deleted = c.deleted + excluded.deleted;
    perform set_config('demo.' || kind || '_' || entry, '', true)
      from unnest(array['created', 'edited', 'deleted']) kind
      where current_setting('demo.' || kind || '_' || entry, true) <> '';
  end loop;
  if counted <> '' then
    perform set_config('demo.counted', '', true);
  end if;
  perform set_config('demo.counting', '', true);
  return null;
end
$$;

drop function demo.take_count(oid, text);

-- Tells triggers of rows whether their statement is an INSERT and nothing else: after a data-modifying WITH a parent that a new row
-- has found may be gone when the statement ends, which refuses the row. Other texts that look as if they had one only lose time.
create or replace function demo.guard_write() returns trigger language plpgsql as $$
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
    perform set_config('demo.statement_layer', current_setting('demo.layer'), true),
      set_config('demo.counting', '1', true),
      set_config('demo.alone', case when tg_op = 'INSERT' and current_query() ~* '^\s*insert\M'
        and current_query() !~* '\mwith\M' then '1' else '' end, true);
  end if;
  return null;
end
$$;
