"""The plane in a browser: results as one HTML file."""
