create or replace function demo.count_kind() returns trigger language plpgsql as $$
begin
  update demo.demo_layer_counts set
    created = created - (old.demo_kind = 'created')::int + (new.demo_kind = 'created')::int,
    edited = edited - (old.demo_kind = 'edited')::int + (new.demo_kind = 'edited')::int,
    deleted = deleted - (old.demo_kind = 'deleted')::int + (new.demo_kind = 'deleted')::int
    where layer = new.demo_layer and table_name = tg_table_name;
  return null;
end
$$;

create or replace function demo.settle() returns trigger language plpgsql as $$
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
    perform set_config('demo.statement_layer', current_setting('demo.layer'), true);
  end if;
  return null;
end
$$;

drop function demo.count_row();
drop function demo.take_count(oid, text);
drop function demo.add_count(oid, text, integer);
