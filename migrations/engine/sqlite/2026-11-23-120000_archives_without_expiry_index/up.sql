-- A cleanup walks the archives once by their key instead: every archive is kept for a day or so, and with the index each
-- reset would write one page more.
drop index demo_archives_by_expiry;
