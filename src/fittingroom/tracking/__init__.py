"""Logs for the tools that people use: thin writers behind one stream of events, loaded only when asked for."""
