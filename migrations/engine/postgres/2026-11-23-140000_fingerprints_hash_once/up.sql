-- OFFSET 0 keeps the hash in a query of its own: merged with the one around it, every row was hashed twice.
create or replace function demo.table_fingerprint(table_name regclass, out row_count bigint, out fingerprint text)
  language plpgsql stable
  set timezone = 'UTC' set datestyle = 'ISO, YMD' set intervalstyle = 'iso_8601' set bytea_output = 'hex'
  set extra_float_digits = 3 as $$
begin
  execute format(
    'select count(*), coalesce(sum((''x'' || substr(h, 1, 16))::bit(64)::bigint::numeric), 0)::text || '':'' || '
    'coalesce(sum((''x'' || substr(h, 17, 16))::bit(64)::bigint::numeric), 0)::text '
    'from (select md5((t.*)::text) as h from %s t offset 0) hashes', table_name)
    into row_count, fingerprint;
end
$$;
