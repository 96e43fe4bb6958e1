"""What runs in a tool's own environment: ``PYTHON THIS_FOLDER ADAPTER fit|predict FOLDER``.

Nothing of the suite is there, so these files import the standard library, what the tool brings, and `protocol` alone; and
the tool only inside functions, for this package is imported on our side, too, where its files count as the row's code.
"""
