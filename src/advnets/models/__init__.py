"""The other models of Tables 1 and 2."""
