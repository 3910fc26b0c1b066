"""Pictures and curves from arrays."""
