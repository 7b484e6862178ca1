"""Decide what happens to an order: the rules of money, the journal and the driver's flow in one plan."""
