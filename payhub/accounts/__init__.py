"""Know who is asked: the configuration, the plugins, and each account opened once."""
