-- SQLite keeps the sequence of an AUTOINCREMENT in a page that each new session writes. What it is for, that no number is
-- given out twice, takes a note of the highest number only where its session is removed.
--
-- A table that others refer to is made anew as SQLite's documentation of ALTER TABLE says: with foreign keys switched off,
-- which cannot be done inside of a transaction, and without a look at triggers that name the table while it is gone. Cut
-- off before it is noted as done, it can run again.
pragma foreign_keys = off;
pragma legacy_alter_table = on;
begin immediate;
create table if not exists demo_removed_sessions (
  one integer primary key check (one = 1),
  -- The highest number that a removed session had.
  highest_number integer not null
);
insert or ignore into demo_removed_sessions
  select 1, coalesce((select seq from sqlite_sequence where name = 'demo_user_sessions'), 0);
create table demo_user_sessions_new (
  number integer primary key,
  id text not null unique,
  organization_id text not null,
  user_id text not null,
  created_at text not null,
  last_activity_at text not null,
  live_layer integer not null,
  -- The base epoch that the live layer was made over.
  live_epoch integer not null,
  layers_used integer not null default 1,
  archives_made integer not null default 0,
  -- Counts units of work that wrote. Updating it first is what puts the writes of one session in a row.
  writes integer not null default 0,
  unique (organization_id, user_id)
);
insert into demo_user_sessions_new
  select number, id, organization_id, user_id, created_at, last_activity_at, live_layer, live_epoch, layers_used,
    archives_made, writes
  from demo_user_sessions;
drop table demo_user_sessions;
alter table demo_user_sessions_new rename to demo_user_sessions;
create trigger demo_session_number_is_used after delete on demo_user_sessions begin
  update demo_removed_sessions set highest_number = old.number where highest_number < old.number;
end;
commit;
pragma legacy_alter_table = off;
pragma foreign_keys = on;
