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
      set_config('demo.counting', '1', true);
  end if;
  return null;
end
$$;

create function demo.take_count(change_table oid, kind text) returns bigint language plpgsql as $$
declare
  counter constant text := 'demo.' || kind || '_' || change_table;
  so_far constant bigint := coalesce(nullif(current_setting(counter, true), ''), '0')::bigint;
begin
  perform set_config(counter, '', true);
  return so_far;
end
$$;

create or replace function demo.settle() returns trigger language plpgsql as $$
declare
  unsettled text;
  settled text := '';
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
  foreach entry in array string_to_array(coalesce(current_setting('demo.counted', true), ''), ' ') loop
    insert into demo.demo_layer_counts as c (layer, table_name, created, edited, deleted)
      select current_setting('demo.layer')::bigint, relname, demo.take_count(oid, 'created'),
        demo.take_count(oid, 'edited'), demo.take_count(oid, 'deleted')
      from pg_class where oid = entry::oid
      on conflict (layer, table_name) do update set created = c.created + excluded.created,
        edited = c.edited + excluded.edited, deleted = c.deleted + excluded.deleted;
  end loop;
  perform set_config('demo.counting', '', true), set_config('demo.counted', '', true);
  return null;
end
$$;

create or replace function demo.bind_user(organization text, username text, mode text, at timestamptz,
    active_since timestamptz, max_changes bigint) returns void language plpgsql as $$
declare
  session uuid;
begin
  if mode = 'read' then
    perform set_config('demo.session', s.id::text, true),
      set_config('demo.session_number', s.number::text, true),
      set_config('demo.layer', s.live_layer::text, true),
      set_config('demo.mode', 'read', true)
      from demo.demo_user_sessions s
      where s.organization_id = organization and s.user_id = username and s.last_activity_at > active_since;
  else
    select s.id into session from demo.demo_user_sessions s
      where s.organization_id = organization and s.user_id = username and s.last_activity_at > active_since;
  end if;
  if not found then
    raise exception 'demo-reset: there is no such session' using errcode = 'DR001';
  end if;
  if mode <> 'read' then
    perform demo.bind_session(session, mode, at, max_changes);
  end if;
end
$$;
drop function if exists demo.bind_user_attached;
