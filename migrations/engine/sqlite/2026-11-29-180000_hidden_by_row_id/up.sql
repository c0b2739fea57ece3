-- The stamp of the base file whose row ids the changes to its rows note; NULL where they note none. They are noted when the
-- base is taken up next.
alter table demo_base add column row_ids_of text;
