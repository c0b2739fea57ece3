-- The queue of a table has a name of its own, and a statement settles those that it may have put something in. Before,
-- all had the same name, and every write looked each attached table's constraints up in the catalogue, twice.
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

-- In PL/pgSQL, which keeps its plan: a function in SQL that is not inlined is planned each time it is called.
create or replace function demo.writes_in_snapshot(session bigint) returns bigint language plpgsql stable as $$
begin
  return (select s.writes from demo.demo_user_sessions s where s.number = session);
end
$$;
