"""One training from its arguments to the run folder: `Job`, and the ways in which `train` and `fit` make one."""
