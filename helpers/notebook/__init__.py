"""What a notebook calls: start, parameters, artefacts, results, plots."""
