drop function demo.search_words(text) cascade;
