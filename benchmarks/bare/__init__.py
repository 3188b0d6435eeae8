"""Each job as an optimized script without the engine: native drivers, keyset pages, one statement per page, pipelines.

They keep no record, retry nothing, isolate nothing: what they leave out is what the engine costs.
"""
