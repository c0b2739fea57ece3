alter function demo.search_words(text) cost 1000;
