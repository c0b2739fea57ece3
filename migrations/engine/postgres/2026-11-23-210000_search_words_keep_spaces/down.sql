-- The same words as before, in less time: what separates them becomes one space each in one pass, and only a text with a
-- word of more than 64 characters is taken apart. (Without the OFFSET the pass would be made for each place that names it.)
create or replace function demo.search_words(text) returns tsvector
  language sql immutable parallel safe strict cost 1000 as $$
  select case when words ~ '[^ ]{65}'
    then array_to_tsvector(array(select left(word, 64) from unnest(string_to_array(words, ' ')) word))
    else array_to_tsvector(string_to_array(words, ' ')) end
  from (select btrim(regexp_replace(lower($1 collate "C"),
    '[\u0001-\u002f\u003a-\u0060\u007b-\u00bf\u2000-\u206f\u20a0-\u20cf\u3000-\u303f]+', ' ', 'g')) as words offset 0) spaced
$$;
