"""Hold the experiments, one module for each kind of bad luck."""
