"""Can the data and the model be trusted: checks, each with its evidence and a verdict."""
