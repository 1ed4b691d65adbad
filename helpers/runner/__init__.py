"""The command line behind `python -m helpers.run`: plan, execute, report, maintain."""
