drop view if exists demo_archived_changes;
drop table demo_secrets;
drop table demo_manifest;
drop table demo_base;
drop table demo_attached_tables;
drop table demo_sequences;
drop table demo_layer_counts;
drop table demo_archives;
drop table demo_user_sessions;
