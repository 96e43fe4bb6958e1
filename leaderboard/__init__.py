"""From stored runs to boards, comparisons and the audit."""
