-- The same words as before, in half the time: a space stays what it is, so that only the other separators are looked for,
-- and PL/pgSQL prepares the two expressions once, where a function in SQL begins anew for each text.
create or replace function demo.search_words(text) returns tsvector
  language plpgsql immutable parallel safe strict cost 1000 as $$
declare
  spaced constant text := regexp_replace(lower($1 collate "C"),
    '[\u0001-\u001f\u0021-\u002f\u003a-\u0060\u007b-\u00bf\u2000-\u206f\u20a0-\u20cf\u3000-\u303f]+', ' ', 'g');
begin
  if spaced ~ '[^ ]{65}' then
    return array_to_tsvector(array(select left(word, 64) from unnest(string_to_array(spaced, ' ')) word where word <> ''));
  end if;
  return array_to_tsvector(array_remove(string_to_array(spaced, ' '), ''));
end
$$;
