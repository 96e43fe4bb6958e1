"""The page: boards as one HTML file that needs no network and scores itself."""
