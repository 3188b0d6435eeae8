"""Redis as a cache: declared families of keys, written in pipelines, with figures about the server."""
