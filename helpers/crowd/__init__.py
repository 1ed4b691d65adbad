"""What views alone tell: filtering, negatives, factors, recommenders, neighbours (Fang 2.1, Bibas 4.1)."""
