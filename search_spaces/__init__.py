"""What can be built: genotypes, stage tables, spaces and their modules."""
