"""Say what is told of a call: its masked record, and the events made of it."""
