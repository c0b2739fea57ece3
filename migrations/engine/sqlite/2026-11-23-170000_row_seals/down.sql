drop table demo_row_seals;
