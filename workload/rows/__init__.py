"""A store of numbered rows over HTTP: small, but honest about its database and its files."""
