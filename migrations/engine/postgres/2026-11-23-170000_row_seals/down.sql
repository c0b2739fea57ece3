drop function demo.rows_not_sealed(regclass, text, bytea, bigint);
drop function demo.table_seal(regclass);
drop table demo.demo_row_seals;
