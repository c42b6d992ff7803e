"""The contents of an archive: stations, catalogues, indices, and recordings with their quality."""
