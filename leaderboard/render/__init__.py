"""Boards, comparisons, audits and scored files as people and programs read them.

`words` turns codes into sentences, `columns` lists the columns of a board; `terminal`, `markdown` and `tables` lay them
out, `files` writes the three files beside the results.
"""
