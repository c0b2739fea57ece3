-- The words of a text, for indexes of full text: runs of letters and digits of ASCII and of everything beyond ASCII but
-- punctuation. Letters of ASCII become small, whatever the locale; of a longer word only 64 characters count.
create or replace function demo.search_words(text) returns tsvector language sql immutable parallel safe strict cost 1000 as $$
  select array_to_tsvector(array(select distinct left(word, 64) from regexp_split_to_table(lower($1 collate "C"),
    '[\u0001-\u002f\u003a-\u0060\u007b-\u00bf\u2000-\u206f\u20a0-\u20cf\u3000-\u303f]+') word where word <> ''))
$$;
