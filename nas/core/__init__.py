"""What every room uses and what is about no room in particular: errors, records, units, files, journals, user code."""
