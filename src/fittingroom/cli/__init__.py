"""The command line: parsing and printing only. One module per command, imported when that command is asked for.

A command's module has `configure(parser)`, which declares its arguments and the function to run with them; that one
returns a `CommandOutput`.
"""
