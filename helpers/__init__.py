"""The library behind the notebooks: the papers' methods, the data and the machinery to re-run everything."""
