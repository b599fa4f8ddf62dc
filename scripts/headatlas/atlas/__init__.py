"""The run as one page that a person walks through, and as tables that a notebook or another tool reads."""
