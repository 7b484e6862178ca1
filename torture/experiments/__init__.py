"""The experiments, one module for each kind of fault."""
