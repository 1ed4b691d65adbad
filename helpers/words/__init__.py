"""Words as labels: hashtags, bags of tags, tag predictors, word vectors (Joulin 3, 4; Veit 3.1)."""
