pragma foreign_keys = off;
pragma legacy_alter_table = on;
begin immediate;
create table demo_user_sessions_new (
  number integer primary key autoincrement,
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
insert or ignore into sqlite_sequence (name, seq)
  select 'demo_user_sessions', 0 where not exists (select 1 from sqlite_sequence where name = 'demo_user_sessions');
update sqlite_sequence set seq = max(seq, (select highest_number from demo_removed_sessions))
  where name = 'demo_user_sessions';
drop table demo_removed_sessions;
commit;
pragma legacy_alter_table = off;
pragma foreign_keys = on;
