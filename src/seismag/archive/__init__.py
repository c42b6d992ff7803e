"""What an archive holds: stations, catalogues, indices, and each day of recordings with its quality."""
