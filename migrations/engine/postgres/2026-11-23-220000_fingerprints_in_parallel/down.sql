alter function demo.table_seal(regclass) reset min_parallel_table_scan_size;
alter function demo.table_seal(regclass) reset parallel_setup_cost;
alter function demo.table_seal(regclass) reset parallel_tuple_cost;
alter function demo.table_fingerprint(regclass) reset min_parallel_table_scan_size;
alter function demo.table_fingerprint(regclass) reset parallel_setup_cost;
alter function demo.table_fingerprint(regclass) reset parallel_tuple_cost;
