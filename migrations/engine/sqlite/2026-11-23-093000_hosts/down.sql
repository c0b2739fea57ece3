alter table demo_base drop column all_tables;
alter table demo_base drop column of_host;
