"""Model files enter here and nowhere else: catalog, download, header checks, hashes, licences."""
