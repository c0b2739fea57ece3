-- Layers whose archive has expired and is gone, and whose changes a cleanup is removing. A layer listed here can no
-- longer be brought back; a cleanup that was cut off goes on where it stopped.
create table demo.demo_purges (
  layer bigint primary key
);

-- Archives are found by their session; nothing looks for the archive of a layer.
drop index demo.demo_archives_by_layer;
