"""Collaborative signals as a second task: CF2Label, two heads, fine-tuning (Bibas 3)."""
