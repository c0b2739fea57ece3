-- Counts of a layer are added up in settings while a statement on a view runs, and written once at its end. Written for
-- every row, the n-th change of a statement went past the n - 1 versions of the count that the statement left behind.
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

-- Adds to the changes of this kind that the running statement has made in a change table.
create function demo.add_count(change_table oid, kind text, more integer) returns void language plpgsql as $$
declare
  counter constant text := 'demo.' || kind || '_' || change_table;
  so_far constant text := coalesce(current_setting(counter, true), '');
  counted constant text := coalesce(current_setting('demo.counted', true), '');
begin
  if so_far = '' and change_table::text <> all (string_to_array(counted, ' ')) then
    perform set_config('demo.counted', ltrim(counted || ' ' || change_table), true);
  end if;
  perform set_config(counter, (coalesce(nullif(so_far, ''), '0')::bigint + more)::text, true);
end
$$;

-- What has been added, and back to nothing.
create function demo.take_count(change_table oid, kind text) returns bigint language plpgsql as $$
declare
  counter constant text := 'demo.' || kind || '_' || change_table;
  so_far constant bigint := coalesce(nullif(current_setting(counter, true), ''), '0')::bigint;
begin
  perform set_config(counter, '', true);
  return so_far;
end
$$;

-- A change that has come or gone within a statement on a view.
create function demo.count_row() returns trigger language plpgsql as $$
begin
  if tg_op = 'DELETE' then
    perform demo.add_count(tg_relid, old.demo_kind, -1);
  else
    perform demo.add_count(tg_relid, new.demo_kind, 1);
  end if;
  return null;
end
$$;

create or replace function demo.count_kind() returns trigger language plpgsql as $$
begin
  if coalesce(current_setting('demo.counting', true), '') = '1' then
    perform demo.add_count(tg_relid, old.demo_kind, -1), demo.add_count(tg_relid, new.demo_kind, 1);
  else
    update demo.demo_layer_counts set
      created = created - (old.demo_kind = 'created')::int + (new.demo_kind = 'created')::int,
      edited = edited - (old.demo_kind = 'edited')::int + (new.demo_kind = 'edited')::int,
      deleted = deleted - (old.demo_kind = 'deleted')::int + (new.demo_kind = 'deleted')::int
      where layer = new.demo_layer and table_name = tg_table_name;
  end if;
  return null;
end
$$;
