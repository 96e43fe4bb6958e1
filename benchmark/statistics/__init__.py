"""How sure the figures of a board are: intervals, paired tests, rank intervals, advice and planning.

Everything is pure: arrays in, frozen records out; float64; pixels wherever the errors are pixels. Records hold numbers
and codes (``benchmark.statistics.notes``); sentences are made by whoever shows them.
"""
