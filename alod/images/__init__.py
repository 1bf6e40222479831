"""Image files and folders, read from disk."""
