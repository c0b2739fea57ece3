-- The stamp of the base file whose row ids the places of hidden rows were made of; NULL where there are none. They are made
-- when the base is taken up next.
alter table demo_base add column row_ids_of text;
