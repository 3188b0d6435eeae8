"""Each job as the best script without the engine: drivers, keyset pages, one statement a page, pipelines.

They keep no record, retry nothing, isolate nothing: what they leave out is what the engine costs.
"""
