"""Carry bytes to a provider and back."""
