"""Space and network of converted networks."""
