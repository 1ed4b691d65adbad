"""The same picture, another person: posts, user models, WARP (Veit 3.2; Denton 3)."""
