"""What an educator hands out and grades, made from the notebooks: `python -m helpers.course --help`."""
