drop function demo.refuse_view(text);
drop function demo.host_trigger_depth();
alter table demo.demo_base drop column all_tables, drop column of_host;
