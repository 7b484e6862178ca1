"""Exchanges: the masked record of a call, and all that is logged."""
