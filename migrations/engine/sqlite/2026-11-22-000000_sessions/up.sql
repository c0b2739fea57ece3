-- The engine's own tables, in the sessions file. Times are UTC text of fixed width; ids are UUIDs in text.

-- One session per user and organization. `live_layer` is where its changes go; layers are numbered
-- `number * 2^24 + n`, so that a reset can give out the next one without asking anything but this row.
create table demo_user_sessions (
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
create index demo_user_sessions_by_activity on demo_user_sessions (last_activity_at);

-- Layers that a reset retired. Clustered by session; the purge walks them by expiry.
create table demo_archives (
  session_number integer not null references demo_user_sessions (number),
  ordinal integer not null,
  id text not null,
  session_id text not null,
  layer integer not null,
  epoch integer not null,
  archived_at text not null,
  -- Undoable while now < expires_at.
  expires_at text not null,
  restored_at text,
  -- What the layer held when it was archived: {"table": [created, edited, deleted]}.
  counts text not null,
  primary key (session_number, ordinal)
) without rowid;
create index demo_archives_by_expiry on demo_archives (expires_at);
create index demo_archives_by_layer on demo_archives (layer);

-- What each layer holds, kept by triggers on the change tables as it grows.
create table demo_layer_counts (
  layer integer not null,
  table_name text not null,
  created integer not null default 0,
  edited integer not null default 0,
  deleted integer not null default 0,
  primary key (layer, table_name)
) without rowid;

-- The last number handed out per session and sequence: row ids as 'key:<table>', others as their users name them.
create table demo_sequences (
  session_number integer not null references demo_user_sessions (number) on delete cascade,
  name text not null,
  last_number integer not null,
  primary key (session_number, name)
) without rowid;

-- The tables under sessions, with the fingerprint of the definition that their change tables were made from.
create table demo_attached_tables (
  name text not null primary key,
  definition text not null
) without rowid;

-- The base that the sessions stand over: one row.
create table demo_base (
  one integer primary key check (one = 1),
  base_id text not null,
  epoch integer not null,
  tracking_columns integer not null,
  -- Null while the base is open for changes.
  sealed_at text,
  -- The state of the base file when it was sealed; any program that writes it through SQLite changes this.
  stamp text not null
);

-- Row count and content fingerprint of every base table when the base was sealed.
create table demo_manifest (
  table_name text not null primary key,
  row_count integer not null,
  fingerprint text not null
) without rowid;

-- Small secrets that all servers of one database share: a signing key, a password hash.
create table demo_secrets (
  name text not null primary key,
  value text not null
) without rowid;
