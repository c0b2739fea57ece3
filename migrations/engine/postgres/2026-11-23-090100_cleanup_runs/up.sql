-- The last complete cleanup, by whichever server: at most one row.
create table demo.demo_cleanup_runs (
  one integer primary key check (one = 1),
  finished_at timestamptz not null,
  archives_purged bigint not null,
  changes_purged bigint not null,
  sessions_archived bigint not null,
  sessions_removed bigint not null
);

-- A database that is attached already gives the server's role its rights only when something else changes.
do $$
begin
  if exists (select from pg_roles where rolname = 'demo_app') then
    grant select, insert, update, delete on demo.demo_cleanup_runs to demo_app;
  end if;
end
$$;
