"""Programs for those who work on payhub itself; no part of the distribution."""
