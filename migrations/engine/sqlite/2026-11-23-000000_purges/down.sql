create index demo_archives_by_layer on demo_archives (layer);
drop table demo_purges;
