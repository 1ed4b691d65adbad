"""What a network sees after learning from views: pseudo classes, retrieval, transfer (Fang 2.2, 4.3, 4.4)."""
