"""What the papers say, the rule that decides, and the rows that must be shown."""
