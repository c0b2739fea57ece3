-- Whether the base is a host's: attached where it stands, never loaded or replaced by the engine. Its manifest is
-- here alone, since nothing is added to a host's file.
alter table demo_base add column of_host integer not null default 0;

-- Whether every table of a host's base was asked for, those of a later migration included.
alter table demo_base add column all_tables integer not null default 1;
