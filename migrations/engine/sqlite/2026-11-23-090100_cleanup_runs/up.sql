-- The last complete cleanup, by whichever server: at most one row.
create table demo_cleanup_runs (
  one integer primary key check (one = 1),
  finished_at text not null,
  archives_purged integer not null,
  changes_purged integer not null,
  sessions_archived integer not null,
  sessions_removed integer not null
);
