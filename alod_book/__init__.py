"""The book: what its chapters draw, and what builds its pages."""
