"""emojigram: a simulated social network over real drawings (`network.generate`, `settings.Settings`)."""
