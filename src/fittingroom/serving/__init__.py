"""A run behind HTTP: `server` starts it, `app` has its routes, `connection` and `gate` what keeps it safe."""
