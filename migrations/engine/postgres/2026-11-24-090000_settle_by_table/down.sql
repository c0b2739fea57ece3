create or replace function demo.writes_in_snapshot(session bigint) returns bigint language sql stable
  as $$ select writes from demo.demo_user_sessions where number = session $$;

create or replace function demo.settle() returns trigger language plpgsql as $$
declare
  entry text;
begin
  if pg_trigger_depth() <> 1 then
    return null;
  end if;
  if current_setting('demo.statement_layer', true) is distinct from current_setting('demo.layer', true) then
    raise exception 'demo-reset: the statement began before its session was bound for writing'
      using errcode = '40001', hint = 'Run demo.use_session in a statement of its own, and try again.';
  end if;
  if current_setting('demo.unsettled', true) = '1' then
    set constraints demo_changes.demo_settle_insert, demo_changes.demo_settle_update,
      demo_changes.demo_settle_delete immediate;
    set constraints demo_changes.demo_settle_insert, demo_changes.demo_settle_update,
      demo_changes.demo_settle_delete deferred;
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
