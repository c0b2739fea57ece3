-- Eight bytes of a hash of every base row when the base was sealed, in no order: what tells which rows of a table are
-- not as they were. A base that was sealed before has none until it is sealed again.
create table demo.demo_row_seals (table_name text not null primary key, row_hashes bytea not null);
alter table demo.demo_row_seals alter column row_hashes set storage external;

-- A table's row count and fingerprint, as demo.table_fingerprint gives them, with the hashes of its rows: each row is
-- hashed once for both.
create function demo.table_seal(table_name regclass, out row_count bigint, out fingerprint text, out row_hashes bytea)
  language plpgsql stable
  set timezone = 'UTC' set datestyle = 'ISO, YMD' set intervalstyle = 'iso_8601' set bytea_output = 'hex'
  set extra_float_digits = 3 as $$
begin
  execute format(
    'select count(*), coalesce(sum((''x'' || substr(h, 1, 16))::bit(64)::bigint::numeric), 0)::text || '':'' || '
    'coalesce(sum((''x'' || substr(h, 17, 16))::bit(64)::bigint::numeric), 0)::text, '
    'coalesce(string_agg(decode(substr(h, 1, 16), ''hex''), ''''::bytea), '''') '
    'from (select md5((t.*)::text) as h from %s t offset 0) hashes', table_name)
    into row_count, fingerprint, row_hashes;
end
$$;

-- What is not as it was sealed: how many rows, how many sealed rows are not found, and the keys of at most `most` of
-- the former. `record_key` is an expression over a row `x`.
create function demo.rows_not_sealed(table_name regclass, record_key text, hashes bytea, most bigint) returns jsonb
  language plpgsql stable
  set timezone = 'UTC' set datestyle = 'ISO, YMD' set intervalstyle = 'iso_8601' set bytea_output = 'hex'
  set extra_float_digits = 3 as $$
declare
  -- In memory once, not read anew for each piece.
  sealed bytea := hashes || ''::bytea;
  found jsonb;
begin
  execute format(
    'with sealed as materialized (select substr($1, at * 8 + 1, 8) as h from generate_series(0, length($1) / 8 - 1) at), '
    'present as materialized (select %s as k, decode(substr(md5((x.*)::text), 1, 16), ''hex'') as h from %s x), '
    'differing as materialized (select k from present p where not exists (select from sealed s where s.h = p.h)) '
    'select jsonb_build_array((select count(*) from differing), '
    '(select count(*) from sealed s where not exists (select from present p where p.h = s.h)), '
    'coalesce((select jsonb_agg(d.k::jsonb) from (select k from differing order by k limit $2) d), ''[]''))',
    record_key, table_name) into found using sealed, most;
  return found;
end
$$;

-- A database that is attached already gives the server's role its rights only when something else changes.
do $$
begin
  if exists (select from pg_roles where rolname = 'demo_app') then
    grant select on demo.demo_row_seals to demo_app;
    grant execute on all functions in schema demo to demo_app;
  end if;
end
$$;
