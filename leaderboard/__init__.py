"""From stored runs to tables, statistics, plots and pages."""
