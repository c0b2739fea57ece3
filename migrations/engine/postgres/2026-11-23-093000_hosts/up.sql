-- Whether the base is a host's: attached where it stands, never loaded or replaced by the engine; and whether every
-- table of it was asked for, those of a later migration included.
alter table demo.demo_base
  add column of_host boolean not null default false,
  add column all_tables boolean not null default true;

-- The depth of triggers as a host's trigger would see it on its own table: every write through a view passes two
-- triggers, the view's and the one on the change table, where a table has one.
create function demo.host_trigger_depth() returns integer language sql stable parallel safe
  as $$ select pg_trigger_depth() / 2 $$;

-- What stands in front of a host's view that cannot be made over the views of sessions.
create function demo.refuse_view(view_name text) returns boolean language plpgsql volatile as $$
begin
  raise exception 'demo-reset: the view % cannot be read in a session', view_name
    using errcode = 'feature_not_supported',
      hint = 'It cannot be made over the views of the tables; demo-reset attach --check says why.';
end
$$;

-- As before, but the whole row is taken by its table: a column may have the name of the alias.
create or replace function demo.table_fingerprint(table_name regclass, out row_count bigint, out fingerprint text)
  language plpgsql stable
  set timezone = 'UTC' set datestyle = 'ISO, YMD' set intervalstyle = 'iso_8601' set bytea_output = 'hex'
  set extra_float_digits = 3 as $$
begin
  execute format(
    'select count(*), coalesce(sum((''x'' || substr(h, 1, 16))::bit(64)::bigint::numeric), 0)::text || '':'' || '
    'coalesce(sum((''x'' || substr(h, 17, 16))::bit(64)::bigint::numeric), 0)::text '
    'from (select md5((t.*)::text) as h from %s t) hashes', table_name)
    into row_count, fingerprint;
end
$$;
