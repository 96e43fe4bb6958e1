"""Plots of a board, one kind a file; Vega-Lite specifications made with Altair.

A kind makes records of a board (``data``) and a specification that knows no data (``chart``), which reads them from a
named dataset. So the same specification draws a file (`leaderboard.render.plots.files`) and the plots of the page, where
the records follow what its reader chooses.
"""
