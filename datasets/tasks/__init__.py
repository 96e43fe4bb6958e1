"""Tasks: cards that say which point is asked for, and the data sets that follow from them."""
