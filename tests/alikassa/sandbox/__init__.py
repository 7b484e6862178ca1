"""Test the local AliKassa over real connections."""
