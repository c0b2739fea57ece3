-- Eight bytes of a hash of every base row when the base was sealed, in no order: what tells which rows of a table are
-- not as they were. A base that was sealed before has none until it is sealed again.
create table demo_row_seals (table_name text not null primary key, row_hashes blob not null);
