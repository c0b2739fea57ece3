-- Rows are hashed by parallel workers too, where there are any: a table of a megabyte is worth starting them, since a hash
-- takes far longer than reading its row.
alter function demo.table_seal(regclass) set min_parallel_table_scan_size = '1MB';
alter function demo.table_seal(regclass) set parallel_setup_cost = 0;
alter function demo.table_seal(regclass) set parallel_tuple_cost = 0;
alter function demo.table_fingerprint(regclass) set min_parallel_table_scan_size = '1MB';
alter function demo.table_fingerprint(regclass) set parallel_setup_cost = 0;
alter function demo.table_fingerprint(regclass) set parallel_tuple_cost = 0;
