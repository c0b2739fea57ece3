create index demo_archives_by_layer on demo.demo_archives (layer);
drop table demo.demo_purges;
