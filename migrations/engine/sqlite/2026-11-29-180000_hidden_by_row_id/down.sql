alter table demo_base drop column row_ids_of;
